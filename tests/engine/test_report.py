"""The report on people: table 1 in the terminal, on a page and as JSON, and its pictures."""

import json
import re
import shutil

import cv2
import numpy as np
import people as small
import pytest
from hand_set import assert_one_line, call_tool, load_tool, random_net, save_run

from gluon_dkpr.data import RecordDataset, make_toy_record
from gluon_dkpr.data.human import ACTIONS
from gluon_dkpr.engine import report_pictures
from gluon_dkpr.engine.evaluate import evaluate
from gluon_dkpr.engine.paper import ABBREVIATIONS, AVERAGES, TABLE_1
from gluon_dkpr.engine.people import compare, read_truth
from gluon_dkpr.engine.predictor import EvaluationError, NetworkPredictor
from gluon_dkpr.engine.report import (
    WIDTH,
    make_report,
    report_markdown,
    report_text,
    table_1,
    write_report,
)
from gluon_dkpr.engine.report_pictures import choose_cases, write_pictures


def truth_of(folder, **options):
    return read_truth(RecordDataset(small.make_people_record(folder / "p", **options), "test"))


def rows_of(truth, **options):
    noise = np.random.RandomState(0).normal(scale=60, size=truth.joints.shape)
    noise[:, 0] = 0
    predictors = [
        small.Oracle(truth.dataset, "direct", joints=noise),
        small.Oracle(truth.dataset, "kinematic", joints=noise / 2, motion=0.1),
    ]
    return compare(["runs/d", "runs/k"], predictors, truth, **options)


@pytest.fixture(scope="module")
def truth(tmp_path_factory):
    return truth_of(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def rows(truth):
    return rows_of(truth, model_fit=True)


@pytest.fixture(scope="module")
def found(truth, rows):
    return make_report(truth, rows, "python tools/evaluate.py runs/direct")


def cells(line):
    return re.split(r" {2,}", line.strip())


def blocks_of(text):
    """Return {row: {column: cell}} of a table of report_text, whose blocks have empty lines."""
    table = {}
    for block in text.split("\n\n"):
        heads, *lines = block.splitlines()
        for line in lines:
            name, *values = cells(line)
            table.setdefault(name, {}).update(zip(cells(heads), values))
    return table


class TestPaper:
    def test_printed_averages_are_unweighted_means(self):
        assert tuple(ABBREVIATIONS) == ACTIONS
        for name, errors in TABLE_1.items():
            assert len(errors) == len(ACTIONS)
            # 112.036 is printed as 112.03.
            assert np.mean(errors) == pytest.approx(AVERAGES[name], abs=0.01)

    def test_stands_beside_human36m_only(self, truth, rows, found, monkeypatch):
        names = [name for name, _ in table_1(found)[1]]
        assert names == [
            *("Direct", "ModelFit", "Kinematic"),
            *("paper: Direct", "paper: ModelFit", "paper: Kinematic"),
        ]
        monkeypatch.setitem(truth.dataset.info.source, "dataset", "other")
        other = make_report(truth, rows)
        assert other["paper"] is None
        columns, lines = table_1(other)
        assert columns == ["Directions", "SittingDown", "Walking", "Average"]
        assert [name for name, _ in lines] == ["Direct", "ModelFit", "Kinematic"]
        for text in (report_text(other), report_markdown(other)):
            assert "paper: " not in text
            assert "107.26" not in text

    def test_stands_beside_the_test_split_only(self, truth, found):
        train = read_truth(RecordDataset(truth.dataset.path, "train"))
        assert make_report(train, rows_of(train))["paper"] is None
        assert found["paper"] is not None


class TestNumbers:
    def test_of_the_table_are_those_of_the_report(self, found):
        columns, lines = table_1(found)
        assert columns == [*ACTIONS, "Average"]
        for name, errors in lines[:3]:
            row = next(row for row in found["rows"] if row["name"] == name)
            for action, error in zip(columns, errors):
                expected = row["actions"].get(action, {"mpjpe_mm": None})["mpjpe_mm"]
                assert error == (expected if action != "Average" else errors[-1])
            assert errors[-1] == row["mean_of_actions"]["mpjpe_mm"]
            assert errors[-1] != pytest.approx(row["mean_of_frames"]["mpjpe_mm"], rel=1e-3)
        assert dict(lines)["paper: Kinematic"] == [*TABLE_1["Kinematic"], 107.26]

    def test_in_the_terminal_and_on_the_page(self, found):
        text = report_text(found)
        first, second = text.split("MPJPE (mm)\n")[1].split("\n\nmean over frames")
        shown = blocks_of(first)
        measures = blocks_of(second[second.index("\n") + 1 :])
        page = report_markdown(found)
        columns, lines = table_1(found)
        for name, errors in lines:
            expected = ["-" if error is None else f"{error:.2f}" for error in errors]
            heads = [ABBREVIATIONS.get(column, column) for column in columns]
            assert shown[name] == dict(zip(heads, expected))
            assert f"| {name} | {' | '.join(expected)} |" in page
        for row in found["rows"]:
            assert measures[row["name"]] == {
                "frames": f"{row['mean_of_frames']['mpjpe_mm']:.2f}",
                "PA": f"{row['mean_of_actions']['pa_mpjpe_mm']:.2f}",
                "PA frames": f"{row['mean_of_frames']['pa_mpjpe_mm']:.2f}",
                "PCK@150": f"{row['mean_of_frames']['pck_150mm']:.2f}",
                "AUC": f"{row['mean_of_frames']['auc']:.2f}",
                "bone dev": f"{row['bone_length_std_mm']:.2f}",
                "bone err": f"{row['mean_of_frames']['bone_length_error_mm']:.2f}",
                "swapped": f"{row['mean_of_frames']['swap_rate']:.2f}",
                "angle": "-"
                if row["method"] == "direct" and not row["model_fit"]
                else f"{row['mean_of_frames']['angle_error_deg']:.2f}",
            }
            for action, part in row["actions"].items():
                line = next(
                    line
                    for line in page[page.index(f"## {row['name']}, by") :].splitlines()
                    if line.startswith(f"| {action} |")
                )
                assert f"| {part['n']} | {part['mpjpe_mm']:.2f} |" in line

    def test_says_what_they_depend_on(self, truth, found):
        data = found["data"]
        assert (data["split"], data["images"], data["dataset"]) == ("test", 16, "human3.6m")
        assert data["sha256"] == truth.dataset.info.rec_sha256
        assert found["protocol"]["frame_step"] == small.FRAME_STEP
        assert found["versions"]["mxnet"]
        for text in (report_text(found), report_markdown(found)):
            for fact in (data["sha256"], "S9, S11", "one frame in 5", "relative to the pelvis"):
                assert fact in text
        assert found["versions"]["cpu"] in report_markdown(found)
        definitions = " ".join(report_markdown(found).partition("## Definitions")[2].split())
        assert "the root, which is always right, counts in both" in definitions
        assert "\nMade by `python tools/evaluate.py runs/direct`.\n" in report_markdown(found)

    def test_lines_fit_a_terminal(self, tmp_path, found):
        table = report_text(found).split("MPJPE (mm)")[1]
        assert max(map(len, table.splitlines())) <= WIDTH
        actions = [f"an action with a long name {i}" for i in range(20)]
        truth = truth_of(tmp_path, dataset="x", actions=actions, frames=dict.fromkeys(actions, 1))
        text = report_text(make_report(truth, rows_of(truth)))
        table = text.split("MPJPE (mm)")[1]
        assert max(map(len, table.splitlines())) <= WIDTH
        assert "an action wit…" in table


class TestFiles:
    def test_hold_the_report(self, tmp_path, found):
        paths = write_report(tmp_path / "new" / "folder", found)
        assert [path.name for path in paths] == ["report.md", "report.json"]
        assert json.loads(paths[1].read_text()) == found
        assert paths[0].read_text() == report_markdown(found)

    def test_pictures(self, tmp_path, truth, rows):
        (path,) = write_pictures(tmp_path, truth, rows)
        assert path.name == "qualitative.png", "no run, no curve"
        assert cv2.imread(str(path)).shape[2] == 3

    def test_pictures_show_the_chosen_cases(self, tmp_path, truth, rows, monkeypatch):
        shown = {}

        def sheet(skeleton, images, captions, joints_true, predictions, errors, path):
            shown.update(images=images, captions=captions, true=joints_true)
            shown.update(pred=predictions, errors=errors)

        monkeypatch.setattr(report_pictures, "qualitative_sheet", sheet)
        report_pictures.write_qualitative(tmp_path / "q.png", truth, rows)
        errors = {row.name: np.linalg.norm(row.joints - truth.joints, axis=-1).mean(1)
                  for row in rows}  # fmt: skip
        worst = int(np.argmax(np.mean(list(errors.values()), axis=0)))
        assert shown["captions"][-1][0].startswith("worst")
        assert truth.describe(worst)["action"] in shown["captions"][-1][1]
        images, _ = truth.dataset.read([truth.dataset.keys[worst]])
        np.testing.assert_array_equal(shown["images"][-1], images[0])
        np.testing.assert_array_equal(shown["true"][-1], truth.joints[worst])
        for row in rows:
            np.testing.assert_array_equal(shown["pred"][row.name][-1], row.joints[worst])
            assert shown["errors"][row.name][-1] == pytest.approx(errors[row.name][worst])


class TestCases:
    def test_are_at_their_percentiles(self):
        errors = np.random.RandomState(0).permutation(1001) * 0.1
        cases = choose_cases(errors)
        assert [round(errors[position], 6) for _, position in cases] == [
            *(40.0, 50.0, 60.0),
            *(95.0, 99.0, 100.0),
        ]
        assert [label.split("\n")[0] for label, _ in cases] == [
            *["typical"] * 3,
            *["bad"] * 2,
            "worst",
        ]

    def test_of_few_images_none_comes_twice(self):
        for count in (1, 2, 5):
            positions = [position for _, position in choose_cases(np.arange(count))]
            assert len(set(positions)) == len(positions)
            assert positions[-1] == count - 1


class TestTool:
    @pytest.fixture(scope="class")
    def runs(self, tmp_path_factory):
        folder = tmp_path_factory.mktemp("runs")
        record = small.make_people_record(folder / "people")
        return [
            small.save_people_run(folder / method, small.random_people_net(method), record, seed=7)
            for method in ("direct", "kinematic")
        ]

    def test_several_runs_make_one_report(self, runs, tmp_path, capsys):
        out, report = tmp_path / "numbers.json", tmp_path / "report"
        main = load_tool("evaluate.py").main
        main([*map(str, runs), "--model-fit", "--out", str(out), "--report", str(report)])
        printed = capsys.readouterr().out
        found = json.loads(out.read_text())
        assert report_text(found) in printed
        assert json.loads((report / "report.json").read_text()) == found
        assert [row["name"] for row in found["rows"]] == ["Direct", "ModelFit", "Kinematic"]
        for row, run in zip(found["rows"], (runs[0], runs[0], runs[1])):
            assert (row["model"], row["seed"]) == (str(run), 7)
            assert (row["backbone"], row["checkpoint_epoch"]) == ("resnet18_v1b", 2)
        written = {path.name for path in report.iterdir()}
        assert written == {"report.md", "report.json", "qualitative.png", "curve.png"}
        for name in written:
            assert name.endswith((".md", ".json")) or cv2.imread(str(report / name)) is not None

    def test_a_run_whose_metrics_were_edited_has_no_curve(self, runs, tmp_path, capsys):
        edited = shutil.copytree(runs[0], tmp_path / "edited")
        table = edited / "metrics.csv"
        table.write_text(table.read_text().replace(",", ";"))
        load_tool("evaluate.py").main([str(edited), "--report", str(tmp_path / "report")])
        (line,) = [row for row in capsys.readouterr().out.splitlines() if "no curve" in row]
        assert line.startswith(f"no curve of Direct: {table}: columns are 'epoch;learning_rate;")
        written = {path.name for path in (tmp_path / "report").iterdir()}
        assert written == {"report.md", "report.json", "qualitative.png"}

    def test_numbers_are_those_of_the_network(self, runs, tmp_path, capsys):
        out = tmp_path / "numbers.json"
        load_tool("evaluate.py").main([str(runs[1]), "--out", str(out)])
        assert "paper: Kinematic" in capsys.readouterr().out
        dataset = RecordDataset(runs[1].parent / "people", "test")
        plain = evaluate(NetworkPredictor(small.random_people_net("kinematic")), dataset)
        (row,) = json.loads(out.read_text())["rows"]
        mean = row["mean_of_frames"]
        assert mean["mpjpe_mm"] == pytest.approx(plain["joint_error"], rel=1e-4)
        assert mean["angle_error_deg"] == pytest.approx(plain["angle_error_deg"], rel=1e-4)

    def test_mistakes(self, runs, tmp_path):
        assert_one_line(call_tool("evaluate.py", runs[1], "--model-fit"), "for direct joint")
        (tmp_path / "file").write_text("")
        result = call_tool("evaluate.py", runs[1], "--report", tmp_path / "file")
        assert_one_line(result, "file: not a folder")

    def test_toys_make_no_report(self, tmp_path):
        make_toy_record(tmp_path / "toy", train=2, test=2)
        run = str(save_run(tmp_path / "run", random_net(), tmp_path / "toy"))
        main = load_tool("evaluate.py").main
        with pytest.raises(EvaluationError, match="shows no people, which --report is for"):
            main([run, "--report", str(tmp_path / "report")])
        with pytest.raises(EvaluationError, match="which a table of 2 models is for"):
            main([run, run])
        assert not (tmp_path / "report").exists()
