"""Images: to file bytes and back, and to a network's input."""

import io
import struct

import cv2
import numpy as np
import pytest
from PIL import Image

from gluon_dkpr.data import ImageFormat, RecordError, to_network_input
from gluon_dkpr.data.image_size import image_size


@pytest.mark.parametrize(
    ("channels", "encoding"), [(1, "png"), (3, "png"), (1, "png-binary")], ids=str
)
def test_png_keeps_every_pixel(channels, encoding):
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (7, 13, channels), dtype=np.uint8)
    if encoding == "png-binary":
        image = np.where(image > 127, 255, 0).astype(np.uint8)
    form = ImageFormat(7, 13, channels, encoding)
    np.testing.assert_array_equal(form.decode(form.encode(image)), image)


def test_jpeg_keeps_the_order_of_the_channels():
    image = np.zeros((16, 16, 3), np.uint8)
    image[..., 0] = 200
    form = ImageFormat(16, 16, 3, "jpeg")
    decoded = form.decode(form.encode(image))
    assert np.abs(decoded.astype(int) - image).max() < 10
    # Red is red for other programs as well; OpenCV itself reads blue, green, red.
    by_opencv = cv2.imdecode(np.frombuffer(form.encode(image), np.uint8), cv2.IMREAD_COLOR)
    assert by_opencv[0, 0, 2] > 180


@pytest.mark.parametrize(("channels", "encoding"), [(1, "png"), (3, "png"), (3, "jpeg")], ids=str)
def test_decoding_into_a_batch(channels, encoding):
    form = ImageFormat(6, 5, channels, encoding)
    rng = np.random.default_rng(0)
    data = form.encode(rng.integers(0, 256, form.shape, dtype=np.uint8))
    batch = np.full((3, *form.shape), 7, np.uint8)
    form.decode(memoryview(data), out=batch[1])
    np.testing.assert_array_equal(batch[1], form.decode(data))
    assert (batch[[0, 2]] == 7).all()


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((4, 4), np.uint8),
        np.zeros((4, 5, 1), np.uint8),
        np.zeros((4, 4, 1), np.float32),
        np.full((4, 4, 1), 7, np.uint8),
    ],
)
def test_encode_refuses_what_it_would_change(image):
    with pytest.raises(RecordError):
        ImageFormat(4, 4, 1, "png-binary").encode(image)


@pytest.mark.parametrize("data", [b"", b"no image", b"\x89PNG\r\n\x1a\n"])
def test_bytes_that_are_no_image_are_refused(data):
    with pytest.raises(RecordError, match="not a png image"):
        ImageFormat(4, 4, 1, "png").decode(data)


def test_image_of_another_size_is_refused():
    data = ImageFormat(4, 4, 1, "png").encode(np.zeros((4, 4, 1), np.uint8))
    with pytest.raises(RecordError, match="4 x 4 px, expected 4 x 5"):
        ImageFormat(4, 5, 1, "png").decode(data)


def with_size(data, height, width):
    """Return a PNG or JPEG whose header claims another size."""
    if data[1:4] == b"PNG":
        return data[:16] + struct.pack(">II", width, height) + data[24:]
    place = data.index(b"\xff\xc0") + 5
    return data[:place] + struct.pack(">HH", height, width) + data[place + 4 :]


@pytest.mark.parametrize("encoding", ["png", "jpeg"])
@pytest.mark.parametrize("size", [(20_000, 20_000), (8, 20_000), (8, 8)])
def test_another_size_is_refused_before_it_is_decoded(encoding, size, monkeypatch):
    """A file of some kilobytes can be one of gigabytes in memory."""
    form = ImageFormat(8, 6, 3, encoding)
    data = with_size(form.encode(np.zeros(form.shape, np.uint8)), *size)
    monkeypatch.setattr(cv2, "imdecode", lambda *_: pytest.fail("decoded"))
    with pytest.raises(RecordError, match=f"is {size[0]} x {size[1]} px, expected 8 x 6 px"):
        form.decode(memoryview(data))


def saved(size, **how):
    buffer = io.BytesIO()
    image = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    Image.fromarray(image).save(buffer, **how)
    return buffer.getvalue()


@pytest.mark.parametrize(
    "how",
    [
        {"format": "JPEG"},
        {"format": "JPEG", "progressive": True},
        {"format": "JPEG", "comment": b"\xff\xc0 is no frame"},
        {"format": "JPEG", "icc_profile": bytes(70_000)},
        {"format": "PNG", "bits": 8},
    ],
)
def test_size_is_that_of_the_decoder(how):
    data = saved((31, 45), **how)
    assert image_size(data) == image_size(memoryview(data)) == (31, 45)
    assert ImageFormat(31, 45, 3, "jpeg").decode(data).shape == (31, 45, 3)
    assert {image_size(data[:end]) for end in range(len(data))} <= {None, (31, 45)}


def test_markers_may_be_padded():
    data = saved((31, 45), format="JPEG")
    place = data.index(b"\xff\xdb")
    assert image_size(data[:place] + b"\xff\xff" + data[place:]) == (31, 45)


@pytest.mark.parametrize("marker", [0x00, 0x01, 0xD0, 0xD8, 0xD9, 0xDA])
def test_a_frame_that_only_we_would_see_counts_for_nothing(marker):
    """The decoder goes on right behind these markers, at the true frame."""
    whole = saved((31, 45), format="JPEG")
    false = whole[: whole.index(b"\xff\xda")]
    data = whole[:2] + bytes([0xFF, marker]) + struct.pack(">H", 2) + false[2:] + whole[2:]
    assert image_size(data) is None


def test_turned_image_has_the_size_that_it_is_seen_with():
    exif = Image.Exif()
    exif[0x0112] = 6
    data = saved((4, 5), format="JPEG", exif=exif)
    assert ImageFormat(5, 4, 3, "jpeg").decode(data).shape == (5, 4, 3)
    with pytest.raises(RecordError, match="image is 5 x 4 px, expected 4 x 5 px"):
        ImageFormat(4, 5, 3, "jpeg").decode(data)


@pytest.mark.parametrize(
    ("out", "message"),
    [
        (np.zeros((4, 5, 1), np.uint8), r"out is uint8 \(4, 5, 1\), expected uint8 \(4, 5, 3\)"),
        (np.zeros((4, 5, 3), np.float32), r"out is float32 \(4, 5, 3\)"),
        ([0], "out is list"),
        (np.zeros((4, 10, 3), np.uint8)[:, ::2], "out is not contiguous"),
        (np.frombuffer(bytes(60), np.uint8).reshape(4, 5, 3), "or read only"),
    ],
)
def test_only_into_an_array_that_fits(out, message):
    form = ImageFormat(4, 5, 3, "png")
    with pytest.raises(RecordError, match=message):
        form.decode(form.encode(np.full(form.shape, 9, np.uint8)), out=out)


@pytest.mark.parametrize(
    "values", [(0, 4, 1, "png"), (4, 4.0, 1, "png"), (4, 4, 2, "png"), (4, 4, 3, "png-binary")]
)
def test_bad_format_is_refused(values):
    with pytest.raises(RecordError):
        ImageFormat(*values)
    with pytest.raises(RecordError, match="encoding is 'gif'"):
        ImageFormat(4, 4, 1, "gif")


def test_network_input_moves_channels_and_scales_to_one():
    images = np.random.default_rng(0).integers(0, 256, (2, 3, 5, 3), dtype=np.uint8)
    images[0, 0, 0] = 0, 255, 51
    found = to_network_input(images)
    assert found.dtype == np.float32
    assert found.shape == (2, 3, 3, 5)
    assert found.flags.c_contiguous
    for b, h, w, c in np.ndindex(images.shape):
        assert found[b, c, h, w] == np.float32(images[b, h, w, c]) / np.float32(255)
    np.testing.assert_array_equal(found[0, :, 0, 0], np.array([0, 1, 0.2], np.float32))


@pytest.mark.parametrize(
    "images", [np.zeros((2, 3, 5, 3), np.float32), np.zeros((3, 5, 3), np.uint8)]
)
def test_network_input_refuses_other_arrays(images):
    with pytest.raises(RecordError, match="expected uint8"):
        to_network_input(images)
