"""Findings on disk and in panels."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vlm_eval.core.errors import RunError
from vlm_eval.internals.findings import Findings, Panel
from vlm_eval.internals.panels import rest, view, views
from vlm_eval.runner.folder import to_json
from vlm_eval.stats.results import Estimate


def estimate(name: str, value: float | None = 0.5, *, unit: str = "", **where: Any) -> Estimate:
    return Estimate(name, where, value, 0.1, 0.4, 0.6, 40, 20, "student_t", unit=unit)


def made(*estimates: Estimate, panels: tuple[Panel, ...] = (), **more: Any) -> Findings:
    return Findings(
        analysis="probe", task="toy", model="m", options={"k": 3}, estimates=estimates,
        panels=panels, **more,
    )  # fmt: skip


WHOLE = made(
    estimate("accuracy", layer=0, probe="mlp"),
    estimate("gap", None, unit="nats", layer=1),
    panels=(Panel(title="T", axis="layer", names=("accuracy",), where={"probe": "mlp"},
                  marks={"crossover": 1.5}),),
    facts={"split": {"train": 3}}, notes=("a note",), synthetic=True, notice="made up",
)  # fmt: skip


def test_findings_come_back_from_disk_as_they_were() -> None:
    assert Findings.from_json(json.loads(to_json(WHOLE.to_json())), "here") == WHOLE


def test_of_finds_by_name_and_place() -> None:
    assert WHOLE.of("accuracy", probe="mlp") == WHOLE.estimates[:1]
    assert WHOLE.of("accuracy", probe="linear") == WHOLE.of("nothing") == ()


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda v: {**v, "schema": 7}, "has schema 7"),
        (lambda v: [v], "has schema None"),
        (lambda v: {k: x for k, x in v.items() if k != "panels"}, "damaged.*panels"),
        (lambda v: {**v, "estimates": [{"name": "x"}]}, "damaged"),
        (lambda v: {**v, "notes": None}, "damaged"),
    ],
)
def test_other_and_damaged_files_are_named_with_the_remedy(change, why) -> None:
    with pytest.raises(RunError, match=why) as caught:
        Findings.from_json(change(WHOLE.to_json()), "findings.json")
    assert caught.value.where == "findings.json"
    assert "run the analysis again" in str(caught.value.hint)


def test_a_panel_is_one_curve_for_each_name_and_place_beside_the_axis() -> None:
    grid = [(p, layer) for p in ("mlp", "lin") for layer in (2, 0)]
    found = made(
        *(estimate("accuracy", layer=layer, probe=p, seed=0) for p, layer in grid),
        estimate("accuracy", layer=0, probe="mlp", seed=1),
        estimate("other", layer=0),
    )  # fmt: skip
    one = view(found, Panel(title="", axis="layer", names=("accuracy",), where={"seed": 0}))
    assert (one.kind, one.axis, [line.name for line in one.lines]) == (
        "numbers", (0, 2), ["mlp", "lin"],
    )  # fmt: skip
    assert rest(found, [one]) == [found.estimates[4], found.estimates[5]]
    every = view(found, Panel(title="", axis="layer", names=("other", "accuracy")))
    assert [line.name for line in every.lines] == [
        "other", "accuracy, mlp, seed 0", "accuracy, lin, seed 0", "accuracy, mlp, seed 1",
    ]  # fmt: skip


def test_a_word_that_two_keys_hold_is_told_apart() -> None:
    found = made(estimate("a", x=1, of="red", to="blue"), estimate("a", x=1, of="blue", to="red"),
                 estimate("a", x=1, to="red", of="red"))  # fmt: skip
    names = [line.name for line in view(found, Panel(title="", axis="x", names=("a",))).lines]
    assert len(set(names)) == 3
    pair = made(estimate("a", x=1, of="red"), estimate("a", x=1, to="red"))
    names = [line.name for line in view(pair, Panel(title="", axis="x", names=("a",))).lines]
    assert names == ["a, of red", "a, to red"]


@pytest.mark.parametrize(
    ("levels", "kind", "axis"),
    [
        ((3, 1.5, 2), "numbers", (1.5, 2, 3)),
        (("10", "9", "norm"), "order", ("10", "9", "norm")),
        (("10", "9"), "numbers", ("9", "10")),
        (("low", "high"), "categories", ("low", "high")),
        ((True, False), "categories", (True, False)),
    ],
)
def test_axes_are_numbers_orders_or_categories(levels, kind, axis) -> None:
    found = made(*(estimate("a", at=level) for level in levels))
    one = view(found, Panel(title="", axis="at", names=("a",)))
    assert (one.kind, one.axis) == (kind, axis)


def test_a_panel_without_estimates_is_not_drawn() -> None:
    found = made(estimate("a", x=1), panels=(Panel(title="", axis="y", names=("a",)),))
    assert views(found) == []
    assert rest(found, views(found)) == list(found.estimates)


@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 3), st.sampled_from("xy"))))
def test_every_estimate_of_a_panel_stands_in_one_place(places) -> None:
    found = made(*(estimate(n, at=at, kind=k) for n, at, k in dict.fromkeys(places)))
    one = view(found, Panel(title="", axis="at", names=("a", "b")))
    shown = [line.points[at] for line in one.lines for at in one.axis if at in line.points]
    assert sorted(map(id, shown)) == sorted(map(id, found.estimates))
    assert len({line.name for line in one.lines}) == len(one.lines)
