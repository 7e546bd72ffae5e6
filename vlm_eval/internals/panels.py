"""The panels of findings as curves: which estimates belong to which, named as briefly as can be.

The terminal and the report both draw from here, so that they show the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from vlm_eval.core.types import Level
from vlm_eval.internals.findings import Findings, Panel
from vlm_eval.stats.results import Estimate

Kind: TypeAlias = Literal["numbers", "order", "categories"]
Place: TypeAlias = tuple[tuple[str, Level], ...]


@dataclass(frozen=True)
class Line:
    """One curve: what distinguishes it from the others of its panel, and its estimates."""

    name: str
    points: Mapping[Level, Estimate]


@dataclass(frozen=True)
class View:
    """A panel with its curves.

    Attributes
    ----------
    panel
        What was asked to be drawn together.
    kind
        What the axis holds: ``numbers``; an ``order``, whose points are numbers but for some with a
        name (layers, and the final norm); or ``categories``, which have no order.
    axis
        The points, numbers in rising order, others in that of the findings.
    lines
        The curves, in the order of the panel's names.
    unit, signed, chance
        Of the values.
    """

    panel: Panel
    kind: Kind
    axis: tuple[Level, ...]
    lines: tuple[Line, ...]
    unit: str
    signed: bool
    chance: float | None

    @property
    def estimates(self) -> list[Estimate]:
        """All that it shows."""
        return [e for line in self.lines for e in line.points.values()]

    @property
    def scale(self) -> str:
        """What the values are counted in."""
        return self.unit or "%"


def views(found: Findings) -> list[View]:
    """Return the panels of findings that have an estimate."""
    made = (view(found, panel) for panel in found.panels)
    return [one for one in made if one.lines]


def view(found: Findings, panel: Panel) -> View:
    """Return one panel of findings; without lines if no estimate belongs to it."""
    groups: dict[tuple[str, Place], dict[Level, Estimate]] = {}
    for name in panel.names:
        for e in found.of(name, **panel.where):
            if panel.axis in e.where:
                rest = tuple(
                    (k, v) for k, v in e.where.items() if k != panel.axis and k not in panel.where
                )
                groups.setdefault((name, rest), {})[e.where[panel.axis]] = e
    met = {at for points in groups.values() for at in points}
    order = dict.fromkeys(e.where.get(panel.axis) for e in found.estimates)
    axis = tuple(at for at in order if at is not None and at in met)
    kind = _kind(axis)
    names = _names(list(groups))
    shown = [e for points in groups.values() for e in points.values()]
    return View(
        panel=panel,
        kind=kind,
        axis=tuple(sorted(axis, key=number)) if kind == "numbers" else axis,
        lines=tuple(
            Line(name, points) for name, points in zip(names, groups.values(), strict=True)
        ),
        unit=next((e.unit for e in shown), ""),
        signed=any(e.signed for e in shown),
        chance=next((e.chance for e in shown if e.chance is not None), None),
    )


def number(level: Level) -> float:
    """Return a point of an axis as a number; NaN if it is a name."""
    if isinstance(level, bool):
        return float("nan")
    try:
        return float(level)
    except ValueError:
        return float("nan")


def words(name: str) -> str:
    """Return the name of an estimate or an axis as words: without underscores."""
    return name.replace("_", " ")


def rest(found: Findings, drawn: Sequence[View]) -> list[Estimate]:
    """Return the estimates that are in no panel."""
    shown = {id(e) for one in drawn for e in one.estimates}
    return [e for e in found.estimates if id(e) not in shown]


def _kind(axis: Sequence[Level]) -> Kind:
    known = [number(level) == number(level) for level in axis]  # NaN equals nothing
    return "numbers" if all(known) else "order" if any(known) else "categories"


def _names(lines: Sequence[tuple[str, Place]]) -> list[str]:
    """Return a name for each curve: its estimate's, if they differ, and what differs of its place.

    Words stand for themselves; a number or a flag needs the name of what it is.
    """
    several = len({name for name, _ in lines}) > 1
    shared = set.intersection(*(set(place) for _, place in lines)) if len(lines) > 1 else set()
    found = []
    for name, place in lines:
        own = [(k, v) for k, v in place if (k, v) not in shared]
        parts = [words(v) if isinstance(v, str) else f"{words(k)} {v}" for k, v in own]
        found.append(", ".join(([words(name)] if several or not own else []) + parts))
    if len(set(found)) < len(found):  # two keys hold one word
        found = [
            ", ".join([words(n), *(f"{words(k)} {v}" for k, v in place)]) for n, place in lines
        ]
    return found
