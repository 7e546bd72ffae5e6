import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vlm_eval.core.options import build
from vlm_eval.metrics.margins import anchored_margin, top_margin, yes_no_margin
from vlm_eval.metrics.table import METRICS, Table, TableRow

LEVELS = ("clean", "shift_1", "shift_2", "white")


def row(name, level, logprobs, *, choices=("Yes", "No"), gold="Yes"):
    best = max(logprobs)
    alone = list(logprobs).count(best) == 1
    answer = choices[list(logprobs).index(best)] if alone else None
    return TableRow(
        sample_id=name,
        cluster=name,
        condition={"perturbation": level},
        fields={},
        gold=gold,
        answer=answer,
        scores={"accuracy": float(answer == gold)},
        choices=choices,
        logprobs=tuple(logprobs),
    )


def table(rows):
    return Table("pope", {"perturbation": LEVELS}, tuple(rows))


def measure(rows, where=None):
    spec = {"name": "margins", "families": {"shift": "shift_*"}, "also": ["white"]}
    found = build(METRICS, spec, where=None)(table(rows))
    return {e.name: e.value for e in found if e.where == (where or {})}


ROWS = [
    row("a", "clean", (-1.0, -3.0)),
    row("a", "shift_1", (-2.0, -2.5)),
    row("a", "shift_2", (-4.0, -1.0)),  # flips
    row("a", "white", (-5.0, -0.5)),
    row("b", "clean", (-2.0, -1.0), gold="No"),
    row("b", "shift_1", (-1.0, -1.5), gold="No"),  # flips
    row("b", "shift_2", (-3.0, -0.5), gold="No"),
    row("b", "white", (-2.0, -1.0), gold="No"),
]


def test_margins_of_one_trial():
    made = row("a", "clean", (-1.0, -4.0, -2.5), choices=("cat", "dog", "cow"), gold="dog")
    assert top_margin(made) == 1.5
    assert anchored_margin(made, "cat") == 1.5
    assert anchored_margin(made, "dog") == -3.0
    assert yes_no_margin(ROWS[0], "Yes", "No") == 2.0


def test_golden_values_by_hand():
    assert measure(ROWS, {"perturbation": "clean"}) == pytest.approx(
        {"top_margin": 1.5, "correct_margin": 1.5, "yes_no_margin": 0.5}
    )
    assert measure(ROWS, {"perturbation": "white"})["yes_no_margin"] == (-4.5 - 1) / 2
    assert measure(ROWS) == pytest.approx(
        {
            "clean_margin": (2 + 2 + 1 + 1) / 4,
            "clean_yes_no_margin": (2 + 2 - 1 - 1) / 4,
            "anchored_margin": (0.5 - 3 - 0.5 + 2.5) / 4,
            "anchored_margin_change": (-1.5 - 5 - 1.5 + 1.5) / 4,
            "anchor_change": (-1 - 3 - 0.5 + 0.5) / 4,
            "correct_margin": (0.5 - 3 - 0.5 + 2.5) / 4,
            "yes_no_margin": (0.5 - 3 + 0.5 - 2.5) / 4,
        }
    )
    assert measure(ROWS, {"family": "shift"}) == measure(ROWS)
    flipped = measure(ROWS, {"flipped": True})
    assert (flipped["yes_no_margin"], flipped["anchored_margin"]) == (-1.25, -1.75)
    assert (flipped["clean_yes_no_margin"], flipped["clean_margin"]) == (0.5, 1.5)
    assert measure(ROWS, {"family": "shift", "flipped": False})["yes_no_margin"] == -1.0


def test_options_other_than_yes_and_no_have_no_yes_no_margin():
    rows = [row("a", level, (-1, -2, -3), choices=tuple("xyz"), gold="x") for level in LEVELS]
    assert "yes_no_margin" not in measure(rows)
    assert measure(rows)["anchored_margin"] == 1


def test_without_log_likelihoods_margins_are_unknown():
    rows = [
        TableRow("a", "a", {"perturbation": level}, {}, "Yes", "Yes", {"accuracy": 1.0})
        for level in LEVELS
    ]
    assert set(measure(rows).values()) == {None}
    assert set(measure([]).values()) == {None}


def test_an_infinite_log_likelihood_is_no_number_to_average():
    rows = [*ROWS, *(row("c", level, (-1.0, -math.inf)) for level in LEVELS)]
    assert measure(rows) == measure(ROWS)


scores = st.lists(st.floats(-50, 0), min_size=3, max_size=3, unique=True)


@given(scores, scores)
def test_the_anchored_margin_is_negative_exactly_where_the_answer_changed(clean, perturbed):
    before = row("a", "clean", clean, choices=tuple("xyz"), gold="x")
    after = row("a", "shift_1", perturbed, choices=tuple("xyz"), gold="x")
    assert (anchored_margin(after, before.answer) < 0) == (after.answer != before.answer)
    assert anchored_margin(before, before.answer) == top_margin(before)
