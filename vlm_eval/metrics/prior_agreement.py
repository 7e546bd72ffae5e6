"""Whether perturbations push yes/no answers towards what the model says without an image.

With m the yes-no margin s(Yes) - s(No) in nats, clean, under perturbation v, and on a blank::

    agree_prior    P(answer^v = answer^blank | answer^v is another than the clean one)
    drift_to_prior λ = (m^v - m) / (m^blank - m), median, winsorised to [-2, 3], |m^blank - m| > 0.1
    margin_shift   mean m^v - m, for gold yes and gold no apart
    *_change       FPR, recall and yes ratio under v, less the clean ones

Protocol of this project for the question of arXiv 2602.06652, section on POPE, whose own blank is
the white image.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TypeAlias

import numpy as np

from vlm_eval.core.hashing import derive_rng
from vlm_eval.core.options import configurable
from vlm_eval.core.types import Level
from vlm_eval.metrics.checks import check_level, check_trials
from vlm_eval.metrics.margins import scored, yes_no_margin
from vlm_eval.metrics.slices import By, slices
from vlm_eval.metrics.stability_instances import (
    Families,
    Instance,
    Units,
    clean_level,
    collect,
    family_levels,
    family_places,
)
from vlm_eval.metrics.table import Result, Table, TableRow
from vlm_eval.stats.bootstrap import cluster_bootstrap
from vlm_eval.stats.clusters import Clusters, FloatArray
from vlm_eval.stats.intervals import UNKNOWN
from vlm_eval.stats.mean import Mean, clustered_mean
from vlm_eval.stats.paired import SEED, paired_mean
from vlm_eval.stats.results import Estimate

WINSOR = (-2.0, 3.0)
"""Values of λ outside are moved to these ends."""
SMALLEST = 0.1
"""Nats that blank and clean margin must differ by for λ to mean anything."""
_STEP = 0.01  # resolution of the resampled median of λ

WithBlank: TypeAlias = tuple[Instance, TableRow]


@configurable
class PriorAgreement:
    """Agreement with and drift towards the blank-image answer, for each family and for all.

    ``agree_prior``, ``drift_to_prior``
        By blank (``blank`` in the result's place) and family. λ needs scored options.
    ``fpr_change``, ``recall_change``, ``yes_ratio_change``
        Signed, by family, paired by instance; failed trials drop their pair and an unparsed answer
        is no "yes".
    ``margin_shift``
        Signed, by family and gold answer. Needs scored options.

    What the model says to the blanks themselves is in ``presence``.

    Attributes
    ----------
    families
        Families by name: each one level, a pattern of levels (``translate_*``), or several.
    blanks
        The levels without visual content.
    factor
        The factor of perturbations.
    clean
        Its level without perturbation; the first if None.
    positive, negative
        The answers that mean yes and no.
    by
        Factors or fields to break the results down by.
    """

    families: Families
    blanks: tuple[Level, ...]
    factor: str = "perturbation"
    clean: Level | None = None
    positive: str = "Yes"
    negative: str = "No"
    by: By = ()

    def __call__(self, table: Table) -> list[Result]:
        """Return estimates."""
        clean = clean_level(table, self.factor, self.clean)
        families = family_levels(table, self.factor, clean, self.families)
        check_level(table, self.factor, *self.blanks)
        check_trials(table, "accuracy")
        found: list[Result] = []
        for where, part in slices(table, self.by):
            units = collect(part, self.factor, clean, families, "accuracy")
            for family, place in family_places(families):
                at = {**where, **place}
                for blank in self.blanks:
                    found += self._agreement(units, family, blank, at, table.task)
                found += self._changes(units.instances(family), at)
        return found

    def _agreement(
        self,
        units: Units,
        family: str | None,
        blank: Level,
        where: Mapping[str, Level],
        task: str,
    ) -> Iterator[Estimate]:
        pairs = [
            (instance, unit.others[blank])
            for unit in units.units
            if blank in unit.others
            for instance in units.of(unit, family)
        ]
        place = {**where, "blank": blank}
        flips = [(i, prior) for i, prior in pairs if i.changed and prior.answer is not None]
        agree = [float(i.after == prior.answer) for i, prior in flips]
        mean = clustered_mean(agree, Clusters.of(i.clean.cluster for i, _ in flips))
        yield mean.estimate("agree_prior", place)
        yield self._drift(pairs, task).estimate("drift_to_prior", place, signed=True)

    def _drift(self, pairs: Sequence[WithBlank], task: str) -> Mean:
        """Return the median of λ over instances, interval by cluster bootstrap."""
        values, clusters = [], []
        for instance, prior in pairs:
            if not all(map(self._has_margin, (instance.clean, instance.row, prior))):
                continue
            clean, after, blank = map(self._margin, (instance.clean, instance.row, prior))
            if abs(blank - clean) > SMALLEST:
                values.append((after - clean) / (blank - clean))
                clusters.append(instance.clean.cluster)
        winsorised = np.clip(np.array(values, dtype=np.float64), *WINSOR)
        return _median(winsorised, Clusters.of(clusters), derive_rng(SEED, task, "drift_to_prior"))

    def _changes(
        self, instances: Sequence[Instance], where: Mapping[str, Level]
    ) -> Iterator[Estimate]:
        answered = [i for i in instances if not i.row.failed]
        yes = [i for i in answered if i.row.gold == self.positive]
        no = [i for i in answered if i.row.gold == self.negative]
        for name, part in (("fpr", no), ("recall", yes), ("yes_ratio", answered)):
            before = np.array([i.before == self.positive for i in part], dtype=np.float64)
            after = np.array([i.after == self.positive for i in part], dtype=np.float64)
            clusters = Clusters.of(i.clean.cluster for i in part)
            mean = paired_mean(before, after, clusters)
            better = name == "fpr"
            yield mean.estimate(f"{name}_change", where, signed=True, lower_is_better=better)
        for gold, part in ((self.positive, yes), (self.negative, no)):
            known = [i for i in part if self._has_margin(i.clean) and self._has_margin(i.row)]
            shifts = [self._margin(i.row) - self._margin(i.clean) for i in known]
            mean = clustered_mean(shifts, Clusters.of(i.clean.cluster for i in known))
            place = {**where, "gold": gold}
            yield mean.estimate("margin_shift", place, signed=True, unit="nats")

    def _has_margin(self, row: TableRow) -> bool:
        return scored(row) and {self.positive, self.negative} <= set(row.choices or ())

    def _margin(self, row: TableRow) -> float:
        return yes_no_margin(row, self.positive, self.negative)


def _median(values: FloatArray, clusters: Clusters, rng: np.random.Generator) -> Mean:
    """Return the median; its interval resamples clusters, on a grid of 0.01."""
    if len(values) == 0:
        return Mean(None, None, *UNKNOWN, n=0, clusters=0)
    low, high = WINSOR
    grid = np.linspace(low, high, round((high - low) / _STEP) + 1)
    cells = np.rint((values - low) / _STEP).astype(np.intp)
    totals = np.zeros((clusters.count, len(grid)))
    np.add.at(totals, (clusters.index, cells), 1.0)

    def median(counts: FloatArray) -> FloatArray:
        reached = np.cumsum(counts, axis=1)
        half = reached[:, -1:] / 2
        found: FloatArray = grid[(reached >= half).argmax(axis=1)]
        return found

    spread = cluster_bootstrap(totals, median, rng)
    known = spread.low is not None and spread.high is not None and spread.low < spread.high
    ends = (spread.low, spread.high, "cluster_bootstrap") if known else UNKNOWN
    middle = float(np.median(values))
    return Mean(
        middle, spread.se if known else None, *ends, n=clusters.rows, clusters=clusters.count
    )
