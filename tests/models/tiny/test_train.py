"""The trainer from end to end, a few steps of each stage on small pools."""

import json
from dataclasses import replace

import pytest
import torch
from transformers import AutoModelForImageTextToText, AutoTokenizer

from vlm_eval.models.tiny import classroom
from vlm_eval.models.tiny.muon import Muon, orthogonal
from vlm_eval.models.tiny.train import STAGES, Stage, train, worlds


@pytest.fixture
def small_pools(monkeypatch):
    monkeypatch.setattr(classroom, "STREETS", 12)
    monkeypatch.setattr(classroom, "PAIRS", 12)
    monkeypatch.setattr(classroom, "EXAMINED", 2)


@pytest.mark.slow
def test_all_stages_run_and_leave_checkpoints_that_load(tmp_path, small_pools):
    stages = [replace(stage, steps=2, batch=12) for stage in STAGES]
    train(tmp_path, torch.device("cpu"), 0, stages, None)
    curves = json.loads((tmp_path / "curves.json").read_text())
    assert {entry["stage"] for entry in curves} == {"standard", "joint"}
    assert all(0 <= score <= 1 for entry in curves for score in entry["scores"].values())
    weights = {}
    for name in ("tiny", "tiny-joint"):
        model = AutoModelForImageTextToText.from_pretrained(tmp_path / name)
        assert type(model).__name__ == "Qwen2_5_VLForConditionalGeneration"
        weights[name] = model.state_dict()["model.visual.merger.mlp.0.weight"]
        assert AutoTokenizer.from_pretrained(tmp_path / name).padding_side == "left"
    assert not torch.equal(weights["tiny"], weights["tiny-joint"])


@pytest.mark.slow
def test_a_stage_continues_where_another_one_ended(tmp_path, small_pools):
    vision, standard = (replace(stage, steps=2, batch=12) for stage in STAGES[:2])
    train(tmp_path / "a", torch.device("cpu"), 0, [vision], None)
    train(tmp_path / "b", torch.device("cpu"), 0, [standard], tmp_path / "a" / "vision.pt")
    before, after = (
        torch.load(tmp_path / name, weights_only=True)["model"]
        for name in ("a/vision.pt", "b/standard.pt")
    )
    assert before.keys() == after.keys()
    layer = "model.language_model.layers.0.mlp.up_proj.weight"
    assert not torch.equal(before[layer], after[layer])
    assert (before[layer] - after[layer]).abs().max() < 0.1


def test_the_curriculum_opens_with_fewer_flips():
    standard, joint = STAGES[1], STAGES[2]
    assert standard.ask(0).targets == ("winner",)
    assert standard.ask(standard.steps - 1).targets == ("winner", "loser")
    assert standard.ask(standard.steps - 1).rules == ("standard",)
    assert joint.ask(0).rules == ("standard", "inverse")


def test_the_rate_warms_up_and_falls_to_two_percent():
    stage = Stage("s", 1000, 8, 2.0, worlds(1, 0, 0), 1, STAGES[1].syllabus)
    assert stage.rate_at(0) == pytest.approx(2.0 / 60)
    assert stage.rate_at(300) == 2.0
    assert stage.rate_at(999) == pytest.approx(0.04, rel=0.01)


def test_worlds_add_up_to_one():
    for stage in STAGES:
        assert sum(stage.worlds.values()) == pytest.approx(1)


def test_muon_takes_orthogonal_steps():
    torch.manual_seed(0)
    for shape in ((12, 12), (24, 8), (8, 24)):
        spectrum = torch.linalg.svdvals(orthogonal(torch.randn(shape)))
        # The published quintic brings singular values near 1, not to it.
        assert spectrum.min() > 0.5
        assert spectrum.max() < 1.3


def test_muon_descends_and_leaves_ungraded_matrices_alone():
    torch.manual_seed(0)
    target = torch.randn(6, 6)
    moved, still = (torch.zeros(6, 6, requires_grad=True) for _ in range(2))
    other = torch.zeros(3, 6, requires_grad=True)
    optimizer = Muon([moved, other], decay=0.0)
    for _ in range(300):
        moved.grad = None
        loss = (moved - target).square().mean()
        loss.backward()
        optimizer.step(0.02)
    assert loss < 0.05 * target.square().mean()
    assert torch.equal(still, torch.zeros(6, 6))
    assert torch.equal(other, torch.zeros(3, 6))
