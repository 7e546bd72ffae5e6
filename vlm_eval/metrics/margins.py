"""Log-likelihood margins between options, clean and perturbed.

With s(o) the log-likelihood of option o in nats, s_v that under perturbation v, and y0 the clean
answer (arXiv 2602.06652; the anchored margin and its uses are this project's)::

    top margin         M   = s(1) - s(2)              best and second best option
    anchored margin    M_v = s_v(y0) - max_{y != y0} s_v(y)           below 0: the answer changed
    its change         M_v - M_0
    anchor change      s_v(y0) - s_0(y0)
    correct margin     s_v(gold) - max_{y != gold} s_v(y)
    yes-no margin      m   = s(Yes) - s(No)
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeAlias

from vlm_eval.core.options import configurable
from vlm_eval.core.types import Level
from vlm_eval.metrics.checks import check_trials
from vlm_eval.metrics.slices import By, slices
from vlm_eval.metrics.stability_instances import (
    Families,
    Instance,
    clean_level,
    collect,
    family_levels,
    family_places,
)
from vlm_eval.metrics.table import Result, Table, TableRow
from vlm_eval.stats.clusters import Clusters
from vlm_eval.stats.mean import measured_mean
from vlm_eval.stats.results import Estimate

OfRow: TypeAlias = Callable[[TableRow], float]
OfInstance: TypeAlias = Callable[[Instance], float]


@configurable
class Margins:
    """Mean margins in nats, for scored options; generated answers have none and do not enter.

    ``top_margin``, ``correct_margin``, ``yes_no_margin``
        At the clean level and at each level of ``also`` (with the level in the result's place).
    ``anchored_margin``, ``anchored_margin_change``, ``anchor_change``, ``correct_margin``,
    ``yes_no_margin``, and on the clean image ``clean_margin`` and ``clean_yes_no_margin``
        Over the instances of each family, and of all; then over those whose answer changed
        (``flipped`` is true in the result's place) and those whose did not: whether the answers
        that flip were narrow before.

    Attributes
    ----------
    families
        Families by name: each one level, a pattern of levels (``translate_*``), or several.
    factor
        The factor of perturbations.
    clean
        Its level without perturbation; the first if None.
    also
        Further levels to give margins of, such as blank images.
    positive, negative
        The options of the yes-no margin, which is left out where they are none.
    by
        Factors or fields to break the results down by.
    """

    families: Families
    factor: str = "perturbation"
    clean: Level | None = None
    also: tuple[Level, ...] = ()
    positive: str = "Yes"
    negative: str = "No"
    by: By = ()

    def __call__(self, table: Table) -> list[Result]:
        """Return signed estimates."""
        clean = clean_level(table, self.factor, self.clean)
        clean_levels = [clean_level(table, self.factor, level) for level in (clean, *self.also)]
        families = family_levels(table, self.factor, clean, self.families)
        check_trials(table, "accuracy")
        found: list[Result] = []
        for where, part in slices(table, self.by):
            for level in clean_levels:
                rows = [r for r in part.rows if r.condition[self.factor] == level and scored(r)]
                found += self._level(rows, {**where, self.factor: level})
            units = collect(part, self.factor, clean, families, "accuracy")
            for family, place in family_places(families):
                known = [i for i in units.instances(family) if scored(i.clean) and scored(i.row)]
                found += self._family(known, {**where, **place})
        return found

    def _level(self, rows: Sequence[TableRow], where: Mapping[str, Level]) -> Iterator[Estimate]:
        measures: dict[str, OfRow] = {
            "top_margin": top_margin,
            "correct_margin": lambda row: anchored_margin(row, row.gold),
        }
        if self._binary(rows):
            measures["yes_no_margin"] = self._yes_no
        clusters = Clusters.of(row.cluster for row in rows)
        for name, measure in measures.items():
            mean = measured_mean([measure(row) for row in rows], clusters)
            yield mean.estimate(name, where, signed=True, unit="nats")

    def _family(
        self, instances: Sequence[Instance], where: Mapping[str, Level]
    ) -> Iterator[Estimate]:
        measures: dict[str, OfInstance] = {
            "clean_margin": lambda i: anchored_margin(i.clean, i.before),
            "anchored_margin": lambda i: anchored_margin(i.row, i.before),
            "anchored_margin_change": lambda i: (
                anchored_margin(i.row, i.before) - anchored_margin(i.clean, i.before)
            ),
            "anchor_change": lambda i: scores(i.row)[i.before] - scores(i.clean)[i.before],
            "correct_margin": lambda i: anchored_margin(i.row, i.row.gold),
        }
        if self._binary([i.row for i in instances]):
            measures["yes_no_margin"] = lambda i: self._yes_no(i.row)
            measures["clean_yes_no_margin"] = lambda i: self._yes_no(i.clean)
        parts: list[tuple[Mapping[str, Level], list[Instance]]] = [(where, list(instances))]
        for flipped in (True, False):
            kept = [i for i in instances if i.after is not None and i.changed == flipped]
            parts.append(({**where, "flipped": flipped}, kept))
        for name, measure in measures.items():
            for place, part in parts:
                clusters = Clusters.of(instance.clean.cluster for instance in part)
                mean = measured_mean([measure(instance) for instance in part], clusters)
                yield mean.estimate(name, place, signed=True, unit="nats")

    def _binary(self, rows: Sequence[TableRow]) -> bool:
        options = {self.positive, self.negative}
        return all(options == set(row.choices or ()) for row in rows)

    def _yes_no(self, row: TableRow) -> float:
        return yes_no_margin(row, self.positive, self.negative)


def scored(row: TableRow) -> bool:
    """Return whether a trial has a finite log-likelihood of every option."""
    return bool(row.choices and row.logprobs) and all(map(math.isfinite, row.logprobs or ()))


def scores(row: TableRow) -> dict[str, float]:
    """Return the log-likelihood of each option, in nats."""
    return dict(zip(row.choices or (), row.logprobs or (), strict=True))


def top_margin(row: TableRow) -> float:
    """Return how much better the best option is than the second best, 0 or more."""
    second, first = sorted(row.logprobs or ())[-2:]
    return first - second


def anchored_margin(row: TableRow, anchor: str) -> float:
    """Return how much better an option is than the best of the others; below 0 it is not the best.

    Raises
    ------
    KeyError
        If it is none of the options.
    """
    found = scores(row)
    return found.pop(anchor) - max(found.values())


def yes_no_margin(row: TableRow, positive: str, negative: str) -> float:
    """Return how much better the positive option is than the negative one."""
    found = scores(row)
    return found[positive] - found[negative]
