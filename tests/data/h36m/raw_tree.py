"""A small Human3.6M in the official layouts: known poses, and a marker drawn at each joint.

The markers are discs on black, each joint with a colour of its own, so that a joint can be found in
a picture without knowing where it should be. The person walks: from one frame to the next markers
move by some 10 px.
"""

import itertools
from pathlib import Path

import cdflib.cdfwrite
import cv2
import h5py
import numpy as np

from gluon_dkpr.geometry import forward_kinematics
from gluon_dkpr.skeleton import human36m

# The order of the data set's 32 joints, as its files have it; written down here once more because
# the converter's own list is what is tested.
FILE_ROWS = {"pelvis": 0, "right_hip": 1, "right_knee": 2, "right_ankle": 3}
FILE_ROWS.update({"left_hip": 6, "left_knee": 7, "left_ankle": 8})
FILE_ROWS.update({"torso": 12, "neck": 13, "nose": 14, "head": 15})
FILE_ROWS.update({"left_shoulder": 17, "left_elbow": 18, "left_wrist": 19})
FILE_ROWS.update({"right_shoulder": 25, "right_elbow": 26, "right_wrist": 27})
CAMERA = (1145.0, 1143.5, 512.5, 515.25)  # focal lengths and principal point, px
MARKER_PX = 9.0
# Red, green and blue of each joint's marker, far enough apart for lossy codecs.
COLOURS = [c for c in itertools.product((30, 140, 250), repeat=3) if max(c) == 250][:17]
SCALES = {"S1": 0.94, "S5": 1.02, "S6": 0.98, "S7": 1.05, "S8": 1.0, "S9": 1.06, "S11": 0.95}
LAYOUTS = {
    "archives": {
        "joints_mm": "{}/MyPoseFeatures/D3_Positions_mono",
        "joints_px": "{}/MyPoseFeatures/D2_Positions",
        "video": "{}/Videos",
        "masks": "{}/MySegmentsMat/ground_truth_bb",
    },
    "flat": {
        "joints_mm": "extracted/{}/Poses_D3_Positions_mono",
        "joints_px": "extracted/{}/Poses_D2_Positions",
        "video": "extracted/{}/Videos",
        "masks": "extracted/{}/MySegmentsMat/ground_truth_bb",
    },
}
SUFFIXES = {"joints_mm": ".cdf", "joints_px": ".cdf", "video": ".mp4", "masks": ".mat"}


def walk(subject, frames, phase=0.0):
    """Return joints (F, 17, 3), mm, camera frame: someone who walks to the right and back."""
    human = human36m()
    time = np.arange(frames)[:, None] + phase
    motion = np.zeros((frames, len(human.parameter_names)))
    swing = 0.5 * np.sin(time[:, 0] / 4)
    values = {
        "root_x": 600 * np.sin(time[:, 0] / 12),
        "root_y": 60 * np.sin(time[:, 0] / 3),
        "root_z": 3500 + 8 * time[:, 0],
        "root_yaw": 0.2 * np.sin(time[:, 0] / 9),
        "right_shoulder_abduction": 0.9 + swing / 2,
        "left_shoulder_abduction": 0.7 - swing / 2,
        "right_elbow_flexion": 0.6 + swing / 2,
        "left_elbow_flexion": 0.5 - swing / 2,
        "right_hip_flexion": swing,
        "left_hip_flexion": -swing,
        "right_knee_flexion": 0.6 + swing,
        "left_knee_flexion": 0.6 - swing,
        "spine_roll": swing / 4,
    }
    for name, value in values.items():
        motion[:, human.parameter_names.index(name)] = value
    return forward_kinematics(human, motion, np.full(frames, SCALES[subject]))


def project(joints_mm, camera=CAMERA):
    """Return where a pinhole camera sees joints (F, 17, 3): px, (F, 17, 2)."""
    return joints_mm[..., :2] / joints_mm[..., 2:] * camera[:2] + camera[2:]


def in_file_order(joints):
    """Return the 32 rows of a file, (F, 32 * D): those that are not ours are far away."""
    rows = np.repeat(joints[:, :1] + 700.0, 32, axis=1)
    for joint, name in enumerate(human36m().joint_names):
        rows[:, FILE_ROWS[name]] = joints[:, joint]
    return rows.reshape(len(joints), -1)


def write_cdf(path, rows, name="Pose", kind=np.float32, majority="row_major"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    spec = {"Majority": majority, "Encoding": 6}
    file = cdflib.cdfwrite.CDF(path, cdf_spec=spec)
    variable = {
        "Variable": name,
        "Data_Type": {np.float32: 44, np.float64: 45, np.int32: 4}[kind],
        "Num_Elements": 1,
        "Rec_Vary": True,
        "Var_Type": "zVariable",
        "Dim_Sizes": list(rows.shape),
        "Dim_Vary": [True] * rows.ndim,
        "Compress": 6,
    }
    # cdflib writes the numbers in the order in which it gets them.
    if majority == "column_major":
        rows = np.ravel(rows, order="F").reshape(rows.shape)
    file.write_var(variable, var_data=rows[None].astype(kind))
    file.close()


def draw(joints_px, height, width):
    """Return a picture (H, W, 3), blue, green, red, with a marker at each joint (17, 2)."""
    picture = np.zeros((height, width, 3), np.uint8)
    for (x, y), colour in zip(joints_px, COLOURS):
        centre = (round(x * 256), round(y * 256))
        radius = round(MARKER_PX * 256)
        cv2.circle(picture, centre, radius, colour[::-1], -1, cv2.LINE_AA, shift=8)
    return picture


def find_markers(picture):
    """Return where each joint's marker is, told by nothing but its colour: px, (17, 2)."""
    light = picture.max(axis=-1).astype(float)
    _, blobs = cv2.connectedComponents((light > 60).astype(np.uint8))
    rows, columns = np.mgrid[: light.shape[0], : light.shape[1]]
    found = np.full((17, 2), np.nan)
    for blob in range(1, blobs.max() + 1):
        inside = blobs == blob
        core = inside & (light > 0.9 * light[inside].max())
        colour = np.median(picture[core], axis=0)
        joint = int(np.argmin(np.abs(np.array(COLOURS) - colour).sum(axis=1)))
        assert np.isnan(found[joint]).all(), f"two markers of joint {joint}"
        weight = light * cv2.dilate(inside.astype(np.uint8), np.ones((3, 3)))
        found[joint] = (weight * columns).sum() / weight.sum(), (weight * rows).sum() / weight.sum()
    return found


def write_video(path, pictures, fps=50.0):
    path.parent.mkdir(parents=True, exist_ok=True)
    height, width = pictures[0].shape[:2]
    code = cv2.VideoWriter_fourcc(*"mp4v")
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, code, fps, (width, height))
    assert writer.isOpened()
    for picture in pictures:
        writer.write(picture)
    writer.release()


def mask_box(joints_px, margin=40):
    """Return the box (left, top, right, bottom) that the masks of a frame show."""
    low, high = np.floor(joints_px.min(0)) - margin, np.ceil(joints_px.max(0)) + margin
    return np.concatenate([low, high]).astype(int)


def write_masks(path, boxes, height, width):
    """Write a MATLAB 7.3 file with one transposed mask for each box; None for an empty mask."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w", userblock_size=512) as file:
        masks = file.create_dataset("Masks", (len(boxes), 1), dtype=h5py.ref_dtype)
        for frame, box in enumerate(boxes):
            mask = np.zeros((height, width), np.uint8)
            if box is not None:
                left, top, right, bottom = np.maximum(box, 0)
                mask[top:bottom, left:right] = 1
            name = f"#refs#/m{frame}"
            file.create_dataset(name, data=mask.T, compression="gzip")
            masks[frame, 0] = file[name].ref
    with open(path, "r+b") as file:
        file.write(b"MATLAB 7.3 MAT-file".ljust(512))


class RawTree:
    """Writes files of a raw folder, and knows what is in them."""

    def __init__(self, root, layout="archives"):
        self.root, self.layout = Path(root), layout
        self.joints_mm, self.joints_px = {}, {}

    def path(self, kind, subject, name):
        folder = LAYOUTS[self.layout][kind].format(subject)
        return self.root / folder / (name + SUFFIXES[kind])

    def add(
        self,
        subject,
        name,
        camera="54138969",
        frames=6,
        video_frames=None,
        masks=False,
        phase=0.0,
        size=(1002, 1000),
    ):
        """Add a video with its poses; the video may have more or fewer frames than poses."""
        longest = max(frames, video_frames or 0)
        joints_mm = walk(subject, longest, phase)
        joints_px = project(joints_mm)
        name = f"{name}.{camera}"
        self.joints_mm[subject, name] = joints_mm[:frames]
        self.joints_px[subject, name] = joints_px[:frames]
        write_cdf(self.path("joints_mm", subject, name), in_file_order(joints_mm[:frames]))
        write_cdf(self.path("joints_px", subject, name), in_file_order(joints_px[:frames]))
        shown = joints_px[: frames if video_frames is None else video_frames]
        write_video(self.path("video", subject, name), [draw(joints, *size) for joints in shown])
        if masks:
            boxes = [mask_box(joints) for joints in joints_px[:frames]]
            write_masks(self.path("masks", subject, name), boxes, *size)
        return self
