r"""Whether an answer needs several bands of spatial frequency at once.

The image is low-passed (LP_c) and high-passed (HP_c, its mean kept) at cutoffs c, and M is the
margin of the clean answer y0 in nats, s(y0) - max over the other options; M_0 on the clean image::

    coherence gap   G_c = M_0 - max(M(LP_c), M(HP_c))                neither alone suffices
    synergy         Y_c = M_0 - (M(LP_c) + M(HP_c) - M(DC))             together more than their sum
    smoothness      largest step of the mean margin along c / its whole drop from M_0 to M(DC)

Definitions of this project: arXiv 2602.06652 says that answers need "spectral coherence across
components" and that margins degrade smoothly, and no formula could be had. The conditions are
those of a task, or the analysis :mod:`vlm_eval.internals.coherence` makes them of any task's clean
trials.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Literal, TypeAlias

import numpy as np
from pydantic import Field

from vlm_eval.core.hashing import derive_rng
from vlm_eval.core.options import configurable
from vlm_eval.core.types import Level
from vlm_eval.metrics.checks import check_level, check_trials
from vlm_eval.metrics.margins import anchored_margin, scored
from vlm_eval.metrics.representation import Subject, settings, subjects
from vlm_eval.metrics.slices import By
from vlm_eval.metrics.stability_instances import clean_level
from vlm_eval.metrics.table import Result, Table, TableRow
from vlm_eval.stats.clusters import Clusters, FloatArray
from vlm_eval.stats.mean import clustered_mean, measured_mean
from vlm_eval.stats.moments import resampled
from vlm_eval.stats.paired import SEED
from vlm_eval.stats.results import Estimate

Margins: TypeAlias = Mapping[Level, float]
"""The margins of one sample, by level."""
CUTOFFS = (0.05, 0.1, 0.25, 0.5, 0.75, 1.0)


@configurable
class Coherence:
    """Margins by band, and what the bands have together and not alone; for scored options.

    ``band_margin``
        Mean margin at each level, nats.
    ``coherence_gap``, ``synergy``
        Mean G_c and Y_c over samples, by ``cutoff``, nats. At cutoff 1 the low-pass is the image
        itself, so that the gap is 0 or less.
    ``no_single_band``
        Share of samples with G_c > 0 at every cutoff below 1.
    ``smoothness``
        For each ``pass``, ``low`` and ``high``: 1 / steps where the mean margin falls evenly, 1
        where it falls at one cutoff, more where it also rises on the way. None where it does not
        fall.

    Attributes
    ----------
    cutoffs
        The cutoffs, rising.
    factor
        The factor of bands. Levels of other factors are never pooled.
    clean
        Its level with all frequencies; the first if None.
    low, high
        Names of the levels, with ``{}`` for the cutoff.
    dc
        The level with the mean alone.
    margin
        Of which option: ``anchored``, the clean answer; ``correct``, the right one.
    by
        Factors or fields to break the results down by.
    """

    cutoffs: Annotated[tuple[float, ...], Field(min_length=1)] = CUTOFFS
    factor: str = "band"
    clean: Level | None = None
    low: str = "low_{}"
    high: str = "high_{}"
    dc: Level = "dc_only"
    margin: Literal["anchored", "correct"] = "anchored"
    by: By = ()

    def __call__(self, table: Table) -> list[Result]:
        """Return estimates."""
        clean = clean_level(table, self.factor, self.clean)
        levels = [clean, self.dc, *map(self.low.format, self.cutoffs)]
        levels += map(self.high.format, self.cutoffs)
        check_level(table, self.factor, *levels)
        check_trials(table, "accuracy")
        found: list[Result] = []
        for where, part in settings(table, self.factor, self.by):
            samples = subjects(part, self.factor, clean)
            margins = [(s.clean.cluster, self._margins(s, levels)) for s in samples]
            for level in levels:
                values = [m.get(level) for _, m in margins]
                place = {**where, self.factor: level}
                found.append(_mean("band_margin", margins, values, place, "nats"))
            found += self._bands(margins, clean, where)
            for band, curve in (("low", reversed(self.cutoffs)), ("high", iter(self.cutoffs))):
                name = self.low if band == "low" else self.high
                path = [clean, *map(name.format, curve), self.dc]
                found.append(_smoothness(margins, path, {**where, "pass": band}, table.task))
        return found

    def _margins(self, subject: Subject, levels: Sequence[Level]) -> Margins:
        """Return a sample's margins, at the levels where its options were scored."""
        anchor = subject.clean.gold if self.margin == "correct" else subject.clean.answer
        if subject.clean.failed or anchor is None:
            return {}
        rows: Mapping[Level, TableRow] = subject.others
        return {
            level: anchored_margin(rows[level], anchor)
            for level in levels
            if level in rows and scored(rows[level]) and anchor in (rows[level].choices or ())
        }

    def _bands(
        self,
        margins: Sequence[tuple[str, Margins]],
        clean: Level,
        where: Mapping[str, Level],
    ) -> Iterator[Estimate]:
        gaps: list[list[float | None]] = []
        for cutoff in self.cutoffs:
            low, high = self.low.format(cutoff), self.high.format(cutoff)
            gap = [_gap(m, clean, low, high) for _, m in margins]
            synergy = [_synergy(m, clean, low, high, self.dc) for _, m in margins]
            place = {**where, "cutoff": cutoff}
            yield _mean("coherence_gap", margins, gap, place, "nats")
            yield _mean("synergy", margins, synergy, place, "nats")
            if cutoff < 1:
                gaps.append(gap)
        alone = [_no_single_band([gap[i] for gap in gaps]) for i in range(len(margins))]
        yield _mean("no_single_band", margins, alone, where, "")


def _gap(margins: Margins, clean: Level, low: Level, high: Level) -> float | None:
    if not {clean, low, high} <= margins.keys():
        return None
    return margins[clean] - max(margins[low], margins[high])


def _no_single_band(gaps: Sequence[float | None]) -> float | None:
    """Return 1 if all gaps are above 0, else 0; None if one is unknown or there are none."""
    known = [gap for gap in gaps if gap is not None]
    return float(min(known) > 0) if known and len(known) == len(gaps) else None


def _synergy(margins: Margins, clean: Level, low: Level, high: Level, dc: Level) -> float | None:
    if not {clean, low, high, dc} <= margins.keys():
        return None
    return margins[clean] - (margins[low] + margins[high] - margins[dc])


def _mean(
    name: str,
    margins: Sequence[tuple[str, Margins]],
    values: Sequence[float | None],
    where: Mapping[str, Level],
    unit: str,
) -> Estimate:
    """Return the mean of what is known: of nats, or without a unit of a share."""
    pairs = zip(margins, values, strict=True)
    known = [(cluster, value) for (cluster, _), value in pairs if value is not None]
    clusters = Clusters.of(cluster for cluster, _ in known)
    numbers = [value for _, value in known]
    mean = measured_mean(numbers, clusters) if unit else clustered_mean(numbers, clusters)
    return mean.estimate(name, where, signed=bool(unit), unit=unit)


def _smoothness(
    margins: Sequence[tuple[str, Margins]],
    path: Sequence[Level],
    where: Mapping[str, Level],
    task: str,
) -> Estimate:
    """Return the largest step of the mean margin along a path of levels over its whole drop."""
    known = [(cluster, m) for cluster, m in margins if set(path) <= m.keys()]
    clusters = Clusters.of(cluster for cluster, _ in known)
    curves = np.array([[m[level] for level in path] for _, m in known], dtype=np.float64)

    def smoothness(sums: FloatArray) -> FloatArray:
        steps = np.abs(np.diff(sums, axis=1)).max(axis=1)
        drop = sums[:, 0] - sums[:, -1]
        found = np.full(len(sums), np.nan)
        np.divide(steps, drop, out=found, where=drop > 0)
        return found[:, np.newaxis]

    totals = clusters.sums(curves.reshape(-1, len(path)))
    rng = derive_rng(SEED, task, "smoothness")
    (mean,) = resampled(totals, smoothness, rng, [(clusters.rows, clusters.count)])
    return mean.estimate("smoothness", where, lower_is_better=True, unit="ratio")
