"""Standard deviation, Cohen's d and Pearson's r of clustered rows, from sums that resample fast.

All are functions of sums over rows (how many, Σx, Σx², Σxy), so that a replicate of the cluster
bootstrap is a sum of clusters' sums. NaN is a value that cannot be computed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from vlm_eval.stats.bootstrap import Bootstrap, cluster_bootstraps
from vlm_eval.stats.clusters import Clusters, FloatArray
from vlm_eval.stats.intervals import UNKNOWN
from vlm_eval.stats.mean import Mean, as_scores

_CONSTANT = 1e-13  # A variance below this share of the squared mean is rounding.


class Moments(NamedTuple):
    """Sums over rows, of one sample or of many replicates (arrays of one shape)."""

    rows: FloatArray
    total: FloatArray
    square: FloatArray

    @property
    def mean(self) -> FloatArray:
        """The mean; NaN of no rows."""
        return _ratio(self.total, self.rows)

    @property
    def variance(self) -> FloatArray:
        """The sample variance, with n - 1; NaN with fewer than two rows."""
        mean = self.mean
        spread = _ratio(self.square, self.rows) - mean**2
        spread = np.where(spread > _CONSTANT * mean**2, spread, 0.0)
        return _ratio(spread * self.rows, np.where(self.rows > 1, self.rows - 1, 0.0))

    @property
    def sd(self) -> FloatArray:
        """The sample standard deviation."""
        return np.sqrt(self.variance)


def rows_of(values: Sequence[float | None]) -> FloatArray:
    """Return what each row adds to `Moments`, shape (rows, 3); a row without a value adds 0."""
    known = [(1.0, value, value * value) if value is not None else (0.0,) * 3 for value in values]
    return np.array(known, dtype=np.float64).reshape(-1, 3)


def cohens_d(one: Moments, other: Moments) -> FloatArray:
    """Return (mean1 - mean2) / sqrt(((n1 - 1) v1 + (n2 - 1) v2) / (n1 + n2 - 2)).

    Sample variances with n - 1 (Cohen 1988, *Statistical Power Analysis*, section 2.5.2). NaN where
    the pooled variance is 0, or a side has fewer than two rows.
    """
    freedom = one.rows + other.rows - 2
    within = (one.rows - 1) * one.variance + (other.rows - 1) * other.variance
    return _ratio(one.mean - other.mean, np.sqrt(_ratio(within, freedom)))


def clustered_sd(values: Sequence[float], clusters: Clusters, rng: np.random.Generator) -> Mean:
    """Return the standard deviation over rows (n - 1), with a cluster-bootstrap interval."""
    scores = as_scores(values, clusters)
    centred = scores - scores.mean() if len(scores) else scores
    columns = rows_of(centred.tolist())

    def sd(sums: FloatArray) -> FloatArray:
        return Moments(*sums.T).sd[:, np.newaxis]

    return resampled(clusters.sums(columns), sd, rng, [(clusters.rows, clusters.count)])[0]


def clustered_pearson(
    x: Sequence[float], y: Sequence[float], clusters: Clusters, rng: np.random.Generator
) -> Mean:
    """Return Pearson's r of two series over rows, with a cluster-bootstrap interval.

    None with fewer than three rows, or if a series is constant.
    """
    one, other = (_standard(as_scores(series, clusters)) for series in (x, y))
    if clusters.rows < 3 or one is None or other is None:
        return Mean(None, None, *UNKNOWN, n=clusters.rows, clusters=clusters.count)
    columns = np.stack([np.ones_like(one), one, one**2, other, other**2, one * other], axis=1)

    def pearson(sums: FloatArray) -> FloatArray:
        n, a, aa, b, bb, ab = sums.T
        spread = Moments(n, a, aa).variance * Moments(n, b, bb).variance
        covariance = _ratio(ab - a * b / n, n - 1)
        return np.clip(_ratio(covariance, np.sqrt(spread)), -1.0, 1.0)[:, np.newaxis]

    return resampled(clusters.sums(columns), pearson, rng, [(clusters.rows, clusters.count)])[0]


def resampled(
    totals: FloatArray,
    statistics: Callable[[FloatArray], FloatArray],
    rng: np.random.Generator,
    sizes: Sequence[tuple[int, int]],
) -> list[Mean]:
    """Return several statistics of clusters' sums, with intervals from the same resamples.

    Parameters
    ----------
    totals
        What each cluster contributes, shape (clusters, k).
    statistics
        From sums, shape (replicates, k), to values, shape (replicates, m); NaN is unknown.
    rng
        From :func:`vlm_eval.core.hashing.derive_rng`.
    sizes
        Rows and clusters that enter each of the m statistics.
    """
    values = statistics(totals.sum(axis=0)[np.newaxis])[0]
    spreads = cluster_bootstraps(totals, statistics, rng)
    return [
        _mean(float(value), spread, n, clusters)
        for value, spread, (n, clusters) in zip(values, spreads, sizes, strict=True)
    ]


def _mean(value: float, spread: Bootstrap, n: int, clusters: int) -> Mean:
    if not math.isfinite(value):
        return Mean(None, None, *UNKNOWN, n=n, clusters=clusters)
    if spread.low is None or spread.high is None or spread.low >= spread.high:
        return Mean(value, None, *UNKNOWN, n=n, clusters=clusters)
    ends = (spread.low, spread.high, "cluster_bootstrap")
    return Mean(value, spread.se, *ends, n=n, clusters=clusters)


def _standard(values: FloatArray) -> FloatArray | None:
    """Return the values centred and scaled, for accuracy; None if they are constant."""
    if len(values) == 0 or float(np.ptp(values)) == 0:
        return None
    centred = values - values.mean()
    scaled: FloatArray = centred / np.abs(centred).max()
    return scaled


def _ratio(part: FloatArray, whole: FloatArray) -> FloatArray:
    """Return part / whole; NaN where whole is 0."""
    part, whole = np.broadcast_arrays(np.asarray(part, float), np.asarray(whole, float))
    found = np.full(part.shape, np.nan)
    np.divide(part, whole, out=found, where=whole > 0)
    return found
