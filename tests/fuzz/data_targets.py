"""Targets that are data: records, pictures, arrays, Human3.6M's files, boxes."""

import io
import json
import struct
import zipfile
import zlib
from unittest import mock

import numpy as np
from PIL import Image

from gluon_dkpr.data import ImageFormat, RecordDataset, RecordInfo, pose_layout, read_info
from gluon_dkpr.data.h36m import poses
from gluon_dkpr.data.h36m.boxes import MaskBoxes
from gluon_dkpr.data.h36m.names import H36mError
from gluon_dkpr.data.joint_files import JointFileError, read_joints
from gluon_dkpr.data.record import write_record
from gluon_dkpr.data.recordio import RecordError, frame, pack
from gluon_dkpr.engine.pictures import PictureFileError, decode_picture
from gluon_dkpr.engine.prediction.boxes import Boxes
from gluon_dkpr.engine.prediction.errors import PredictionError
from gluon_dkpr.geometry.bvh import BvhError
from gluon_dkpr.skeleton import planar
from tests.data.h36m.raw_tree import write_cdf, write_masks
from tests.fuzz.runner import Case, Target

SKELETON = planar(3)
LAYOUT = pose_layout(SKELETON)
PICTURE = np.add.outer(np.arange(12) * 9, np.arange(10) * 11).astype(np.uint8)
MAX_PIXELS = 1_000_000
CDF_SECONDS = 0.5
JPEG_TOKENS = (b"\xff\xc0", b"\xff\xc2", b"\xff\xda", b"\xff\xd9", b"\xff\xe1", b"\xff\xff")
PNG_TOKENS = (b"IHDR", b"IDAT", b"IEND", b"PLTE", b"tRNS", b"iCCP", b"zTXt", b"acTL")


def record(folder, encoding="png"):
    """Write a data set a.rec, a.idx, a.json; return its samples."""
    image = ImageFormat(12, 10, 3, encoding)
    data = image.encode(np.dstack([PICTURE] * 3))
    label = np.linspace(-9, 9, LAYOUT.length).astype(np.float32)
    splits = {"train": [(data, label)] * 30, "test": [(data, label)] * 2}
    write_record(folder / "a", SKELETON, LAYOUT, image, splits, {"generator": "x"})
    return data, label


def use(path):
    """Open a data set as training does, whole or not, and read everything."""
    found = []
    for on_damage in ("raise", "skip"):
        with RecordDataset(path, "train", on_damage) as dataset:
            if on_damage == "skip":
                dataset = dataset.readable()
                dataset.read_labels(dataset.keys, "skip")
            found.append((dataset, *dataset.read(dataset.keys)))
    return found


def use_damaged(path):
    """Open a data set that may have lost some records, and read the rest."""
    with RecordDataset(path, "train", "skip") as dataset:
        dataset = dataset.readable()
        return [(dataset, *dataset.read(dataset.keys))]


def check_use(found):
    for dataset, images, labels in found:
        assert images.shape == (len(dataset), *dataset.image_shape)
        assert labels["joints"].shape == (len(dataset), *labels["joints"].shape[1:])


def record_files(*suffixes):
    def prepare(folder):
        record(folder)
        return [Case(f"a{suffix}", (folder / f"a{suffix}").read_bytes()) for suffix in suffixes]

    return prepare


def stamped(label_bytes):
    """Return a writer of a data set of one record, its checksum right: of label and image."""

    def write(path, payload):
        blob = frame(struct.pack("<IfQQ", label_bytes // 4, 0, 0, zlib.crc32(payload)) + payload)
        path.write_bytes(blob)
        path.with_suffix(".idx").write_bytes(b"0\t0\n")
        tree = json.loads(path.with_suffix(".json").read_text())
        tree.update(splits={"train": [0, 1]}, count=1)
        tree["rec"]["bytes"] = len(blob)
        path.with_suffix(".json").write_text(json.dumps(tree))

    return write


def payloads(encoding):
    def prepare(folder):
        data, label = record(folder, encoding)
        assert pack(0, label, data)
        return [Case("a.rec", label.tobytes() + data, stamped(4 * len(label)))]

    return prepare


def check_info(info):
    assert RecordInfo.from_dict(json.loads(json.dumps(info.to_dict()))) == info


def write_png(path, content):
    """Write a PNG whose checksums are right, as far as its lengths are."""
    parts, at = [content[:8]], 8
    while at + 12 <= len(content):
        (length,) = struct.unpack(">I", content[at : at + 4])
        body = content[at + 4 : at + 8 + length]
        parts.append(content[at : at + 4] + body + struct.pack(">I", zlib.crc32(body)))
        at += 12 + length
    path.write_bytes(b"".join(parts) + content[at:])


def saved(picture, kind, **options):
    file = io.BytesIO()
    Image.fromarray(picture).save(file, kind, **options)
    return file.getvalue()


def pictures(_):
    colour = np.dstack([PICTURE, PICTURE // 2, 255 - PICTURE])
    exif = Image.Exif()
    exif[274] = 6
    return [
        Case("a.png", saved(colour, "PNG")),
        Case("a.png", saved(np.dstack([colour, PICTURE]), "PNG"), write_png),
        Case("a.png", saved(PICTURE.astype(np.int32) * 200, "PNG"), write_png),
        Case("a.jpg", saved(colour, "JPEG")),
        Case("a.jpg", saved(colour, "JPEG", progressive=True, exif=exif)),
    ]


def read_small_picture(path):
    """Read a picture as read_picture does, with a limit that is sooner reached."""
    return decode_picture(path.read_bytes(), str(path), MAX_PIXELS)


def check_picture(picture):
    assert picture.dtype == np.uint8 and picture.ndim == 3 and picture.shape[2] == 3
    assert 0 < picture.size <= 3 * MAX_PIXELS


def write_npz(path, content):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("joints.npy", content)


def arrays(folder):
    joints = np.arange(2 * SKELETON.num_joints * 2, dtype=np.float64)
    joints = joints.reshape(2, SKELETON.num_joints, 2)
    np.save(folder / "a.npy", joints)
    np.savez_compressed(folder / "a.npz", joints=joints)
    plain, packed = (folder / "a.npy").read_bytes(), (folder / "a.npz").read_bytes()
    return [Case("a.npy", plain), Case("a.npz", packed), Case("b.npz", plain, write_npz)]


def tables(_):
    names = [f"{name}_{axis}" for name in SKELETON.joint_names for axis in "xy"]
    rows = [",".join(["frame", *names]), *(",".join(["1"] + ["0.5"] * len(names)) for _ in "ab")]
    return [Case("a.csv", "\n".join(rows).encode())]


def read_planar(path):
    return read_joints(path, SKELETON)


def check_joints(found):
    assert found.joints.shape[1:] == (SKELETON.num_joints, SKELETON.dim)
    assert len(found.joints) and not np.isinf(found.joints).any()


def cdf_files(folder):
    write_cdf(folder / "a.cdf", np.arange(3 * 96, dtype=np.float32).reshape(3, 96))
    write_cdf(folder / "b.cdf", np.arange(96, dtype=np.float64).reshape(1, 96), kind=np.float64)
    return [Case(name, (folder / name).read_bytes()) for name in ("a.cdf", "b.cdf")]


def read_positions(path):
    # Damage sends cdflib round in circles, until its time is up.
    with mock.patch.object(poses, "MAX_SECONDS", CDF_SECONDS):
        return poses.read_joints(path, 3)


def check_positions(joints):
    assert joints.shape[1:] == (17, 3) and not np.isinf(joints).any()


def mask_files(folder):
    write_masks(folder / "a.mat", [(2, 3, 9, 12), None], 20, 16)
    return [Case("a.mat", (folder / "a.mat").read_bytes())]


def read_boxes(path):
    with MaskBoxes(path) as boxes:
        return [boxes.box(frame) for frame in range(min(len(boxes), 50))]


def check_boxes(boxes):
    for box in boxes:
        assert box is None or (np.isfinite(box).all() and (box[:2] < box[2:]).all())


def box_files(_):
    tree = [
        {"name": "a.png", "box": [1, 2, 30.5, 40]},
        {"name": "b", "frame": 3, "box": [0] * 2 + [9, 9]},
    ]
    return [
        Case("a.csv", b'name,x,y,w,h\na.png,1,2,30.5,40\n"b,c",0,0,9,9\n'),
        Case("b.csv", b"name,frame,x,y,w,h\na.mp4,0,1,2,30.5,40\na.mp4,7,0,0,9,9\n"),
        Case("a.json", json.dumps(tree).encode()),
    ]


def check_given_boxes(boxes):
    for name in ("a.png", "b", "a.mp4"):
        box = boxes.of(name, 2)
        assert box is None or (np.isfinite(box).all() and min(box[2:]) > 0)


TARGETS = [
    Target("record header", record_files(".json"), read_info, (RecordError,), check_info),
    Target("record json", record_files(".json"), use, (RecordError,), check_use, cost=3),
    Target("record index", record_files(".idx"), use, (RecordError,), check_use),
    Target("record bytes", record_files(".rec"), use_damaged, (RecordError,), check_use,
           tokens=(b"\x0a\x23\xd7\xce",), cost=2),
    Target("record label and png", payloads("png"), use, (RecordError,), check_use,
           tokens=PNG_TOKENS),
    Target("record label and jpeg", payloads("jpeg"), use, (RecordError,), check_use,
           tokens=JPEG_TOKENS),
    Target("picture", pictures, read_small_picture,
           (PictureFileError,), check_picture, tokens=PNG_TOKENS + JPEG_TOKENS),
    Target("joint arrays", arrays, read_planar, (JointFileError,), check_joints,
           tokens=(b"'shape': (", b"'<f8'", b"'O'", b"True", b"\x93NUMPY", b"PK\x03\x04",
                   b"(" * 200)),
    Target("joint tables", tables, read_planar, (JointFileError, BvhError), check_joints,
           tokens=(b"frame", b"time", b"\"", b"\xef\xbb\xbf", b",,")),
    Target("h36m cdf", cdf_files, read_positions, (H36mError,), check_positions,
           tokens=(b"Pose", b"\xcd\xf3\x00\x01", b"\xcc\xcc\x00\x01"), cost=12, names_file=False),
    Target("h36m masks", mask_files, read_boxes, (H36mError,), check_boxes,
           tokens=(b"\x89HDF\r\n\x1a\n", b"TREE", b"SNOD", b"HEAP", b"Masks"), cost=2,
           names_file=False),
    Target("boxes", box_files, Boxes.read, (PredictionError,), check_given_boxes,
           tokens=(b"frame", b"Infinity", b"name")),
]  # fmt: skip
