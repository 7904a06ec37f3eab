"""Picture files of every kind, and what a network sees of them."""

import struct
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image, ImageFile

from gluon_dkpr.data import render_planar
from gluon_dkpr.engine.pictures import PictureFileError, read_picture, to_network_image
from gluon_dkpr.geometry import forward_kinematics
from gluon_dkpr.skeleton import planar

SHAPE = (128, 128, 1)


def toy_picture():
    """Return a picture of the toy, grey, 0 and 255, shape (128, 128)."""
    joints = forward_kinematics(planar(3), [[60.0, 40.0, np.radians(35.0)]])
    return render_planar(planar(3), joints, 128, 128)[0, ..., 0]


def save(picture, path, **options):
    Image.fromarray(picture).save(path, **options)
    return path


class TestWhatTheNetworkSees:
    def test_the_toys_own_picture_as_it_is(self):
        grey = toy_picture()
        image, crop = to_network_image(np.dstack([grey] * 3), SHAPE)
        np.testing.assert_array_equal(image[..., 0], grey)
        assert (crop.left, crop.top, crop.side) == (0, 0, 128)

    def test_only_black_and_white(self):
        noise = np.random.default_rng(0).integers(0, 140, (200, 150, 3), dtype=np.uint8)
        noise[20:60, 20:60] = 200
        image, _ = to_network_image(noise, SHAPE)
        assert set(np.unique(image)) == {0, 255}

    @pytest.mark.parametrize(("level", "white"), [(127, False), (128, True)])
    def test_white_from_half_on(self, level, white):
        picture = np.zeros((128, 128, 3), np.uint8)
        picture[:10], picture[20:30] = level, 255
        image, _ = to_network_image(picture, SHAPE)
        assert image[:10].all() == white
        assert image[:10].any() == white
        assert image[20:30].all()

    def test_colours_count_by_their_brightness(self):
        picture = np.zeros((128, 128, 3), np.uint8)
        # 0.299, 0.587 and 0.114 of white.
        picture[:10, :, 0], picture[20:30, :, 1], picture[40:50, :, 2] = 255, 255, 255
        image, _ = to_network_image(picture, SHAPE)
        assert image[20:30].all()
        assert not image[:20].any()
        assert not image[30:].any()

    def test_colours_stay_for_a_network_of_three_channels(self):
        picture = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
        image, _ = to_network_image(picture, (64, 64, 3))
        np.testing.assert_array_equal(image, picture)

    def test_grey_stays_for_a_network_that_knows_grey(self):
        levels = np.arange(256, dtype=np.uint8).repeat(64).reshape(128, 128)
        image, _ = to_network_image(np.dstack([levels] * 3), SHAPE, grey=True)
        np.testing.assert_array_equal(image[..., 0], levels)
        colour = np.full((128, 128, 3), (200, 10, 90), np.uint8)
        image, _ = to_network_image(colour, SHAPE, grey=True)
        assert (image == round(0.299 * 200 + 0.587 * 10 + 0.114 * 90)).all()
        image, _ = to_network_image(np.zeros((100, 100, 3), np.uint8), SHAPE, grey=True)
        assert not image.any()

    @pytest.mark.parametrize(
        ("level", "expected"), [(0, "nothing in it is white"), (255, "100% of it is white")]
    )
    def test_pictures_without_lines(self, level, expected):
        with pytest.raises(PictureFileError, match=expected):
            to_network_image(np.full((100, 100, 3), level, np.uint8), SHAPE)


def transparent():
    grey = toy_picture()
    return np.dstack([np.full_like(grey, 255)] * 3 + [grey])


PICTURES = {
    "grey.png": lambda path: save(toy_picture(), path),
    "rgb.png": lambda path: save(np.dstack([toy_picture()] * 3), path),
    "rgba.png": lambda path: save(transparent(), path),
    "grey-alpha.png": lambda path: Image.fromarray(transparent()).convert("LA").save(path),
    "bit.png": lambda path: Image.fromarray(toy_picture()).convert("1").save(path),
    "palette.png": lambda path: (
        Image.fromarray(np.dstack([toy_picture()] * 3)).convert("P").save(path)
    ),
    "grey16.png": lambda path: cv2.imwrite(str(path), toy_picture().astype(np.uint16) * 257),
    "rgb16.png": lambda path: cv2.imwrite(
        str(path), np.dstack([toy_picture()] * 3).astype(np.uint16) * 257
    ),
    "grey.jpg": lambda path: save(toy_picture(), path, quality=95),
    "colour.jpeg": lambda path: save(np.dstack([toy_picture()] * 3), path, quality=95),
    "misnamed.gif": lambda path: save(toy_picture(), path, format="PNG"),
}


class TestFiles:
    @pytest.mark.parametrize("name", PICTURES)
    def test_every_kind_shows_the_same(self, name, tmp_path):
        PICTURES[name](tmp_path / name)
        picture = read_picture(tmp_path / name)
        assert (picture.dtype, picture.shape) == (np.uint8, (128, 128, 3))
        image, _ = to_network_image(picture, SHAPE)
        np.testing.assert_array_equal(image[..., 0], toy_picture())

    def test_grey_levels_of_sixteen_bits(self, tmp_path):
        levels = np.arange(65536, dtype=np.uint16).reshape(256, 256)
        cv2.imwrite(str(tmp_path / "levels.png"), levels)
        np.testing.assert_array_equal(
            read_picture(tmp_path / "levels.png"), np.dstack([levels >> 8] * 3)
        )

    def test_a_photo_that_is_marked_as_turned(self, tmp_path):
        picture = np.zeros((40, 80, 3), np.uint8)
        picture[:, :20] = 255
        exif = Image.Exif()
        exif[0x0112] = 6  # to be turned by 90 degrees clockwise
        save(picture, tmp_path / "photo.jpg", exif=exif.tobytes(), quality=95)
        seen = read_picture(tmp_path / "photo.jpg")
        assert seen.shape == (80, 40, 3)
        assert seen[:16].min() > 200
        assert seen[24:].max() < 50

    @pytest.mark.parametrize("part", [0.0, 0.05, 0.5, 0.8])
    @pytest.mark.parametrize("name", ["grey.png", "colour.jpeg"])
    def test_truncated(self, name, part, tmp_path, monkeypatch):
        # As GluonCV sets it for the whole process.
        monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
        path = tmp_path / name
        PICTURES[name](path)
        path.write_bytes(path.read_bytes()[: int(part * path.stat().st_size)])
        with pytest.raises(PictureFileError, match="damaged|neither PNG nor JPEG") as error:
            read_picture(path)
        assert str(path) in str(error.value)
        assert "\n" not in str(error.value)

    @pytest.mark.parametrize("name", ["rgba.png", "grey16.png", "colour.jpeg"])
    def test_flipped_bits_give_a_picture_or_one_error(self, name, tmp_path):
        path = tmp_path / name
        PICTURES[name](path)
        data = path.read_bytes()
        generator = np.random.default_rng(0)
        errors = 0
        for _ in range(150):
            broken = bytearray(data)
            broken[generator.integers(len(data))] ^= 1 << generator.integers(8)
            path.write_bytes(broken)
            try:
                assert read_picture(path).dtype == np.uint8
            except PictureFileError as error:
                errors += 1
                assert str(path) in str(error)
        assert errors

    @pytest.mark.parametrize(("width", "height"), [(60_000, 60_000), (9000, 9000), (17_000, 2)])
    def test_a_small_file_that_claims_to_be_huge(self, width, height, tmp_path):
        header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
        chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(b"")), (b"IEND", b""))
        data = b"\x89PNG\r\n\x1a\n"
        for kind, body in chunks:
            check = zlib.crc32(kind + body)
            data += struct.pack(">I", len(body)) + kind + body + struct.pack(">I", check)
        (tmp_path / "huge.png").write_bytes(data)
        with pytest.raises(PictureFileError, match=r"huge\.png: "):
            read_picture(tmp_path / "huge.png")

    @pytest.mark.parametrize("name", ["missing.png", "folder", "text.png", "animation.gif"])
    def test_what_is_no_picture(self, name, tmp_path):
        (tmp_path / "folder").mkdir()
        (tmp_path / "text.png").write_text("a text")
        save(toy_picture(), tmp_path / "animation.gif")
        with pytest.raises(PictureFileError, match="PNG") as error:
            read_picture(tmp_path / name)
        assert str(tmp_path / name) in str(error.value)
