"""``vlm_eval segment`` and ``vlm_eval correlate`` on the embedded street scenes."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import vlm_eval
from vlm_eval.cli.main import main
from vlm_eval.data.cityscapes.labels import LABELS
from vlm_eval.segmentation.confusion import mean_iou, sufficient
from vlm_eval.segmentation.store import load_matrices
from vlm_eval.segmentation.views import views
from vlm_eval.tasks.index import TaskIndex

TASK, DATA = "cityscapes-degraded", "embedded,count=4"
LEVELS = ("clean", "ll1", "ll2", "ll3", "mb1", "mb2", "mb3", "occ1", "occ2", "occ3")
TO_ID = np.zeros(256, np.uint8)
for label in LABELS:
    if label.train_id != 255:
        TO_ID[label.train_id] = label.id


@pytest.fixture(scope="module")
def predictions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Predictions in label ids that lose more of the image with each level, but for occ3."""
    root = tmp_path_factory.mktemp("predictions") / "net"
    for view in views(TaskIndex().load(TASK, data=DATA)):
        if view.level == "occ3":
            continue
        guess = view.truth().copy()
        guess[: 10 * LEVELS.index(str(view.level))] = 10  # sky
        city = root / str(view.level).upper() / view.frame.partition("_")[0]
        city.mkdir(parents=True, exist_ok=True)
        Image.fromarray(TO_ID[guess]).save(city / f"{view.frame}_leftImg8bit.png")
    return root


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "run"
    vlm_eval.evaluate("mock", TASK, data={TASK: DATA}, output_path=folder, progress=False)
    return folder


@pytest.fixture(scope="module")
def quality(predictions: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("quality") / "net.json"
    args = ["--data", DATA, "--predictions", str(predictions), "--out", str(out), "--quiet"]
    assert main(["segment", *args]) == 0
    return out


def fits(text: str) -> bool:
    """Whether lines are at most 100 columns; paths are not broken."""
    return all(len(line) <= 100 for line in text.splitlines() if not line.startswith("wrote "))


def test_segment_of_predictions(predictions: Path, tmp_path: Path, capsys) -> None:
    out = tmp_path / "q.json"
    args = ["segment", "--data", f"{TASK}={DATA}", "--predictions", str(predictions)]
    assert main([*args, "--out", str(out)]) == 0
    printed = capsys.readouterr().out
    assert fits(printed)
    assert "net on cityscapes-degraded" in printed
    assert "SYNTHETIC DATA" in printed
    written = json.loads(out.read_text())
    assert written["segmenter"] == "net"
    assert written["provenance"]["data"]["synthetic"] is True
    assert written["provenance"]["segmenter"] == {"backend": "predictions", "encoding": "ids"}
    by_level = {e["where"]["degradation"]: e for e in written["estimates"] if e["name"] == "miou"}
    assert list(by_level) == list(LEVELS)
    assert by_level["clean"]["value"] == 1.0
    values = [by_level[level]["value"] for level in LEVELS[:-1]]
    assert values == sorted(values, reverse=True)
    assert by_level["occ3"]["value"] is None  # there is no folder of it
    matrices = load_matrices(out.with_suffix(".npz"))
    for level in LEVELS[:-1]:
        total = sum(frame.counts for frame in matrices[level])
        assert by_level[level]["value"] == pytest.approx(float(mean_iou(sufficient(total))))
    row = next(line.split() for line in printed.splitlines() if line.startswith("clean"))
    assert row[1:] == ["100.0", "[100.0,", "100.0]", "4", "19", "of", "19"] or row[1] == "100.0"
    assert next(line.split() for line in printed.splitlines() if line.startswith("occ3"))[1] == "-"


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ([], "one of --model and --predictions"),
        (["--model", "m", "--predictions", "p"], "one of --model and --predictions"),
        (["--predictions", "p", "--device", "cpu"], "are for --model"),
        (["--model", "m", "--encoding", "ids"], "--encoding is for --predictions"),
        (["--predictions", "p", "--out", "q.txt"], "does not end in .json"),
        (["--predictions", "p", "--out", "no/q.json"], "there is no folder no"),
        (["--predictions", "p", "--out", "taken.json"], "taken.json is there already"),
        (
            ["--predictions", "p", "--task", "cityscapes-degrade"],
            "did you mean cityscapes-degraded",
        ),
        (["--predictions", "p", "--factor", "blur"], "has no factor 'blur'"),
        (["--predictions", "p", "--data", "embedded"], "p: there is no such folder of predictions"),
        (["--model", ".", "--data", "embedded,count=1"], "holds no config.json"),
    ],
)
def test_faults_of_segment(args, message, tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    Path("taken.json").write_text("")
    defaults = {"--out": "q.json", "--data": DATA}
    given = [item for key, value in defaults.items() if key not in args for item in (key, value)]
    assert main(["segment", *args, *given]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["taken.json"]


def test_correlate(run_folder: Path, quality: Path, tmp_path: Path, capsys) -> None:
    out = tmp_path / "r.csv"
    args = ["correlate", str(run_folder), "--segmentation", str(quality), "--csv", str(out)]
    assert main([*args, "--metrics", "HR,HR_presence"]) == 0
    printed = capsys.readouterr().out
    assert fits(printed)
    assert "mock on cityscapes-degraded, segmentation by net" in printed
    assert "n = 9 is small: |r| must exceed 0.666" in printed
    assert "WARNING: no mIoU under occ3" in printed
    assert "differ in" not in printed
    with out.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["metric"] for row in rows} == {"HR", "HR_presence"}
    assert {(row["form"], row["method"], row["n"]) for row in rows} == {
        (form, method, n)
        for form, n in (("level", "9"), ("change", "8"))
        for method in ("pearson", "spearman")
    }
    results = json.loads((run_folder / "results.json").read_text())["tasks"][TASK]["estimates"]
    estimates = [*results, *json.loads(quality.read_text())["estimates"]]
    known = {
        (e["name"], e["where"]["degradation"]): e["value"]
        for e in estimates
        if set(e["where"]) == {"degradation"}
    }
    level = {(row["metric"], row["method"]): row["r"] for row in rows if row["form"] == "level"}
    assert level["HR", "pearson"] == ""  # the mock describes nothing: a constant
    assert "no coefficient where a series is constant: HR" in printed
    points = [[known[name, at] for at in LEVELS[:-1]] for name in ("miou", "HR_presence")]
    assert float(level["HR_presence", "pearson"]) == pytest.approx(np.corrcoef(points)[0, 1])


def test_correlate_with_a_csv_and_chosen_metrics(run_folder: Path, tmp_path: Path, capsys) -> None:
    file = tmp_path / "mine.csv"
    assert main(["correlate", str(run_folder), "--segmentation", str(file)]) == 2
    assert "mine.csv: cannot be read" in capsys.readouterr().err
    lines = [f"{level.upper()},{0.9 - 0.05 * i}" for i, level in enumerate(LEVELS)]
    file.write_text("\n".join(["condition,miou", *lines, "FOG,0.1"]))
    args = ["correlate", str(run_folder), "--segmentation", str(file)]
    assert main([*args, "--metrics", "HR_any,SMR"]) == 0
    printed = capsys.readouterr().out
    assert "segmentation by mine" in printed
    assert "HR_any" in printed
    assert "COR" not in printed
    assert "WARNING: not among the run's conditions: fog" in printed
    assert "n = 10 is small" in printed
    assert main(args) == 0
    printed = capsys.readouterr().out
    assert all(name in printed for name in ("HR %", "COR %", "SMR %"))
    assert "HR_any" not in printed
    assert main([*args, "--metrics", "all"]) == 0
    printed = capsys.readouterr().out
    assert fits(printed)
    assert "HR_literal" in printed


def test_another_seed_is_told(predictions: Path, run_folder: Path, tmp_path: Path, capsys) -> None:
    out = tmp_path / "q.json"
    args = ["--data", DATA, "--predictions", str(predictions), "--out", str(out), "--quiet"]
    assert main(["segment", *args, "--seed", "1", "--limit", "2"]) == 0
    assert main(["correlate", str(run_folder), "--segmentation", str(out)]) == 0
    assert "WARNING: the run and the segmentation differ in seed, limit" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--metrics", "SRM"], "no error rate 'SRM' by degradation; did you mean SMR"),
        (["--task", "mis"], "the run has no task 'mis'"),
        (["--factor", "blur"], "no task of the run has the factor 'blur'"),
        (["--factor", "question"], "has none of HR, "),
    ],
)
def test_faults_of_correlate(args, message, run_folder: Path, quality: Path, capsys) -> None:
    assert main(["correlate", str(run_folder), "--segmentation", str(quality), *args]) == 2
    assert message in capsys.readouterr().err


def test_no_run_and_no_file(run_folder: Path, quality: Path, tmp_path: Path, capsys) -> None:
    assert main(["correlate", str(tmp_path), "--segmentation", str(quality)]) == 2
    assert "results.json" in capsys.readouterr().err
    assert main(["correlate", str(run_folder), "--segmentation", str(tmp_path / "no.json")]) == 2
    assert "no.json: cannot be read" in capsys.readouterr().err
