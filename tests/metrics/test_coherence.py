"""Coherence gap, synergy and smoothness of margins, by hand."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest

from vlm_eval.core.errors import TaskError
from vlm_eval.core.options import build
from vlm_eval.metrics.table import METRICS, Table, TableRow

CUTOFFS = (0.1, 0.5, 1.0)
LEVELS = ("clean", "dc_only", "low_0.1", "low_0.5", "low_1.0", "high_0.1", "high_0.5", "high_1.0")
# Margins of the clean answer: a needs both bands, b is told by the low one alone.
A = dict(zip(LEVELS, (4.0, -2.0, -1.0, 1.0, 4.0, 2.0, -1.0, -2.0), strict=True))
B = dict(zip(LEVELS, (2.0, 0.0, 2.0, 3.0, 2.0, 0.5, 0.0, 0.0), strict=True))


def row(name, level, margin, gold="Yes"):
    answer = "Yes" if margin > 0 else "No"
    return TableRow(
        name, name, {"band": level}, {}, gold, answer, {"accuracy": float(answer == gold)},
        choices=("Yes", "No"), logprobs=(margin - 5.0, -5.0),
    )  # fmt: skip


def table(**samples):
    rows = [
        row(name, level, m) for name, margins in samples.items() for level, m in margins.items()
    ]
    return Table("demo", {"band": LEVELS}, tuple(rows))


def measure(made, **options):
    spec = {"name": "coherence", "cutoffs": CUTOFFS, **options}
    found = build(METRICS, spec, where=None)(made)
    return {(e.name, *e.where.values()): e for e in found}


def test_gap_and_synergy_are_means_over_samples():
    found = measure(table(a=A, b=B))
    gaps = {0.1: (4 - 2, 2 - 2), 0.5: (4 - 1, 2 - 3), 1.0: (0, 0)}
    synergies = {0.1: (4 - (-1 + 2 + 2), 2 - 2.5), 0.5: (4 - (1 - 1 + 2), 2 - 3), 1.0: (0, 0)}
    for cutoff in CUTOFFS:
        assert found["coherence_gap", cutoff].value == sum(gaps[cutoff]) / 2
        assert found["synergy", cutoff].value == sum(synergies[cutoff]) / 2
        assert found["coherence_gap", cutoff].signed
    assert found["no_single_band",].value == 0.5
    assert found["band_margin", "high_0.5"].value == -0.5
    assert found["band_margin", "clean"].value == 3
    assert found["band_margin", "clean"].n == 2


def test_smoothness_is_the_largest_step_over_the_drop():
    found = measure(table(a=A))
    # low: clean 4, 1.0 4, 0.5 1, 0.1 -1, dc -2; high: 4, 2, -1, -2, -2
    assert found["smoothness", "low"].value == 3 / 6
    assert found["smoothness", "high"].value == 3 / 6
    even = dict.fromkeys(LEVELS, 0.0) | {"clean": 4.0, "low_1.0": 3.0, "low_0.5": 2.0}
    even["low_0.1"] = 1.0
    assert measure(table(a=even))["smoothness", "low"].value == 1 / 4
    both = measure(table(a=A, b=B, c=A))
    curve = [(2 * A[x] + B[x]) / 3 for x in ("clean", "low_1.0", "low_0.5", "low_0.1", "dc_only")]
    steps = [abs(x - y) for x, y in itertools.pairwise(curve)]
    assert both["smoothness", "low"].value == pytest.approx(max(steps) / (curve[0] - curve[-1]))
    assert both["smoothness", "low"].clusters == 3


def test_margins_that_do_not_fall_have_no_smoothness():
    rising = dict.fromkeys(LEVELS, 1.0) | {"dc_only": 2.0}
    found = measure(table(a=rising))
    assert found["smoothness", "low"].value is None
    assert found["coherence_gap", 0.1].value == 0


def test_the_anchor_is_the_clean_answer_or_the_right_one():
    wrong = {level: -margin for level, margin in A.items()}
    found = measure(table(a=wrong))
    assert found["band_margin", "clean"].value == 4  # the clean answer is No
    assert measure(table(a=wrong), margin="correct")["band_margin", "clean"].value == -4


def test_trials_without_scores_drop_out_where_they_are():
    made = table(a=A, b=B)
    rows = [
        replace(r, failed=True, answer=None, logprobs=None, scores={})
        if (r.sample_id, r.condition["band"]) == ("b", "low_0.5") else r
        for r in made.rows
    ]  # fmt: skip
    found = measure(replace(made, rows=tuple(rows)))
    assert found["coherence_gap", 0.5].n == 1
    assert found["coherence_gap", 0.1].n == 2
    assert found["no_single_band",].value == 1
    assert found["smoothness", "low"].value == 0.5


def test_a_sample_without_a_clean_answer_has_no_margins():
    made = table(a=A, b=B)
    rows = [replace(r, answer=None) if r.sample_id == "a" else r for r in made.rows]
    found = measure(replace(made, rows=tuple(rows)))
    assert found["band_margin", "clean"].value == 2
    assert found["coherence_gap", 0.1].n == 1


def test_an_empty_table_gives_none_and_wrong_levels_an_error():
    empty = replace(table(), rows=())
    found = measure(empty)
    assert found.keys() == measure(table(a=A, b=B)).keys()
    assert all(e.value is None and e.n == 0 for e in found.values())
    with pytest.raises(TaskError, match=r"low_0\.2"):
        measure(empty, cutoffs=(0.2,))
    with pytest.raises(TaskError, match="mean"):
        measure(empty, dc="mean")
