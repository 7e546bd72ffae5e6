"""Runs that capture, of several architectures: the states on disk are those of the model."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from vlm_eval import evaluate
from vlm_eval.models.registry import load_model
from vlm_eval.runner.captures import CaptureIndex
from vlm_eval.runner.records import RecordIndex
from vlm_eval.tasks.index import TaskIndex
from vlm_eval.tasks.trials import expand

STILL = {"drift": 0, "l2": 0, "cosine": 1, "energy_change": 0}
TASK = """\
task: seen
version: 1.0.0
title: A task whose states are kept
data: {source: scenes, count: 2, questions: 2}
sample_id: "{{ scene_id }}-{{ object | replace(' ', '_') }}"
cluster: "{{ scene_id }}"
factors: {form: [scored, written]}
prompt: {content: [{image: image}, {text: "which {{ object }}?"}]}
output: {kind: choice, choices: ["Yes", "No"]}
cases:
  - {when: "form == 'written'", output: {kind: generate, choices: ["Yes", "No"], max_new_tokens: 2}}
gold: "{{ present }}"
parser: {name: yes_no}
metrics: [accuracy]
capture:
  sites: [prompt_last, vision_mean, vision_grid, answer_mean]
  layers: all
  norm: both
"""


@pytest.mark.parametrize(
    "name", ["qwen2_5_vl", "llava", "gemma3", "idefics3", "internvl", "llava_onevision"]
)
def test_what_a_run_stores_is_what_the_model_shows(checkpoint, tmp_path: Path, name: str) -> None:
    (tmp_path / "seen.yaml").write_text(TASK)
    folder = str(checkpoint(name))
    results = evaluate(
        folder, "seen", include_path=tmp_path, output_path=tmp_path / "run", progress=False,
        device="cpu",
    )  # fmt: skip
    counts = results["seen"].counts
    assert counts.captured == counts.answered == counts.trials == 8
    index = CaptureIndex(tmp_path / "run" / "captures")
    task = TaskIndex([tmp_path]).load("seen")
    trials = list(expand(task))
    assert task.spec.capture is not None
    model = load_model(folder, args="engine=naive", device="cpu")
    seen = 0
    for _, direct in model.capture([t.request for t in trials], task.spec.capture.to_spec()):
        stored = index.load(direct.request_id)
        assert stored is not None
        assert stored.layers == direct.layers == ("0", "1", "2", "3", "norm")
        known = {site.replace("grid", "energy") for site in (*direct.arrays, *direct.missing)}
        assert {*stored.arrays, *stored.missing} == known
        assert ("vision_energy" in stored.missing) == ("vision_grid" in direct.missing)
        for site, array in direct.arrays.items():
            if not site.startswith("vision_grid"):
                apart = np.linalg.norm(stored.arrays[site] - array)
                assert apart <= 1e-4 * np.linalg.norm(array), site
                seen += 1
    assert seen >= 8 * 2


def test_controls_that_change_no_pixel_move_nothing_at_all(tmp_path: Path) -> None:
    """At the default engine, which asks thousands of other things in the same batches."""
    task = "pope-perturbed"
    results = evaluate(
        "tiny", task, data={task: "embedded"}, limit=24, output_path=tmp_path, progress=False,
        device="cpu",
    )  # fmt: skip
    session = json.loads((tmp_path / "run.json").read_text())["sessions"][-1]
    assert session["model"]["engine"]["level"] == "tree"
    index = CaptureIndex(tmp_path / "captures")
    hashes: dict[str, dict[str, str]] = {}
    for record in RecordIndex(tmp_path / "records").of_task(task):
        level = str(record.condition["perturbation"])
        hashes.setdefault(record.sample_id, {})[level] = record.request_hash
    assert len(hashes) == 24
    for asked in hashes.values():
        assert len(set(asked.values())) == len(asked)  # each is a request of its own
        clean, *others = (index.load(asked[level]) for level in ("clean", "identity", "reencode"))
        assert {*clean.arrays} >= {"prompt_last", "answer_mean", "vision_energy"}
        for other in others:
            assert all(np.array_equal(a, other.arrays[site]) for site, a in clean.arrays.items())
    for control in ("identity", "reencode"):
        found = [e for e in results[task].estimates if e.where.get("perturbation") == control]
        assert {(e.name, e.value) for e in found if e.name in STILL} == set(STILL.items())
