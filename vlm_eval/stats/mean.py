"""Means of clustered scores: one mean, and the unweighted mean of several groups' means."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from vlm_eval.core.types import Level
from vlm_eval.stats.clusters import Clusters, FloatArray
from vlm_eval.stats.intervals import UNKNOWN, Interval, student_t, wilson
from vlm_eval.stats.results import Estimate

_ROUNDING = 1e-12


@dataclass(frozen=True)
class Mean:
    """A mean with its uncertainty; None is unknown.

    Attributes
    ----------
    value
        The mean; None of no rows.
    se
        Clustered standard error; None with fewer than two clusters.
    low, high, method
        95 % interval and what gave it.
    n, clusters
        Rows, and distinct clusters among them.
    """

    value: float | None
    se: float | None
    low: float | None
    high: float | None
    method: str
    n: int
    clusters: int

    def estimate(
        self,
        name: str,
        where: Mapping[str, Level],
        *,
        lower_is_better: bool = False,
        signed: bool = False,
        unit: str = "",
    ) -> Estimate:
        """Return it as a result with a name and a place."""
        return Estimate(
            name=name,
            where=dict(where),
            **vars(self),
            lower_is_better=lower_is_better,
            signed=signed,
            unit=unit,
        )

    def share(self) -> Mean:
        """Return it with the interval cut to [0, 1], where nothing else can be."""
        low = None if self.low is None else max(0.0, self.low)
        high = None if self.high is None else min(1.0, self.high)
        return dataclasses.replace(self, low=low, high=high)

    def scaled(self, factor: float) -> Mean:
        """Return it in other units: value, error and interval times a positive factor."""
        value, se, low, high = (
            None if number is None else number * factor
            for number in (self.value, self.se, self.low, self.high)
        )
        return dataclasses.replace(self, value=value, se=se, low=low, high=high)


def as_scores(values: Sequence[float] | FloatArray, clusters: Clusters) -> FloatArray:
    """Return scores as an array after checking that they are finite and one a row.

    Raises
    ------
    ValueError
        If a score is NaN or infinite (unknown is None, and is dropped before, with a reason), or
        there are more or fewer scores than rows.
    """
    scores = np.asarray(values, dtype=np.float64)
    if scores.shape != (clusters.rows,):
        raise ValueError(f"{scores.shape} scores for {clusters.rows} rows")
    if not np.isfinite(scores).all():
        raise ValueError("a score is not finite; drop what has no score before averaging")
    return scores


def is_binary(scores: FloatArray) -> bool:
    """Return whether every score is 0 or 1."""
    return bool(((scores == 0) | (scores == 1)).all())


def clustered_se(scores: FloatArray, clusters: Clusters) -> float | None:
    """Return the cluster-robust (CR1) standard error of the mean of n scores in C clusters.

    sqrt(C / (C - 1)) / n · sqrt(Σ_c (Σ_{i in c} (s_i - mean))²): Miller 2024 (arXiv 2411.00640),
    eq. 4, with the C / (C - 1) correction. With clusters of one it is s / sqrt(n). None with fewer
    than two clusters, where nothing is known about the spread between them.
    """
    if clusters.count < 2:
        return None
    deviations = clusters.totals(scores) - clusters.sizes * scores.mean()
    if np.abs(deviations).max() <= _ROUNDING * clusters.rows * np.abs(scores).max():
        return 0.0
    correction = clusters.count / (clusters.count - 1)
    return math.sqrt(correction * float(deviations @ deviations)) / clusters.rows


def clustered_mean(values: Sequence[float] | FloatArray, clusters: Clusters) -> Mean:
    """Return the mean of scores with its clustered standard error and 95 % interval.

    The interval is Wilson's for 0/1 scores in clusters of one, Student's t with C - 1 degrees of
    freedom otherwise. Where the standard error is 0 a t interval would be a point, which claims
    certainty: 0/1 scores then get Wilson's interval with each cluster counted as *one* trial (as
    if its rows were copies), and other scores get none.
    """
    scores = as_scores(values, clusters)
    if clusters.rows == 0:
        return Mean(None, None, *UNKNOWN, n=0, clusters=0)
    value, se = float(scores.mean()), clustered_se(scores, clusters)
    return Mean(
        value, se, *_interval(scores, value, se, clusters), n=clusters.rows, clusters=clusters.count
    )


def measured_mean(values: Sequence[float] | FloatArray, clusters: Clusters) -> Mean:
    """Return the mean of measured quantities: `clustered_mean` that never takes them for counts.

    A distance that is 0 in every row is no share of failures: its interval is unknown, and not
    Wilson's.
    """
    mean = clustered_mean(values, clusters)
    if mean.value is None or mean.se is None or not is_binary(np.asarray(values)):
        return mean
    interval = student_t(mean.value, mean.se, clusters.count - 1) if mean.se > 0 else UNKNOWN
    return dataclasses.replace(mean, **interval._asdict())


def _interval(scores: FloatArray, value: float, se: float | None, clusters: Clusters) -> Interval:
    if se is None:
        return UNKNOWN
    if is_binary(scores):
        if clusters.singletons or se == 0:
            return wilson(value, clusters.count)
        low, high, method = student_t(value, se, clusters.count - 1)
        return Interval(max(0.0, low or 0.0), min(1.0, high or 0.0), method)
    return student_t(value, se, clusters.count - 1) if se > 0 else UNKNOWN


def macro_mean(means: Sequence[Mean], clusters: Sequence[frozenset[str]] | None = None) -> Mean:
    """Return the unweighted mean of the means of G groups, such as games.

    The standard error is sqrt(Σ_g se_g²) / G: errors add in quadrature and are never averaged. The
    interval combines the groups' own intervals in quadrature about the mean (MOVER: Zou and
    Donner 2008, *Stat. Med.* 27), so that it inherits what is right for each. Both hold for
    independent groups only: unknown where two groups share a cluster.

    Parameters
    ----------
    means
        One a group. A group without a value makes the mean unknown: it is not the mean of the rest.
    clusters
        The names of each group's clusters; None if no two groups can share one.
    """
    if len(means) == 1:
        return means[0]
    n, count = sum(mean.n for mean in means), sum(mean.clusters for mean in means)
    independent = True
    if clusters is not None:
        count = len(frozenset[str]().union(*clusters))
        independent = count == sum(map(len, clusters))
    values = [mean.value for mean in means if mean.value is not None]
    if not means or len(values) < len(means):
        return Mean(None, None, *UNKNOWN, n=n, clusters=count)
    value = math.fsum(values) / len(values)
    if not independent:
        return Mean(value, None, *UNKNOWN, n=n, clusters=count)
    se = _quadrature([mean.se for mean in means])
    below = _quadrature([_distance(mean.value, mean.low) for mean in means])
    above = _quadrature([_distance(mean.value, mean.high) for mean in means])
    interval = UNKNOWN
    if below is not None and above is not None:
        interval = Interval(value - below, value + above, "mover")
    return Mean(value, se, *interval, n=n, clusters=count)


def _distance(value: float | None, end: float | None) -> float | None:
    return None if value is None or end is None else abs(value - end)


def _quadrature(parts: Sequence[float | None]) -> float | None:
    """Return sqrt(Σ part²) / G; None if a part is unknown."""
    known = [part for part in parts if part is not None]
    return math.hypot(*known) / len(parts) if len(known) == len(parts) else None
