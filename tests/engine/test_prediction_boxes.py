"""Files of boxes: what they say of which picture, and what is wrong with them."""

import json

import pytest

from gluon_dkpr.engine.prediction import Boxes, PredictionError
from gluon_dkpr.engine.prediction.boxes import parse_box

ROWS = [
    ("walk.mp4", 3, (1, 2, 30, 40)),
    ("walk.mp4", 7, (5, 6, 31, 41)),
    ("a.png", 0, (0, 0, 9, 8)),
]


def write(path, rows=ROWS):
    if path.suffix == ".json":
        tree = [{"name": name, "frame": frame, "box": box} for name, frame, box in rows]
        path.write_text(json.dumps(tree))
    else:
        lines = [",".join(map(str, (name, frame, *box))) for name, frame, box in rows]
        path.write_text("\n".join(["name,frame,x,y,w,h", *lines]) + "\n")
    return path


@pytest.mark.parametrize("name", ["boxes.csv", "boxes.json"])
class TestBothFormats:
    def test_a_frame_without_a_box_has_that_of_the_frame_before(self, name, tmp_path):
        boxes = Boxes.read(write(tmp_path / name))
        found = [boxes.of("somewhere/walk.mp4", frame)[0] for frame in (0, 3, 4, 6, 7, 1000)]
        assert found == [1, 1, 1, 1, 5, 5]

    def test_pictures_that_are_not_named(self, name, tmp_path):
        path = write(tmp_path / name)
        assert Boxes.read(path).of("b.png") is None
        assert Boxes.read(path, (1.0, 2.0, 3.0, 4.0)).of("b.png") == (1, 2, 3, 4)
        assert Boxes.read(path, (1.0, 2.0, 3.0, 4.0)).of("a.png") == (0, 0, 9, 8)

    def test_a_path_goes_before_a_name(self, name, tmp_path):
        rows = [("a.png", 0, (0, 0, 1, 1)), ("left/a.png", 0, (0, 0, 2, 2))]
        boxes = Boxes.read(write(tmp_path / name, rows))
        assert boxes.of("left/a.png")[2] == 2
        assert boxes.of("right/a.png")[2] == 1

    def test_a_file_for_other_pictures(self, name, tmp_path):
        boxes = Boxes.read(write(tmp_path / name))
        boxes.check_names(["b.png", "x/a.png"])
        with pytest.raises(PredictionError, match="names none of the inputs.*walk.mp4"):
            boxes.check_names(["b.png"])

    @pytest.mark.parametrize(
        "box", [(1, 2, 0, 4), (1, 2, "x", 4), (1, 2, "nan", 4), (1e9, 0, 1, 1)]
    )
    def test_a_wrong_box_is_named_by_its_place(self, name, box, tmp_path):
        path = write(tmp_path / name, [*ROWS, ("b.png", 0, box)])
        place = "entry 3" if name.endswith("json") else "line 5"
        with pytest.raises(PredictionError, match="box is") as error:
            Boxes.read(path)
        assert str(error.value).startswith(f"{path}: {place}: ")

    @pytest.mark.parametrize("frame", [-1, 1.5, "two"])
    def test_a_wrong_frame(self, name, frame, tmp_path):
        with pytest.raises(PredictionError, match="expected a whole number from 0"):
            Boxes.read(write(tmp_path / name, [("b.mp4", frame, (0, 0, 1, 1))]))

    def test_two_boxes_of_one_frame(self, name, tmp_path):
        with pytest.raises(PredictionError, match="a second box of 'a.png', frame 0"):
            Boxes.read(write(tmp_path / name, [*ROWS, ROWS[-1]]))


class TestText:
    def test_without_frames(self, tmp_path):
        path = tmp_path / "b.csv"
        path.write_text("name, x, y, w, h\r\na.png, -1.5, 2, 3, 4\r\n\r\n")
        assert Boxes.read(path).of("a.png") == (-1.5, 2, 3, 4)

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("", "line 1: '', expected 'name,x,y,w,h'"),
            ("a.png,1,2,3,4\n", "line 1"),
            ("name,x,y,w,h\n", "holds no box"),
            ("name,x,y,w,h\na.png,1,2,3\n", "line 2: 4 cells, expected 5"),
            ("name,x,y,w,h\n,1,2,3,4\n", "line 2: name is ''"),
        ],
    )
    def test_csv_that_is_none(self, text, message, tmp_path):
        path = tmp_path / "b.csv"
        path.write_text(text)
        with pytest.raises(PredictionError, match=message):
            Boxes.read(path)

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("{", "not valid JSON"),
            ("{}", "expected a list"),
            ("[1]", "entry 0"),
            ('[{"name": "a"}]', "entry 0"),
            ('[{"name": "a", "box": [1,2,3,4], "more": 1}]', "entry 0"),
            ('[{"name": 1, "box": [1,2,3,4]}]', "name is 1"),
            ('[{"name": "a", "box": "1234"}]', "box is '1234'"),
        ],
    )
    def test_json_that_is_none(self, text, message, tmp_path):
        path = tmp_path / "b.json"
        path.write_text(text)
        with pytest.raises(PredictionError, match=message):
            Boxes.read(path)

    def test_no_file_and_no_text(self, tmp_path):
        with pytest.raises(PredictionError, match="cannot be read: No such file"):
            Boxes.read(tmp_path / "none.csv")
        (tmp_path / "b.csv").write_bytes(b"\xff\xfe\x00")
        with pytest.raises(PredictionError, match="UTF-8"):
            Boxes.read(tmp_path / "b.csv")

    def test_a_box_of_the_command_line(self):
        assert parse_box("1,-2.5,30,40") == (1, -2.5, 30, 40)
        for text in ("", "1,2,3", "1,2,3,4,5", "a,b,c,d", "1,2,3,-4"):
            with pytest.raises(PredictionError, match="box is"):
                parse_box(text)
