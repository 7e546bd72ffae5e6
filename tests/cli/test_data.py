from __future__ import annotations

import json
from functools import partial

import pytest
from PIL import Image

from vlm_eval.cli.main import main
from vlm_eval.data.boards import export
from vlm_eval.data.boards.posttrain import examples


def refused(capsys, *arguments):
    assert main(["data", *map(str, arguments)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("vlm_eval: error: ")
    assert err.count("\n") == 1
    return err


def test_the_benchmark_is_written_where_it_was_asked_for(capsys, tmp_path, monkeypatch):
    small = partial(export.export_benchmark, states=1)
    monkeypatch.setattr(export, "export_benchmark", small)
    assert main(["data", "make", "vlm-fix", "--out", str(tmp_path / "out")]) == 0
    assert capsys.readouterr().out == f"wrote vlm-fix to {tmp_path / 'out'}\n"
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == ["images", "instances.parquet", "instances_text_only.parquet"]


def test_a_training_set_is_written(capsys, tmp_path, monkeypatch):
    some = {part: list(examples("d2", part))[:4] for part in ("train", "test")}
    monkeypatch.setattr(export, "examples", lambda _, part, **__: some[part])
    command = ["data", "make", "vlm-fix-posttrain", "--split", "d2", "--out", str(tmp_path / "d2")]
    assert main(command) == 0
    assert capsys.readouterr().out == f"wrote vlm-fix-posttrain to {tmp_path / 'd2'}\n"
    assert sorted(path.name for path in (tmp_path / "d2").iterdir()) == [
        "test.parquet",
        "train.parquet",
    ]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["make", "vlm-fx"], "unknown data set 'vlm-fx'; did you mean vlm-fix?"),
        (["mak", "vlm-fix"], "invalid choice: 'mak'"),
        (["make", "vlm-fix-posttrain"], "needs --split; one of d1, d2, d3"),
        (["make", "vlm-fix-posttrain", "--split", "d4"], "invalid choice: 'd4'"),
        (["make", "vlm-fix", "--split", "d1"], "--split and --overlap are for vlm-fix-posttrain"),
        (["make", "vlm-fix", "--overlap"], "for vlm-fix-posttrain only"),
        (["make", "vlm-fix", "--count", "3"], "--count is for cityscapes only"),
        (["make", "cityscapes", "--count", "0"], "--count is for cityscapes only, 1 or more"),
        (["make", "cityscapes", "here"], "unexpected 'here'; make writes to --out DIR"),
        (["check", "cityscapes", "here"], "check takes a task and its data, and no options"),
        (["check", "vlm-fix", "here"], "vlm-fix is made, not checked"),
        (["check", "cityscapes"], "check needs a folder"),
    ],
)
def test_wrong_arguments(capsys, tmp_path, arguments, words):
    assert words in refused(capsys, *arguments, "--out", tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_is_needed(capsys):
    assert "--out" in refused(capsys, "make", "vlm-fix")


def test_a_full_folder_is_refused_before_any_work(capsys, tmp_path):
    (tmp_path / "mine").write_text("x")
    err = refused(capsys, "make", "vlm-fix", "--out", tmp_path)
    assert f"{tmp_path}: is not empty; choose another --out" in err
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_street_scenes_are_written_and_pass_the_check(capsys, tmp_path):
    out = tmp_path / "out"
    assert main(["data", "make", "cityscapes", "--out", str(out), "--count", "4"]) == 0
    assert capsys.readouterr().out == f"wrote cityscapes to {out}\n"
    assert len(list(out.glob("leftImg8bit/val/*/*_leftImg8bit.png"))) == 4
    assert len(list(out.glob("gtFine/val/*/*_gtFine_labelIds.png"))) == 4
    assert main(["data", "check", "cityscapes", str(out)]) == 0
    shown = capsys.readouterr().out
    assert "drawnburg" in shown
    assert shown.endswith(f"{out}: usable\n")


def test_a_check_says_what_is_wrong_and_exits_with_2(capsys, tmp_path):
    out = tmp_path / "out"
    main(["data", "make", "cityscapes", "--out", str(out), "--count", "30"])
    for path in out.glob("leftImg8bit/val/*/*.png"):
        path.write_bytes(b"broken")
    capsys.readouterr()
    assert main(["data", "check", "cityscapes", str(out)]) == 2
    shown = capsys.readouterr().out
    assert shown.count("not a readable") == 20
    assert "wrong: ... and 10 more" in shown
    assert shown.endswith("not usable\n")


def test_a_folder_that_is_not_there(capsys, tmp_path):
    assert "no such folder" in refused(capsys, "check", "cityscapes", tmp_path / "nowhere")


def test_the_data_of_a_task_is_checked(capsys, tmp_path):
    names = ("a.png", "b.png")
    for name, colour in zip(names, ("red", "blue"), strict=True):
        Image.new("RGB", (4, 4), colour).save(tmp_path / name)
    pair = {"id": "p", "image_0": "a.png", "image_1": "b.png", "caption_0": "x", "caption_1": "y"}
    (tmp_path / "metadata.jsonl").write_text(json.dumps(pair))
    assert main(["data", "check", "mis", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert "note: 1 of 1 pairs have no category" in out
    assert out.endswith(f"{tmp_path}: usable\n")
    (tmp_path / "a.png").write_bytes(b"broken")
    assert main(["data", "check", "mis", str(tmp_path)]) == 2
    out = capsys.readouterr().out
    assert "metadata.jsonl, line 1, column image_0: a.png: not a readable" in out
    assert out.endswith("not usable\n")


def test_a_task_is_found_by_name_and_its_options_may_follow(capsys, tmp_path):
    assert "unknown task 'mos'; did you mean mis?" in refused(capsys, "check", "mos", tmp_path)
    err = refused(capsys, "check", "blur-decay-mmstar", tmp_path / "nowhere")
    assert "task blur-decay-mmstar: there is no copy of MMStar at" in err
    assert "no option 'colums'" in refused(capsys, "check", "mis", f"{tmp_path},colums=vismin")
