"""60 frames/s of a core and 1 GB are enough for 1000 x 1002 px, however long the video."""

import time

import cv2
import pytest

from gluon_dkpr.data.h36m import make_h36m_record
from gluon_dkpr.data.h36m.convert import Task, convert_clip, set_up_process
from gluon_dkpr.data.h36m.layouts import find_clips
from gluon_dkpr.data.h36m.plan import Selection, make_plan
from tests.data.h36m.raw_tree import RawTree


@pytest.mark.slow
@pytest.mark.parametrize("masks", [True, False])
def test_frames_a_second_of_a_core(tmp_path, request, masks):
    tree = RawTree(tmp_path / "raw").add("S1", "Posing", frames=300, masks=masks)
    catalogue = find_clips(tree.root)
    plan = make_plan(catalogue, Selection())
    (planned,) = plan.all_clips
    request.addfinalizer(lambda: cv2.setNumThreads(-1))
    set_up_process()
    (tmp_path / "parts").mkdir()
    task = Task(
        catalogue.raw,
        planned.clip,
        planned.wanted,
        plan.skeleton,
        1.0,
        "auto",
        False,
        tmp_path / "parts",
    )
    begin = time.process_time()
    report = convert_clip(task, lambda frames: None)
    seconds = time.process_time() - begin
    assert (report["samples"], report["problems"]) == (300, [])
    assert 300 / seconds >= 60


@pytest.mark.slow
def test_memory_does_not_grow_with_the_video(tmp_path):
    peaks = []
    for frames in (50, 1000):
        tree = RawTree(tmp_path / str(frames)).add("S1", "Posing", frames=frames)
        peaks.append(make_h36m_record(tree.root, tmp_path / f"set{frames}").peak_mb)
    assert peaks[1] < 1000
    # Joints, targets and labels take some kB a frame; a decoded frame would take 3 MB.
    assert peaks[1] - peaks[0] < 30
