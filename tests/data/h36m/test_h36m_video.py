"""Frames of a video come with their true number, or not at all.

``bframes.mp4`` is H.264 of 60 frames with 26 B frames, which are stored in another order than they
are shown; ffmpeg 4.2.2 made it of generated pictures (``-c:v libx264 -preset slow -bf 3 -g 24``).
Frame i shows i as six blocks, the first the lowest bit.
"""

import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from gluon_dkpr.data.h36m.names import H36mError
from gluon_dkpr.data.h36m.video import Video
from tests.data.h36m.raw_tree import write_video

B_FRAMES = Path(__file__).with_name("bframes.mp4")


def number_shown(picture):
    return sum(int(picture[8, 16 * bit + 8].mean() > 128) << bit for bit in range(6))


def blocks(number):
    picture = np.zeros((96, 128, 3), np.uint8)
    for bit in range(6):
        picture[:16, 16 * bit : 16 * bit + 16] = 250 * (number >> bit & 1)
    return picture


def numbers(video, wanted, count):
    return [(number, number_shown(picture)) for number, picture in video.frames(wanted, count)]


def same(*wanted):
    return [(number, number) for number in wanted]


@pytest.fixture(params=["h264", "mpeg4"])
def path(request, tmp_path):
    """A video of 60 frames that show their numbers."""
    if request.param == "h264":
        return B_FRAMES
    write_video(tmp_path / "a.mp4", [blocks(number) for number in range(60)])
    return tmp_path / "a.mp4"


def test_every_frame_has_its_number(path):
    with Video(path) as video:
        assert numbers(video, np.arange(60), 60) == same(*range(60))
        assert (video.frames_read, video.frames_stated, video.ending) == (60, 60, None)
        assert not video.has_more()


def test_only_wanted_frames_and_none_after_the_last_pose(path):
    with Video(path) as video:
        assert numbers(video, np.array([3, 4, 17, 40]), 41) == same(3, 4, 17, 40)
        assert video.frames_read == 41
        assert video.has_more()


def test_fewer_frames_than_asked_for(path):
    with Video(path) as video:
        assert numbers(video, np.array([58, 59, 60, 70]), 80) == same(58, 59)
        assert (video.frames_read, video.ending) == (60, "ended")


def damaged(path, begin, end, seed=0):
    """Return the bytes of a video with noise in it, from ``begin`` to ``end`` of its length."""
    content = bytearray(path.read_bytes())
    begin, end = (int(len(content) * part) for part in (begin, end))
    noise = np.random.default_rng(seed).integers(0, 256, end - begin, dtype=np.uint8)
    content[begin:end] = noise.tobytes()
    return bytes(content)


def test_a_damaged_video_ends_before_the_damage(path, tmp_path):
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(damaged(path, 0.5, 0.6))
    with Video(path) as video:
        good = [picture.copy() for _, picture in video.frames(np.arange(60), 60)]
    with Video(broken) as video:
        found = [(number, p.copy()) for number, p in video.frames(np.arange(60), 60)]
        assert video.ending.startswith("damaged: ")
        assert video.frames_read == len(found)
    assert 5 < len(found) < 55
    for number, picture in found:
        np.testing.assert_array_equal(picture, good[number])


@pytest.mark.parametrize("begin", [0.3, 0.4, 0.5, 0.6])
def test_a_scratch_spoils_frames_until_the_next_key_frame(tmp_path, begin):
    """FFmpeg conceals it: every frame is there, and shows what was to be seen some frames ago."""
    (tmp_path / "a.mp4").write_bytes(damaged(B_FRAMES, begin, begin + 0.003))
    with Video(tmp_path / "a.mp4", keep_damaged=True) as video:
        found = numbers(video, np.arange(60), 60)
        assert video.errors > 0
    assert len(found) == 60
    first_wrong = [shown == number for number, shown in found].index(False)
    assert found[48:] == same(*range(48, 60))
    with Video(tmp_path / "a.mp4") as video:
        found = numbers(video, np.arange(60), 60)
        assert "the decoder says" in video.ending
    assert found == same(*range(len(found)))
    assert first_wrong - 4 <= len(found) <= first_wrong


def test_a_dropped_frame_shifts_no_other(tmp_path, monkeypatch):
    """Time stamps tell: FFmpeg leaves out what it cannot decode at all."""

    class Dropping:
        def __init__(self, *arguments):
            self.real, self.count = cv2_capture(*arguments), 0

        def __getattr__(self, name):
            return getattr(self.real, name)

        def grab(self):
            self.count += 1
            if self.count == 21:
                self.real.grab()
            return self.real.grab()

    cv2_capture = cv2.VideoCapture
    monkeypatch.setattr(cv2, "VideoCapture", Dropping)
    with Video(B_FRAMES) as video:
        assert numbers(video, np.arange(60), 60) == same(*range(20))
        assert video.ending == "damaged: the next frame is 2.0 frames after the one before"


def test_a_first_frame_that_is_not_the_first(monkeypatch):
    capture = cv2.VideoCapture

    def without_the_first(*arguments):
        opened = capture(*arguments)
        opened.grab()
        return opened

    monkeypatch.setattr(cv2, "VideoCapture", without_the_first)
    with Video(B_FRAMES) as video:
        assert numbers(video, np.arange(60), 60) == []
        assert "damaged" in video.ending


@pytest.mark.parametrize("content", [b"", b"no video", B_FRAMES.read_bytes()[:-9000]])
def test_what_cannot_be_opened(tmp_path, content):
    (tmp_path / "a.mp4").write_bytes(content)
    with pytest.raises(H36mError, match="cannot be opened"):
        Video(tmp_path / "a.mp4")


def test_another_frame_rate_is_another_video(tmp_path):
    write_video(tmp_path / "a.mp4", [blocks(number) for number in range(10)], fps=25)
    with pytest.raises(H36mError, match=r"25\.00 frames/s, expected 50"):
        Video(tmp_path / "a.mp4")


def test_standard_error_is_given_back(tmp_path, capfd):
    (tmp_path / "a.mp4").write_bytes(damaged(B_FRAMES, 0.3, 0.9))
    before = sorted(os.listdir("/proc/self/fd"))
    with Video(tmp_path / "a.mp4", keep_damaged=True) as video:
        list(video.frames(np.arange(60), 60))
    with pytest.raises(H36mError):
        Video(tmp_path / "nothing.mp4")
    os.write(2, b"here again\n")
    assert capfd.readouterr() == ("", "here again\n")
    assert len(os.listdir("/proc/self/fd")) == len(before)
