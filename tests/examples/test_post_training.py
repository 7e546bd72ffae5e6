"""The post-training example: the embedded model's fine-tune, and LoRA on a real architecture."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path

import pytest
import torch

from tests.models.checkpoints import build
from vlm_eval.core.errors import UsageError
from vlm_eval.data.boards.posttrain import examples
from vlm_eval.models.hooks import decoder_blocks
from vlm_eval.models.registry import load_model
from vlm_eval.runner.api import evaluate
from vlm_eval.runner.study import analyze

FOLDER = Path(__file__).parents[2] / "examples" / "post_training"
TASK = "vlm-fix-posttrain"


def script(name):
    spec = importlib.util.spec_from_file_location(f"post_training_{name}", FOLDER / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def tuned(tmp_path_factory):
    """Return the folder of `tiny` after four steps of D2, the decoder alone."""
    out = tmp_path_factory.mktemp("tuned") / "d2"
    train = script("train")
    arguments = ["--split", "D2", "--start", "tiny", "--out", str(out), "--train", "decoder"]
    short = ["--limit", "64", "--batch", "16", "--held_out", "1", "--every", "2"]
    train.train(train.parse([*arguments, *short]))
    return out


def test_batches_hold_each_question_with_its_own_board():
    train = script("train")
    rows = list(examples("d3", "train"))[::512]
    batch = train.as_batch(rows)
    assert len(batch.lessons) == len(rows) == 16
    found = {(lesson, batch.images[index].numpy().tobytes()) for lesson, index in batch.lessons}
    for row in rows:
        alone = train.as_batch([row])
        ((lesson, index),) = alone.lessons
        assert (lesson, alone.images[index].numpy().tobytes()) in found
    assert len(train.as_batch([*rows, *rows]).images) == len(batch.images)


def test_winners_come_first():
    train = script("train")
    rows = list(examples("d2", "train"))[::63]
    found = list(train.batches(rows, 8, 5, 2, seed=0))
    asked = [[lesson.parts[1] for lesson, _ in batch.lessons] for batch in found]
    assert len(found) == 5
    assert all(train.WINNER in text for texts in asked[:2] for text in texts)
    assert any(train.WINNER not in text for texts in asked[2:] for text in texts)


def test_the_fine_tune_learns_and_changes_its_decoder_alone(tuned):
    log = json.loads((tuned / "curves.json").read_text())
    assert log["about"]["split"] == "D2"
    assert [point["step"] for point in log["curve"]] == [0, 2, 4]
    assert log["curve"][-1]["loss"] < log["curve"][1]["loss"]
    before, after = (load_model(str(m), device="cpu").module for m in ("tiny", tuned))
    inside = {id(weight) for weight in decoder_blocks(after)[1].parameters()}
    own = dict(before.named_parameters())
    for name, weight in after.named_parameters():
        assert weight.equal(own[name]) != (id(weight) in inside), name


def test_it_is_evaluated_compared_and_taken_apart_as_any_model(tuned, tmp_path):
    runs = [
        evaluate(str(model), TASK, limit=4, output_path=tmp_path / Path(model).name).folder
        for model in ("tiny", tuned)
    ]
    found = analyze(runs[1], "replace", base=runs[0], sweeps="suffix")
    assert max(found.facts["identities"].values()) <= 1e-5
    assert found.facts["differs_elsewhere"]["tensors"] == 0
    (all_back,) = (e for e in found.of("accuracy", replaced=4, trials="conflict"))
    assert all_back.value == found.of("base_accuracy", trials="conflict")[0].value


def test_curves_are_drawn(tuned, tmp_path):
    pytest.importorskip("matplotlib")
    script("curves").main([str(tuned / "curves.json"), "--out", str(tmp_path)])
    (run,) = json.loads((tmp_path / "post-training-curves.json").read_text())
    assert run["curve"][0]["scores"].keys() >= {"tictactoe standard", "dots_boxes inverse"}
    assert (tmp_path / "post-training-curves.png").read_bytes().startswith(b"\x89PNG")


def test_lora_trains_an_adapter_that_is_loaded_by_the_ordinary_path(tmp_path):
    base = build("qwen2_5_vl", tmp_path / "base")
    lora = script("train_lora")
    arguments = ["--split", "D2", "--model", str(base), "--out", str(tmp_path / "lora")]
    short = ["--limit", "8", "--batch", "4", "--micro_batch", "2", "--device", "cpu"]
    curve = lora.train(lora.parse([*arguments, *short, "--decoder_only", "--rate", "1e-2"]))
    assert len(curve) == 2
    assert all(point["loss"] > 0 for point in curve)
    args = {"adapter": str(tmp_path / "lora")}
    before = load_model(str(base), device="cpu").module
    after = load_model(str(base), args=args, device="cpu").module
    inside = {id(weight) for weight in decoder_blocks(after)[1].parameters()}
    own = dict(before.named_parameters())
    changed = {n for n, w in after.named_parameters() if not w.equal(own[n])}
    assert changed
    assert changed <= {n for n, w in after.named_parameters() if id(w) in inside}


def test_lora_learns_the_answer_and_the_end_of_the_turn_alone(tmp_path):
    base = build("qwen2_5_vl", tmp_path / "base")
    lora = script("train_lora")
    args = lora.parse(["--split", "D1", "--model", str(base), "--out", "x", "--device", "cpu"])
    _, processor = lora.load(args)
    rows = list(examples("d1", "train"))[::4096]
    batch = lora.encode(processor, rows)
    for line, row in enumerate(rows):
        said = batch["labels"][line]
        ids = batch["input_ids"][line][said != -100]
        assert torch.equal(said[said != -100], ids)
        assert processor.tokenizer.decode(ids) == f"{row.answer}<|im_end|>"


def test_four_bit_needs_bitsandbytes(tmp_path, monkeypatch):
    lora = script("train_lora")
    monkeypatch.setattr(lora, "find_spec", lambda _: None)
    args = lora.parse(["--split", "D1", "--model", "tiny", "--out", str(tmp_path), "--four_bit"])
    with pytest.raises(UsageError, match="needs bitsandbytes"):
        lora.train(args)
