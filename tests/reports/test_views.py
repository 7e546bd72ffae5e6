from __future__ import annotations

from dataclasses import replace
from typing import Any

from vlm_eval.reports import views
from vlm_eval.reports.pages import command, flat, headline_changes
from vlm_eval.runner.results import Counts, TaskResult
from vlm_eval.stats.paired import compare
from vlm_eval.stats.pairs import Trial, align
from vlm_eval.stats.results import Comparison, Estimate

FACTORS = {"blur": (1, 5, 11, "gray"), "side": ("a", "b")}
COUNTS = Counts(
    trials=1, asked=1, answered=1, failed=0, missing=0, unparsed=0, rules={}, literal_rules={},
    failures={}, samples=1, clusters=1,
)  # fmt: skip


def estimate(value: float | None, name: str = "accuracy", unit: str = "", **where: Any) -> Estimate:
    low, high = (None, None) if value is None else (value - 0.1, value + 0.1)
    return Estimate(name, where, value, 0.05, low, high, 10, 5, "student_t", unit=unit)


def comparison(
    level: Any, losses: int, *, control: bool = False, failed: int = 0, **where: Any
) -> Comparison:
    one = {i: Trial(str(i), 1.0, "a") for i in range(20)}
    other = {
        i: Trial(str(i), None if i < failed else float(i >= 20 - losses) == 0, "a")
        for i in range(20)
    }
    made = compare(align(one, other), name="accuracy", factor="blur", baseline=1, level=level,
                   where=where, task="t", control=control)  # fmt: skip
    return replace(made, p_adjusted=None if control else made.p)


def result(*numbers: Estimate | Comparison) -> TaskResult:
    return TaskResult(
        task="t", version="1", title="T", synthetic=False, notice=None, counts=COUNTS, seconds=0,
        estimates=tuple(n for n in numbers if isinstance(n, Estimate)),
        comparisons=tuple(n for n in numbers if isinstance(n, Comparison)),
    )  # fmt: skip


def test_the_headline_is_the_accuracy_over_all_or_at_the_baseline() -> None:
    whole, base, other = estimate(0.5), estimate(0.7, blur=1), estimate(0.1, name="x")
    assert views.headline(result(other, base, whole), FACTORS) is whole
    assert views.headline(result(estimate(0.2, blur=5), base), FACTORS) is base
    assert views.headline(result(other), FACTORS) is other
    assert views.headline(result(estimate(None)), FACTORS) is None


def test_comparisons_are_grouped_and_the_accuracy_comes_first() -> None:
    numbers = [replace(comparison(5, 2), name="zeta"), comparison(5, 3), comparison(5, 1, side="a")]
    first, second = views.paired(result(*numbers))
    assert (first.name, len(first.whole), len(first.sliced)) == ("accuracy", 1, 1)
    assert second.name == "zeta"
    assert first.span[0] <= min(c.low or 0 for c in numbers)
    assert first.span[1] >= 0


def test_changes_named_first_leave_out_controls_and_what_dropped_many_pairs() -> None:
    numbers = [
        comparison("identity", 20, control=True), comparison(5, 2), comparison(11, 9),
        comparison("gray", 15, failed=4), comparison(11, 18, side="a"),
    ]  # fmt: skip
    assert [c.level for c in headline_changes(result(*numbers))] == [11, 5]


def test_a_curve_needs_three_ordered_levels() -> None:
    two = [estimate(0.5, blur=b) for b in (1, 5)]
    assert views.curves(result(*two), FACTORS) == []
    (curve,) = views.curves(
        result(*two, estimate(0.3, blur=11), estimate(0.1, blur="gray")), FACTORS
    )
    (series,) = curve.series
    assert [(p.label, p.value) for p in series.points] == [("1", 0.5), ("5", 0.5), ("11", 0.3)]


def test_slices_are_curves_of_one_chart_where_there_is_no_whole() -> None:
    numbers = [estimate(0.5, side=s, blur=b) for s in "ab" for b in (1, 5, 11)]
    (curve,) = views.curves(result(*numbers), FACTORS)
    assert [series.name for series in curve.series] == ["side a", "side b"]


def test_families_of_equal_severities_share_a_chart() -> None:
    levels = ("clean", "ll1", "ll2", "ll3", "mb1", "mb2", "mb3", "reencode")
    numbers = [estimate(0.5, kind=level) for level in levels]
    (curve,) = views.curves(result(*numbers), {"kind": levels})
    assert [series.name for series in curve.series] == ["ll", "mb"]
    assert [p.label for p in curve.series[1].points] == ["clean", "1", "2", "3"]


def test_negative_shifts_are_one_family_in_the_files_order() -> None:
    levels = ("clean", "shift_-8", "shift_-4", "shift_4")
    assert views.families(levels) == {"shift": levels}
    assert views.families((True, False)) == {}


def test_units_are_kept_apart() -> None:
    groups = views.measured(result(estimate(0.5), estimate(3.2, name="margin", unit="nats")))
    assert [(g.name, g.unit) for g in groups] == [("accuracy", ""), ("margin", "nats")]
    assert groups[1].span[1] > 3.2
    assert groups[0].span[1] <= 1.04


def test_methods_are_tallied() -> None:
    assert views.methods([comparison(5, 2), comparison(11, 15)]) == [
        "bonett_price (1)",
        "student_t (1)",
    ]


def test_the_command_is_quoted_for_a_shell() -> None:
    run = {"sessions": [{"command": ["vlm_eval", "--model", "a b;rm"]}]}
    assert command(run) == "vlm_eval --model 'a b;rm'"


def test_a_run_from_python_is_reproduced_from_python() -> None:
    run = {
        "sessions": [{"command": None, "options": {"model": "tiny", "data": {"mis": "p"}}}],
        "model": {"name": "tiny"}, "tasks": {"mis": {}}, "limit": 3, "seed": 0, "decoding": {},
    }  # fmt: skip
    expected = "vlm_eval.evaluate(model='tiny', tasks=['mis'], limit=3, data={'mis': 'p'})"
    assert command(run) == expected


def test_provenance_is_flat_and_unknown_is_a_dash() -> None:
    given = {"a": {"b": 1, "c": {}}, "d": None, "e": [1, 2], "f": False}
    assert flat(given) == {"a.b": "1", "a.c": "-", "d": "-", "e": "1, 2", "f": "False"}
