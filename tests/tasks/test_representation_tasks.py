"""The tasks that capture states or filter images: what their pages say they ask."""

from __future__ import annotations

import numpy as np
import pytest

from vlm_eval.tasks.index import TaskIndex
from vlm_eval.tasks.trials import expand

INDEX = TaskIndex()
PERTURBED = ("pope-perturbed", "repope-perturbed", "seedbench-perturbed", "mmmu-perturbed")


def trials_of(name, limit=1):
    task = INDEX.load(name, data="embedded")
    return {tuple(t.condition.values()): t for t in expand(task, limit=limit)}


@pytest.mark.parametrize("name", [*PERTURBED, "pope-regimes", "seedbench-regimes"])
def test_what_is_captured_is_the_papers(name):
    task = INDEX.load(name)
    capture = task.spec.capture
    assert set(capture.sites) >= {"prompt_last", "answer_mean"}
    assert (capture.layers, capture.norm, capture.samples) == (1, "after", 200)
    for condition in task.conditions():
        blank = condition["perturbation"] in ("white", "gray", "text_only")
        assert task.captures(condition) is not blank
    if name in PERTURBED:
        assert "vision_grid" in capture.sites
    names = [metric.name for metric in task.spec.metrics]
    assert {"representation_stability", "drift", "drift_flips"} <= set(names)
    assert ({"dirichlet", "cka"} <= set(names)) == (name in PERTURBED)


@pytest.mark.parametrize("name", ["pope-frequency", "seedbench-frequency", "mmmu-frequency"])
def test_the_bands_are_six_low_six_high_and_the_mean(name):
    trials = trials_of(name)
    bands = [band for (band,) in trials]
    cutoffs = ("0.05", "0.1", "0.25", "0.5", "0.75", "1.0")
    assert bands == [
        "clean", "identity", "dc_only",
        *(f"low_{c}" for c in cutoffs), *(f"high_{c}" for c in cutoffs),
    ]  # fmt: skip
    image = {band: np.asarray(t.request.images[0].load()) for (band,), t in trials.items()}
    assert np.array_equal(image["low_1.0"], image["clean"])
    assert np.array_equal(image["high_1.0"], image["dc_only"])
    assert len(np.unique(image["dc_only"].reshape(-1, 3), axis=0)) == 1
    assert len({tuple(trial.request.choices) for trial in trials.values()}) == 1
    assert len({trial.prompt for trial in trials.values()}) == 1
    assert len({trial.request.id for trial in trials.values()}) == len(trials)
    spread = [image[f"low_{c}"].std() for c in cutoffs]
    assert spread == sorted(spread)


def test_seedbench_is_asked_in_three_regimes():
    trials = trials_of("seedbench-regimes")
    assert len(trials) == 3 * 12
    scored, free, open_ = (trials[regime, "clean"] for regime in ("mcq", "mcq_free", "open"))
    assert scored.prompt == free.prompt
    assert scored.prompt.startswith("<image>Question: ")
    assert scored.prompt.endswith("\nPlease select the correct answer from the options above.")
    question = scored.prompt.split("\n")[0]
    assert open_.prompt == f"{question}\nPlease answer the question concisely."
    assert scored.request.choices == scored.choices
    assert scored.request.decoding is None
    for written in (free, open_):
        assert written.request.choices is None
        assert written.request.decoding.max_new_tokens == 32
        assert written.request.decoding.temperature == 0
        letters = written.choices
        assert scored.choices[letters.index(written.gold)] == scored.gold


def test_pope_is_asked_once_scored_and_once_written():
    trials = trials_of("pope-regimes")
    assert len(trials) == 2 * 12
    assert trials["mcq", "clean"].prompt == trials["open", "clean"].prompt
    assert trials["open", "rotate_30"].request.choices is None


@pytest.mark.parametrize("name", ["pope-regimes", "seedbench-regimes"])
def test_overlays_contradict_the_scored_answer_in_every_regime(name):
    task = INDEX.load(name, data="embedded")
    for condition in task.conditions():
        follows = task.first(condition)
        if condition["perturbation"].startswith("overlay_"):
            assert follows == {"perturbation": "clean", "regime": "mcq"}
        else:
            assert follows is None


def test_regimes_share_their_images():
    trials = trials_of("seedbench-regimes")
    for (_, perturbation), trial in trials.items():
        other = trials["mcq", perturbation]
        assert trial.request.images[0].key == other.request.images[0].key
