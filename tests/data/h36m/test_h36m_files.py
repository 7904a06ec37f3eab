"""What is found in a raw folder: names, layouts, metadata.xml, CDF files."""

import numpy as np
import pytest

from gluon_dkpr.data.h36m import poses
from gluon_dkpr.data.h36m.layouts import find_clips
from gluon_dkpr.data.h36m.metadata import read_subactions
from gluon_dkpr.data.h36m.names import FILE_JOINTS, JOINTS, SUBJECTS, H36mError, Take, parse_take
from gluon_dkpr.data.h36m.poses import read_joints
from gluon_dkpr.data.human import ACTIONS
from gluon_dkpr.skeleton import human36m
from tests.data.h36m.raw_tree import FILE_ROWS, LAYOUTS, SUFFIXES, in_file_order, write_cdf

ALL_KINDS = ("joints_mm", "joints_px", "video", "masks")


class TestNames:
    @pytest.mark.parametrize(
        "name, take",
        [
            ("Directions", ("Directions", None)),
            ("Directions 1", ("Directions", 1)),
            ("Sitting 2", ("Sitting", 2)),
            ("SittingDown 2", ("SittingDown", 2)),
            ("TakingPhoto 1", ("Photo", 1)),
            ("Photo", ("Photo", None)),
            ("WalkingDog", ("WalkDog", None)),
            ("WalkDog 1", ("WalkDog", 1)),
            ("Walking 1", ("Walking", 1)),
            ("WalkTogether 2", ("WalkTogether", 2)),
            ("WalkingTogether", ("WalkTogether", None)),
        ],
    )
    def test_known(self, name, take):
        assert parse_take(name) == Take(*take)

    @pytest.mark.parametrize(
        "name", ["", "_ALL 1", "Sittin", "SittingDow", "Directions1", "Directions 1 ", "Walk 1"]
    )
    def test_unknown(self, name):
        assert parse_take(name) is None

    def test_every_action_is_its_own_name(self):
        assert [parse_take(action) for action in ACTIONS] == [Take(a, None) for a in ACTIONS]

    def test_joints_are_those_of_the_skeleton(self):
        expected = [FILE_ROWS[name] for name in human36m().joint_names]
        assert list(JOINTS) == expected
        assert max(JOINTS) < FILE_JOINTS


def touch(root, layout, subject, *names, kinds=ALL_KINDS):
    for name in names:
        for kind in kinds:
            path = root / LAYOUTS[layout][kind].format(subject) / (name + SUFFIXES[kind])
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()


def problems_of(found, *left_out):
    left_out += ("missing subject",)
    return [tuple(p) for p in found.problems if p.kind not in left_out]


@pytest.mark.parametrize("layout", LAYOUTS)
class TestLayouts:
    def test_subactions_by_name(self, tmp_path, layout):
        names = ["Directions 1", "Directions", "Eating 2", "Eating", "Sitting 1", "Sitting 2"]
        names += ["SittingDown 2", "SittingDown", "_ALL 1", "_ALL"]
        touch(tmp_path, layout, "S1", *(f"{name}.54138969" for name in names))
        found = find_clips(tmp_path)
        assert problems_of(found) == []
        assert [(c.action, c.subaction, c.video.stem) for c in found.clips] == [
            ("Directions", 1, "Directions 1.54138969"),
            ("Directions", 2, "Directions.54138969"),
            ("Eating", 1, "Eating 2.54138969"),
            ("Eating", 2, "Eating.54138969"),
            ("Sitting", 1, "Sitting 1.54138969"),
            ("Sitting", 2, "Sitting 2.54138969"),
            ("SittingDown", 1, "SittingDown 2.54138969"),
            ("SittingDown", 2, "SittingDown.54138969"),
        ]
        assert found.subactions == "file names"

    def test_sorted_by_subject_action_subaction_and_camera(self, tmp_path, layout):
        cameras = ("60457274", "54138969")
        for subject in ("S11", "S9", "S5"):
            for camera in cameras:
                touch(tmp_path, layout, subject, f"Walking 1.{camera}", f"Directions.{camera}")
        found = find_clips(tmp_path)
        expected = [
            (SUBJECTS.index(subject), ACTIONS.index(action), 1, camera)
            for subject in ("S5", "S9", "S11")
            for action in ("Directions", "Walking")
            for camera in (0, 3)
        ]
        assert [clip.numbers for clip in found.clips] == expected
        assert [p.where for p in found.problems] == ["S1", "S6", "S7", "S8"]

    def test_what_is_missing_is_said(self, tmp_path, layout):
        touch(tmp_path, layout, "S1", "Eating.54138969")
        touch(tmp_path, layout, "S1", "Posing.54138969", kinds=("joints_mm", "joints_px"))
        touch(tmp_path, layout, "S1", "Posing.55011271", kinds=("video",))
        touch(tmp_path, layout, "S1", "Posing.58860488", kinds=("masks",))
        touch(
            tmp_path, layout, "S1", "Smoking 1.54138969", kinds=("joints_mm", "joints_px", "video")
        )
        found = find_clips(tmp_path)
        assert [(c.action, c.masks is None) for c in found.clips] == [
            ("Eating", False),
            ("Smoking", True),
        ]
        assert problems_of(found) == [
            ("missing file", "S1/Posing.54138969", "no video: not converted"),
            ("missing file", "S1/Posing.55011271", "no 3-D joints and 2-D joints: not converted"),
            ("missing file", "S1/Posing.58860488", "boxes, but nothing else"),
        ]

    def test_unknown_names_and_subjects_are_said(self, tmp_path, layout):
        touch(tmp_path, layout, "S1", "Eating.54138969", "Juggling.54138969", "Eating.12345678")
        touch(tmp_path, layout, "S10", "Eating.54138969")
        found = find_clips(tmp_path)
        assert len(found.clips) == 1
        unknown = [p for p in found.problems if p.kind == "unknown file name"]
        assert len(unknown) == 2 * len(ALL_KINDS)
        assert all("expected ACTION.CAMERA" in p.message for p in unknown)
        assert [p.where for p in found.problems if p.kind == "other subject"] == ["S10"]

    def test_files_of_one_take_may_have_different_synonyms(self, tmp_path, layout):
        touch(tmp_path, layout, "S5", "TakingPhoto 2.54138969", kinds=("joints_mm", "video"))
        touch(tmp_path, layout, "S5", "Photo 2.54138969", kinds=("joints_px", "masks"))
        found = find_clips(tmp_path)
        assert problems_of(found) == []
        assert [(c.action, c.masks.stem) for c in found.clips] == [("Photo", "Photo 2.54138969")]

    def test_two_files_of_one_take_are_said(self, tmp_path, layout):
        touch(tmp_path, layout, "S5", "Photo.54138969", "TakingPhoto.54138969")
        found = find_clips(tmp_path)
        assert [clip.video.name for clip in found.clips] == ["Photo.54138969.mp4"]
        assert {p.kind for p in found.problems} == {"missing subject", "second file"}
        assert len([p for p in found.problems if p.kind == "second file"]) == len(ALL_KINDS)

    def test_wrong_positions_are_explained(self, tmp_path, layout):
        touch(tmp_path, layout, "S1", "Eating.54138969", kinds=("joints_px", "video"))
        folder = tmp_path / LAYOUTS[layout]["joints_mm"].format("S1")
        folder.with_name(folder.name + "_universal").mkdir()
        (problem,) = [p for p in find_clips(tmp_path).problems if p.kind == "missing file"]
        assert "D3_Positions_mono_universal, but they hide the size" in problem.message


def test_both_layouts_in_one_folder(tmp_path):
    touch(tmp_path, "archives", "S1", "Eating.54138969", kinds=("video",))
    touch(tmp_path, "flat", "S1", "Eating.54138969", kinds=("joints_mm", "joints_px"))
    touch(tmp_path, "flat", "S9", "Eating.54138969")
    found = find_clips(tmp_path)
    assert [clip.name for clip in found.clips] == [
        "S1.Eating.1.54138969",
        "S9.Eating.1.54138969",
    ]
    assert problems_of(found) == []


def test_the_flat_folder_itself(tmp_path):
    touch(tmp_path, "flat", "S1", "Eating.54138969")
    assert len(find_clips(tmp_path / "extracted").clips) == 1


@pytest.mark.parametrize("inside", [[], ["S1.tgz", "readme"]])
def test_no_subject(tmp_path, inside):
    for name in inside:
        (tmp_path / name).touch()
    with pytest.raises(H36mError, match=r"no subject in it, found (nothing|S1\.tgz, readme);"):
        find_clips(tmp_path)


def test_no_folder(tmp_path):
    with pytest.raises(H36mError, match="is no folder"):
        find_clips(tmp_path / "nowhere")


METADATA = """<?xml version="1.0"?>
<root>
 <actionnames><action>Directions</action></actionnames>
 <mapping>
  <tr><td></td><td></td><td>S1</td><td>S5</td></tr>
  <tr><td>1</td><td>1</td><td>_ALL 1</td><td>_ALL 1</td></tr>
  <tr><td>10</td><td>1</td><td>SittingDown 2</td><td>SittingDown</td></tr>
  <tr><td>10</td><td>2</td><td>SittingDown</td><td>SittingDown 1</td></tr>
  <tr><td>12</td><td>1</td><td>TakingPhoto 1</td><td>Photo</td></tr>
  <tr><td>subtotal</td><td></td><td>1</td></tr>
 </mapping>
</root>
"""

BAD_METADATA = {
    "no XML": "no XML",
    "<root><mapping>": "no XML",
    "<root/>": "no table",
    "<root><mapping/></root>": "no table",
    "<root><mapping><tr><td/><td/><td>S1</td></tr></mapping></root>": "no table",
    '<!DOCTYPE a [<!ENTITY b "c">]><root>&b;</root>': "declares the entity 'b'",
    '<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>': "declares the entity",
}


class TestMetadata:
    def test_subactions(self, tmp_path):
        (tmp_path / "metadata.xml").write_text(METADATA)
        assert read_subactions(tmp_path / "metadata.xml") == {
            "S1": {("SittingDown", 2): 1, ("SittingDown", None): 2, ("Photo", 1): 1},
            "S5": {("SittingDown", None): 1, ("SittingDown", 1): 2, ("Photo", None): 1},
        }

    @pytest.mark.parametrize("place", ["metadata.xml", "extracted/metadata.xml", "elsewhere.xml"])
    def test_is_taken_where_it_is(self, tmp_path, place):
        touch(tmp_path, "flat", "S5", *(f"{n}.54138969" for n in ("SittingDown 1", "SittingDown")))
        (tmp_path / place).write_text(METADATA)
        given = tmp_path / place if place == "elsewhere.xml" else None
        found = find_clips(tmp_path, given)
        # Without the file the one that has a number would be the first.
        assert [clip.video.stem for clip in found.clips] == [
            "SittingDown.54138969",
            "SittingDown 1.54138969",
        ]
        assert found.subactions == "metadata.xml"

    def test_takes_that_it_does_not_know_get_what_is_left(self, tmp_path):
        touch(tmp_path, "flat", "S5", "SittingDown 7.54138969", "SittingDown.54138969")
        (tmp_path / "metadata.xml").write_text(METADATA)
        assert [clip.subaction for clip in find_clips(tmp_path).clips] == [1, 2]

    @pytest.mark.parametrize("content", BAD_METADATA, ids=range(len(BAD_METADATA)))
    def test_bad_files(self, tmp_path, content):
        touch(tmp_path, "flat", "S1", "Eating.54138969")
        path = tmp_path / "metadata.xml"
        path.write_text(content)
        with pytest.raises(H36mError, match=rf"metadata\.xml: {BAD_METADATA[content]}"):
            find_clips(tmp_path, path)
        # Where nobody asked for it, it is reported and the names tell.
        found = find_clips(tmp_path)
        ((kind, where, message),) = problems_of(found)
        assert (kind, where, found.subactions) == ("metadata.xml", "metadata.xml", "file names")
        assert message.startswith(BAD_METADATA[content])

    def test_a_file_that_is_not_there(self, tmp_path):
        touch(tmp_path, "flat", "S1", "Eating.54138969")
        with pytest.raises(H36mError, match="cannot be read: No such file"):
            find_clips(tmp_path, tmp_path / "nowhere.xml")


class TestPoses:
    JOINTS = np.random.default_rng(0).normal(1000, 300, (7, 17, 3))

    @pytest.mark.parametrize("majority", ["row_major", "column_major"])
    @pytest.mark.parametrize("kind", [np.float32, np.float64])
    def test_joints_of_a_file(self, tmp_path, kind, majority):
        path = tmp_path / "Directions 1.54138969.cdf"
        write_cdf(path, in_file_order(self.JOINTS), kind=kind, majority=majority)
        np.testing.assert_array_equal(read_joints(path, 3), self.JOINTS.astype(kind))

    @pytest.mark.parametrize("frames", [1, 2])
    def test_few_frames(self, tmp_path, frames):
        write_cdf(tmp_path / "a.cdf", in_file_order(self.JOINTS[:frames]))
        assert read_joints(tmp_path / "a.cdf", 3).shape == (frames, 17, 3)

    def test_two_dimensions(self, tmp_path):
        write_cdf(tmp_path / "a.cdf", in_file_order(self.JOINTS[..., :2]), kind=np.float64)
        np.testing.assert_array_equal(read_joints(tmp_path / "a.cdf", 2), self.JOINTS[..., :2])

    def test_what_is_no_position_is_nan(self, tmp_path):
        rows = in_file_order(self.JOINTS)
        rows[2, 0], rows[3, 1], rows[4, 2] = np.nan, np.inf, -1e30
        write_cdf(tmp_path / "a.cdf", rows)
        missing = np.isnan(read_joints(tmp_path / "a.cdf", 3))
        assert np.argwhere(missing).tolist() == [[2, 0, 0], [3, 0, 1], [4, 0, 2]]

    def test_other_content(self, tmp_path):
        path = tmp_path / "a.cdf"
        rows = in_file_order(self.JOINTS)
        for make, message in (
            (lambda: path.write_bytes(b""), "no readable CDF file"),
            (lambda: path.write_bytes(b"no CDF" * 1000), "no readable CDF file"),
            (lambda: write_cdf(path, rows, name="Pos"), r"variables \['Pos'\], expected 'Pose'"),
            (lambda: write_cdf(path, rows[:, :64]), r"shape \(1, 7, 64\), expected \(1, F, 96\)"),
            (lambda: write_cdf(path, rows, kind=np.int32), "is int32, expected floating point"),
        ):
            make()
            with pytest.raises(H36mError, match=message):
                read_joints(path, 3)

    def test_damaged_files_are_errors_or_numbers(self, tmp_path, monkeypatch):
        """Whatever flipped bytes make of a file, it is no traceback and no endless loop."""
        monkeypatch.setattr(poses, "MAX_SECONDS", 0.5)
        path = tmp_path / "a.cdf"
        write_cdf(path, in_file_order(self.JOINTS))
        good = path.read_bytes()
        random = np.random.default_rng(1)
        refused = []
        for _ in range(150):
            content = bytearray(good)
            # Most of a file are numbers; what tells how to read them comes first and last.
            for place in random.choice([*range(900), *range(len(good) - 600, len(good))], 3):
                content[place] = random.integers(256)
            path.write_bytes(content[: len(good) - int(random.choice([0, 0, 0, 300]))])
            try:
                assert read_joints(path, 3).shape[1:] == (17, 3)
            except H36mError as error:
                refused.append(str(error))
        assert 10 < len(refused) < 150
        # One of them would keep cdflib busy for ever.
        assert [text for text in refused if "not read within 0.5 s" in text]

    def test_a_giant_is_not_parsed(self, tmp_path):
        with open(tmp_path / "a.cdf", "wb") as file:
            file.truncate(1 << 30)
        with pytest.raises(H36mError, match="1073741824 bytes, expected at most"):
            read_joints(tmp_path / "a.cdf", 3)
