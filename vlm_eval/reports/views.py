"""What a task's page shows of its results, in order: plain groupings, no new numbers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from vlm_eval.core.types import Level
from vlm_eval.internals.findings import Findings
from vlm_eval.reports import svg
from vlm_eval.runner.results import GroupResult, TaskResult
from vlm_eval.stats.results import Comparison, Estimate

ACCURACY = "accuracy"
Factors = Mapping[str, Sequence[Level]]
Span = tuple[float, float]
MAX_SERIES = 8
LEVELS = 3  # of a curve, at least


@dataclass(frozen=True)
class Paired:
    """Comparisons of a factor's levels with one baseline in one score.

    Attributes
    ----------
    name, factor, baseline
        What is compared.
    whole, sliced
        Over all samples, and within slices.
    span
        Ends of the axis that their plots share.
    """

    name: str
    factor: str
    baseline: Level
    whole: tuple[Comparison, ...]
    sliced: tuple[Comparison, ...]
    span: Span

    @property
    def claims(self) -> tuple[Comparison, ...]:
        """Those over all samples that are no noise-floor controls."""
        return tuple(c for c in self.whole if not c.control)


@dataclass(frozen=True)
class Measured:
    """Estimates of one metric: over all samples, and within slices, with a shared axis."""

    name: str
    unit: str
    whole: tuple[Estimate, ...]
    sliced: tuple[Estimate, ...]
    span: Span


@dataclass(frozen=True)
class Curve:
    """A metric over the ordered levels of a factor, one series a slice."""

    metric: str
    factor: str
    family: str
    unit: str
    chance: float | None
    series: tuple[svg.Series, ...]


def headline(task: TaskResult, factors: Factors) -> Estimate | None:
    """Return the number that stands for a task: its accuracy, or else its first metric.

    Where the metric is not given over all samples, it is the one at the baseline.
    """
    known = [e for e in task.estimates if e.value is not None]
    for wanted in (ACCURACY, known[0].name if known else None):
        named = [e for e in known if e.name == wanted]
        whole = [e for e in named if not e.where] or [
            e for e in named if all(n in factors and v == factors[n][0] for n, v in e.where.items())
        ]
        if whole:
            return whole[0]
    return None


def paired(task: TaskResult) -> list[Paired]:
    """Return the comparisons by score, factor and baseline; those of the accuracy first."""
    groups: dict[tuple[str, str, Level], list[Comparison]] = {}
    for c in task.comparisons:
        groups.setdefault((c.name, c.factor, c.baseline), []).append(c)
    found = [
        Paired(
            *key,
            whole=tuple(c for c in group if not c.where),
            sliced=tuple(c for c in group if c.where),
            span=_span(group, zero=True),
        )
        for key, group in groups.items()
    ]
    return sorted(found, key=lambda one: (one.name != ACCURACY, not one.whole))


def measured(task: TaskResult | GroupResult | Findings) -> list[Measured]:
    """Return the estimates by metric, in the order of the task file."""
    groups: dict[tuple[str, str], list[Estimate]] = {}
    for e in task.estimates:
        groups.setdefault((e.name, e.unit), []).append(e)
    return [
        Measured(
            *key,
            whole=tuple(e for e in group if not e.where),
            sliced=tuple(e for e in group if e.where),
            span=_span(group, zero=any(e.signed for e in group)),
        )
        for key, group in groups.items()
    ]


def _span(numbers: Iterable[Estimate | Comparison], *, zero: bool) -> Span:
    ends: list[float | None] = []
    shares = True
    for one in numbers:
        value = one.value if isinstance(one, Estimate) else one.difference
        ends += [value, one.low, one.high]
        shares = shares and not (isinstance(one, Estimate) and one.unit)
    low, high = svg.domain(ends, include=(0.0,) if zero else (), least=0.1)
    if not shares:
        return low, high
    return max(low, -1.04 if zero else -0.04), min(high, 1.04)


def curves(task: TaskResult, factors: Factors) -> list[Curve]:
    """Return every metric over every family of ordered levels (see `families`)."""
    found = []
    for factor, levels in factors.items():
        for family, labels in families(levels).items():
            for one in measured(task):
                series = _series(one, factor, family, labels)
                if series:
                    chance = next((e.chance for e in one.sliced if e.chance is not None), None)
                    found.append(Curve(one.name, factor, family, one.unit, chance, series))
    return sorted(_merged(found), key=lambda one: one.metric != ACCURACY)


def _merged(found: Iterable[Curve]) -> list[Curve]:
    """Return the curves with those of one metric over equal labels in one chart, named."""
    charts: dict[tuple[str, str, tuple[str, ...]], list[Curve]] = {}
    for one in found:
        labels = tuple(p.label for p in one.series[0].points)
        charts.setdefault((one.metric, one.factor, labels), []).append(one)
    merged = []
    for group in charts.values():
        if len(group) == 1 or any(len(one.series) > 1 for one in group):
            merged += group
        else:
            series = tuple(replace(one.series[0], name=one.family) for one in group)
            merged.append(replace(group[0], family="", series=series))
    return merged


def families(levels: Sequence[Level]) -> dict[str, tuple[Level, ...]]:
    """Return the ordered parts of a factor's levels, three or more, the baseline first in each.

    Numbers are one part, named ""; levels that are one word and a number, such as ``mb1`` or
    ``shift_-4``, one for each word. The order is that of the task file.

    >>> families([1, 5, 11, "gray"])
    {'': (1, 5, 11)}
    >>> families(["clean", "mb1", "mb2", "mb3", "identity"])
    {'mb': ('clean', 'mb1', 'mb2', 'mb3')}
    """
    parts: dict[str, list[Level]] = {}
    for level in levels:
        if isinstance(level, bool):
            continue
        match = re.fullmatch(r"(.*?)[_-]?(-?\d+(?:\.\d+)?)", str(level))
        if match:
            parts.setdefault(match[1], []).append(level)
    base = levels[0]
    return {
        family: tuple(part if base in part else [base, *part])
        for family, part in parts.items()
        if len(part) >= LEVELS
    }


def _series(
    one: Measured, factor: str, family: str, labels: Sequence[Level]
) -> tuple[svg.Series, ...]:
    """Return the metric over the levels: over all samples, or else in each slice by one name."""
    by_slice: dict[tuple[tuple[str, Level], ...], dict[Level, Estimate]] = {}
    for e in one.sliced:
        if factor in e.where and len(e.where) <= 2 and e.where[factor] in labels:
            rest = tuple((n, v) for n, v in e.where.items() if n != factor)
            by_slice.setdefault(rest, {})[e.where[factor]] = e
    enough = {
        rest: points
        for rest, points in by_slice.items()
        if sum(e.value is not None for e in points.values()) >= LEVELS
    }
    if () in enough:
        enough = {(): enough[()]}
    names = {rest[0][0] for rest in enough if rest}
    if len(names) > 1 or len(enough) > MAX_SERIES:
        return ()
    return tuple(
        svg.Series(
            " ".join(f"{n} {v}" for n, v in rest),
            tuple(_point(level, family, points[level]) for level in labels if level in points),
        )
        for rest, points in enough.items()
    )


def _point(level: Level, family: str, e: Estimate) -> svg.Point:
    label = str(level).removeprefix(family).lstrip("_") or str(level)
    return svg.Point(label, e.value, e.low, e.high)


def methods(numbers: Iterable[Estimate | Comparison]) -> list[str]:
    """Return the methods of some intervals, most frequent first, with how often each was used."""
    tally: dict[str, int] = {}
    for one in numbers:
        tally[one.method] = tally.get(one.method, 0) + 1
    return [f"{name} ({n})" for name, n in sorted(tally.items(), key=lambda item: -item[1])]
