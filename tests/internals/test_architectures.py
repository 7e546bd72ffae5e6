"""Metrics of captured states, spectra, bands and steering, unchanged on several architectures.

Probing, patching, replacing and attacking are held to as many in their own tests.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.models.checkpoints import build
from vlm_eval.runner.api import evaluate
from vlm_eval.runner.results import TaskResult
from vlm_eval.runner.study import analyze

ARCHITECTURES = ("qwen2_5_vl", "llava", "gemma3", "llava_onevision", "internvl")
NO_GRID = ("internvl",)  # cuts the image into tiles, so that its tokens have no grid
TASK = """\
task: moved
version: 1.0.0
title: A few perturbations, with states
data: {source: scenes, count: 5, questions: 1}
sample_id: "{{ scene_id }}-{{ object | replace(' ', '_') }}"
cluster: "{{ scene_id }}"
factors: {perturbation: [clean, identity, turned, bright]}
controls: {perturbation: [identity]}
prompt: {content: [{image: image}, {text: "which {{ object }}?"}]}
image:
  transform:
    - {name: identity, when: "perturbation == 'identity'"}
    - {name: rotate, degrees: 30, expand: false, when: "perturbation == 'turned'"}
    - {name: fill, colour: white, when: "perturbation == 'bright'"}
output: {kind: choice, choices: ["Yes", "No"]}
gold: "{{ present }}"
parser: {name: yes_no}
capture: {sites: [prompt_last, answer_mean, vision_grid]}
metrics:
  - name: representation_stability
    families: &all {turned: turned, bright: bright}
    site: &sites [prompt_last, answer_mean]
  - {name: drift, families: *all, site: *sites, controls: [unrelated]}
  - {name: drift_flips, families: *all}
  - {name: dirichlet, families: *all}
  - {name: cka, families: *all}
"""
STEERED = "vlm-fix-steering-tictactoe"


@pytest.fixture(scope="module", params=ARCHITECTURES)
def checkpoint(request, tmp_path_factory) -> Path:
    """Return the folder of a random checkpoint, called by its architecture."""
    return build(request.param, tmp_path_factory.mktemp("random") / request.param)


def at(task: TaskResult, name: str, **where: object) -> float:
    """Return the value of the one estimate of a name at a place, and nothing but that place."""
    (found,) = [e for e in task.estimates if e.name == name and dict(e.where) == where]
    assert found.value is not None, (name, where)
    return found.value


def test_states_are_measured_alike(checkpoint: Path, tmp_path: Path) -> None:
    (tmp_path / "moved.yaml").write_text(TASK)
    folder = tmp_path / "run"
    task = evaluate(
        str(checkpoint), "moved", include_path=tmp_path, output_path=folder, progress=False,
        device="cpu",
    )["moved"]  # fmt: skip
    assert task.counts.captured == task.counts.trials == 20
    for site in ("prompt_last", "answer_mean"):
        for name, still in (("drift", 0), ("cosine", 1), ("l2", 0)):
            assert at(task, name, site=site, perturbation="identity") == still
        drift = at(task, "drift", site=site, family="turned")
        assert 0 < drift <= 2
        assert at(task, "cosine", site=site, family="turned") == pytest.approx(1 - drift)
        control = at(task, "control_drift", site=site, control="unrelated")
        share = at(task, "drift_of_control", site=site, family="turned", control="unrelated")
        assert share == pytest.approx(drift / control)
    assert -1 <= at(task, "cka", site="prompt_last", family="turned") <= 1
    if checkpoint.name not in NO_GRID:
        assert at(task, "energy_change", perturbation="identity") == 0
        assert at(task, "energy") > 0
        assert at(task, "energy_change", family="turned") != 0
    (dimmed,) = analyze(folder, "spectrum").of(
        "relative_energy_change", family="bright", band="high", trials="all"
    )
    assert dimmed.value == pytest.approx(-1, abs=1e-6)  # of a white image only the mean is left
    bands = analyze(folder, "coherence", cutoffs=(0.2, 1.0))
    assert bands.facts["questions"] == 5 * 6
    assert bands.facts["clean answers that differ from the run's"] == 0
    gaps = {e.where["cutoff"]: e for e in bands.of("coherence_gap")}
    assert gaps[0.2].n == 5
    assert gaps[0.2].value != 0
    assert gaps[1.0].value < 1e-4  # the low-pass is the image, and the gap is to the better band
    whole, (mean,) = bands.of("band_margin", cutoff=1.0), bands.of("band_margin", band="dc_only")
    (clean,) = bands.of("band_margin", band="clean")
    assert [e.value for e in whole] == pytest.approx([clean.value, mean.value], abs=1e-4)


def test_the_last_state_is_steered_alike(checkpoint: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    evaluate(str(checkpoint), STEERED, limit=3, output_path=run, progress=False, device="cpu")
    few = {"layers": 2, "repeats": [1], "controls": [], "states": ["before"]}
    still = analyze(run, "steer", alpha=0.0, **few)
    assert still.facts["layers"] == [2, 3]
    assert still.facts["own_states"] == {"asked": 3 * 8 * 2, "changed": 0}
    assert {e.value for e in still.of("gain")} == {0}
    moved = analyze(run, "steer", **few)
    assert [e.n for e in moved.of("patched_accuracy")] == [8, 8]
