"""The capture section of a task file: what it asks of a model, and its faults explained."""

from __future__ import annotations

import pytest

from vlm_eval.core.capture import CaptureSpec
from vlm_eval.core.errors import TaskError


@pytest.fixture
def with_capture(load_toy):
    """Return what loads the toy task with a capture section."""
    return lambda text: load_toy(("metrics:\n", f"capture: {text}\nmetrics:\n"))


def test_it_says_what_a_model_is_asked(with_capture) -> None:
    task = with_capture("{sites: [answer_mean, vision_grid], layers: [0, -1], norm: both}")
    assert task.spec.capture.to_spec() == CaptureSpec(
        sites=("answer_mean", "vision_grid"), layers=(0, -1), norm="both"
    )
    defaults = with_capture("{}").spec.capture
    assert defaults.to_spec() == CaptureSpec(sites=("prompt_last",), layers=1)
    assert (defaults.samples, defaults.grid, defaults.max_gib) == (200, "energy", 8)
    assert with_capture("{layers: all, answers: all}").spec.capture.to_spec().answers == "all"


def test_conditions_that_are_captured(with_capture, load_toy) -> None:
    task = with_capture("{when: \"blur == 5 and ask != 'reverse'\"}")
    assert [c for c in task.conditions() if task.captures(c)] == [{"blur": 5, "ask": "direct"}]
    assert not any(map(load_toy().captures, task.conditions()))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{sites: [prompt_lst]}", ["capture.sites[0]", "vision_mean", "did you mean prompt_last"]),
        ("{sites: [prompt_last, prompt_last]}", ["capture.sites", "distinct"]),
        ("{sites: []}", ["capture.sites", "at least 1"]),
        ("{layers: al}", ["capture.layers", "must be all", "got 'al'"]),
        ("{layers: 0}", ["capture.layers", "how many of the last"]),
        ("{layers: []}", ["capture.layers", "a list of layers"]),
        ("{layers: [1, x]}", ["capture.layers", "a list of layers"]),
        ("{layers: true}", ["capture.layers", "got True"]),
        ("{layer: 1}", ["unknown key 'capture.layer'", "did you mean layers"]),
        ("{grid: token}", ["capture.grid", "did you mean tokens"]),
        ("{samples: 0}", ["capture.samples", "greater than or equal to 1"]),
        ("{max_gib: 0}", ["capture.max_gib", "greater than 0"]),
        ('{when: "blurr == 5"}', ["capture.when", "'blurr' is undefined", "did you mean blur"]),
        ('{when: "word == 5"}', ["capture.when", "'word' is undefined"]),
        ('{when: "blur == 7"}', ["capture.when", "holds under no condition"]),
        ('{when: "blur =="}', ["capture.when", "template syntax"]),
    ],
)
def test_a_fault_is_explained(with_capture, text, words) -> None:
    with pytest.raises(TaskError) as error:
        with_capture(text)
    for word in ["toy.yaml:", *words]:
        assert word in str(error.value)
