"""Equal arguments give equal bytes: with more workers, and after a run that was ended."""

import fcntl
import json
import multiprocessing
import shutil

import cv2
import pytest

from gluon_dkpr.data import read_info
from gluon_dkpr.data.h36m import H36mError, Options, Selection, make, make_h36m_record
from tests.data.h36m.raw_tree import RawTree

NAMES = ("Posing", "Eating 1", "Walking 1")


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    tree = RawTree(tmp_path_factory.mktemp("raw"))
    for subject in ("S1", "S9"):
        for name in NAMES:
            tree.add(subject, name, frames=4, video_frames=5 if name == "Posing" else 4)
    return tree


@pytest.fixture(scope="module")
def whole(tree, tmp_path_factory):
    """The bytes of the data set that one uninterrupted run makes."""
    folder = tmp_path_factory.mktemp("whole")
    make_h36m_record(tree.root, folder / "set")
    return contents(folder)


def contents(folder):
    """Return the bytes of a finished data set in a folder that holds nothing else."""
    names = sorted(path.name for path in folder.iterdir())
    assert names == ["set.idx", "set.json", "set.rec", "set.summary.json"]
    # The summary has the times.
    return {name: (folder / name).read_bytes() for name in names[:3]}


class EndedError(Exception):
    pass


def end_after(videos):
    """Return a progress function that ends the run after so many videos of four frames."""
    done = []

    def progress(frames, total):
        assert total == 24
        done.append(frames)
        if sum(done) >= 4 * videos:
            raise EndedError

    return progress


def test_workers_do_not_matter(tree, whole, tmp_path):
    make_h36m_record(tree.root, tmp_path / "set", Options(workers=3))
    assert contents(tmp_path) == whole


def test_an_ended_run_goes_on(tree, whole, tmp_path):
    for videos in (2, 4):
        with pytest.raises(EndedError):
            make_h36m_record(tree.root, tmp_path / "set", Options(), end_after(videos))
        assert [path.name for path in tmp_path.iterdir()] == ["set.parts"]
        assert len(list(tmp_path.glob("set.parts/*.part"))) == videos
    summary = make_h36m_record(tree.root, tmp_path / "set")
    assert len(summary.resumed) == 4
    assert summary.samples == 8
    assert contents(tmp_path) == whole


def test_no_process_stays_behind(tree, tmp_path):
    with pytest.raises(EndedError):
        make_h36m_record(tree.root, tmp_path / "set", Options(workers=3), end_after(1))
    assert multiprocessing.active_children() == []


def test_what_a_killed_run_was_writing_is_removed(tree, whole, tmp_path):
    with pytest.raises(EndedError):
        make_h36m_record(tree.root, tmp_path / "set", Options(), end_after(1))
    parts = tmp_path / "set.parts"
    (parts / ".S9.Eating.1.54138969-abc.part").write_bytes(b"half a part")
    # A part without its report is not done.
    (parts / "S9.Eating.1.54138969.part").write_bytes(b"a part")
    with pytest.raises(EndedError):
        make_h36m_record(tree.root, tmp_path / "set", Options(), end_after(2))
    assert not list(parts.glob(".*"))
    make_h36m_record(tree.root, tmp_path / "set")
    assert contents(tmp_path) == whole


def test_a_run_that_ends_while_joining_goes_on(tree, whole, tmp_path, monkeypatch):
    def ended(*_, **__):
        raise EndedError

    with monkeypatch.context() as patch:
        patch.setattr(make, "write_record", ended)
        with pytest.raises(EndedError):
            make_h36m_record(tree.root, tmp_path / "set")
    summary = make_h36m_record(tree.root, tmp_path / "set")
    assert summary.samples == 0
    assert "every video was converted by an earlier run" in summary.speed()
    assert contents(tmp_path) == whole


@pytest.fixture
def unfinished(tree, tmp_path):
    """The path of a data set of which one video is converted."""
    with pytest.raises(EndedError):
        make_h36m_record(tree.root, tmp_path / "set", Options(), end_after(1))
    return tmp_path / "set"


@pytest.mark.parametrize(
    "options, difference",
    [
        (Options(Selection(every=2)), r"parameters: every was 1, is now 2"),
        (Options(Selection(frames=3)), r"parameters: frames was None, is now 3"),
        (Options(Selection(seed=4)), r"parameters: seed was 0, is now 4"),
        (Options(boxes="joints"), r"parameters: boxes was 'auto', is now 'joints'"),
        (Options(keep_damaged=True), r"parameters: keep_damaged was False, is now True"),
    ],
)
def test_other_arguments_are_refused(tree, unfinished, options, difference):
    with pytest.raises(H36mError, match=rf"other arguments: {difference}; repeat.*--fresh"):
        make_h36m_record(tree.root, unfinished, options)


def test_another_raw_folder_is_refused(tree, unfinished, tmp_path):
    shutil.copytree(tree.root, tmp_path / "raw")
    path = RawTree(tmp_path / "raw").path("video", "S9", "Posing.54138969")
    with open(path, "ab") as file:
        file.write(b"!")
    with pytest.raises(H36mError, match=r"files: S9/Videos/Posing\.54138969\.mp4 was \d+, is now"):
        make_h36m_record(tmp_path / "raw", unfinished)
    # The same files in another place are the same.
    path.write_bytes(path.read_bytes()[:-1])
    assert len(make_h36m_record(tmp_path / "raw", unfinished).resumed) == 1


def test_other_libraries_are_refused(tree, unfinished, monkeypatch):
    monkeypatch.setattr(cv2, "__version__", "0.0.1")
    with pytest.raises(H36mError, match=r"versions: opencv was '.*', is now '0\.0\.1'"):
        make_h36m_record(tree.root, unfinished)


@pytest.mark.parametrize("before", [1, 3, 6])
def test_starting_anew_goes_on_if_it_is_ended(before, tree, tmp_path):
    """However many videos the run before it left, in whichever order the folder lists them."""
    other, path = Selection(seed=4), tmp_path / "set"
    with pytest.raises(EndedError):
        make_h36m_record(tree.root, path, Options(), end_after(before))
    with pytest.raises(EndedError):
        make_h36m_record(tree.root, path, Options(other, fresh=True), end_after(3))
    names = [name.name for name in tmp_path.glob("set.parts/*")]
    assert "manifest.json" in names
    assert len(names) == 2 + 2 * 3
    assert len(make_h36m_record(tree.root, path, Options(other)).resumed) == 3


def test_starting_anew(tree, unfinished):
    summary = make_h36m_record(tree.root, unfinished, Options(Selection(every=2), fresh=True))
    assert summary.resumed == []
    assert read_info(unfinished).splits == {"train": (0, 6), "test": (6, 12)}
    assert not unfinished.with_name("set.parts").exists()


def test_a_damaged_part_is_noticed(tree, unfinished, whole):
    (part,) = unfinished.with_name("set.parts").glob("*.part")
    content = bytearray(part.read_bytes())
    for change in ("flip", "cut", "longer"):
        broken = bytearray(content)
        if change == "flip":
            broken[len(broken) // 2] ^= 1
        broken = broken[:-5] if change == "cut" else broken
        broken += b"!" if change == "longer" else b""
        part.write_bytes(broken)
        with pytest.raises(H36mError, match=r"S1\.Eating\.1\.54138969\.part: damaged: .*--fresh"):
            make_h36m_record(tree.root, unfinished)
        assert not unfinished.with_name("set.rec").exists()
    make_h36m_record(tree.root, unfinished, Options(fresh=True))
    assert contents(unfinished.parent) == whole


def test_a_damaged_report_is_noticed(tree, unfinished):
    path = unfinished.with_name("set.parts") / "S1.Eating.1.54138969.json"
    report = json.loads(path.read_text())
    for missing in ("samples", "problems", "bytes"):
        path.write_text(json.dumps({key: report[key] for key in report if key != missing}))
        with pytest.raises(H36mError, match=rf"54138969\.json: damaged: no '{missing}'; --fresh"):
            make_h36m_record(tree.root, unfinished)
    path.write_text("{")
    with pytest.raises(H36mError, match=r"54138969\.json: damaged; --fresh"):
        make_h36m_record(tree.root, unfinished)


def test_two_runs_at_once_are_refused(tree, unfinished):
    with open(unfinished.with_name("set.parts") / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(H36mError, match=r"set\.parts: another run is converting"):
            make_h36m_record(tree.root, unfinished)


def test_a_folder_of_that_name_with_something_else_is_kept(tree, tmp_path):
    (tmp_path / "set.parts").mkdir()
    (tmp_path / "set.parts" / "thesis.tex").write_text("years of work")
    for fresh in (False, True):
        with pytest.raises(H36mError, match=r"thesis\.tex: not of an unfinished run"):
            make_h36m_record(tree.root, tmp_path / "set", Options(fresh=fresh))
    (left,) = (tmp_path / "set.parts").iterdir()
    assert left.read_text() == "years of work"


def test_a_disk_that_is_too_small(tree, tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)._replace(free=10_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    with pytest.raises(H36mError, match=r"0\.00 GB free, expected 0\.00 GB for the data set"):
        make_h36m_record(tree.root, tmp_path / "new" / "set")
    assert list(tmp_path.iterdir()) == []


def test_the_summary_file(tree, tmp_path):
    make_h36m_record(tree.root, tmp_path / "set")
    summary = json.loads((tmp_path / "set.summary.json").read_text())
    assert summary["splits"] == {"train": 12, "test": 12}
    assert len(summary["problems"]) == 5 + 2
    video = summary["videos"]["S9.Posing.1.54138969"]
    assert video["samples"] == 4
    assert video["boxes"] == {"masks": 0, "joints": 4}
    assert video["camera"]["residual_px"] < 0.01
    assert video["seconds"] > 0
    # Far below one GB, and it does not grow with the length of the video.
    assert 10 < video["peak_mb"] < 1000
