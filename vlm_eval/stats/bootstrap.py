"""The cluster bootstrap, for statistics without a closed form, such as ratios."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from vlm_eval.stats.clusters import FloatArray

RESAMPLES = 2_000
_BATCH = 50_000


class Bootstrap(NamedTuple):
    """What resampling says about a statistic; None is unknown.

    Attributes
    ----------
    se
        Standard deviation of the replicates (not of their mean).
    low, high
        Percentile 95 % interval. An end is None where the replicates there are unbounded.
    """

    se: float | None
    low: float | None
    high: float | None


def cluster_bootstrap(
    totals: FloatArray,
    statistic: Callable[[FloatArray], FloatArray],
    rng: np.random.Generator,
    resamples: int = RESAMPLES,
) -> Bootstrap:
    """Draw C of C clusters with replacement, many times, and look at the spread of a statistic.

    Parameters
    ----------
    totals
        What each cluster contributes, shape (clusters, k): sums of scores, number of rows.
    statistic
        From the totals of each replicate, shape (replicates, k), to its values, shape
        (replicates,). Infinite values are allowed.
    rng
        From :func:`vlm_eval.core.hashing.derive_rng`: named by task, metric and purpose.
    resamples
        Number of replicates.

    Returns
    -------
    Bootstrap
        All None with fewer than two clusters.
    """
    if len(totals) < 2:
        return Bootstrap(None, None, None)
    batches = _resampled(totals, rng, resamples, max(1, _BATCH // len(totals)))
    return spread(statistic(np.concatenate(list(batches))))


def cluster_bootstraps(
    totals: FloatArray,
    statistics: Callable[[FloatArray], FloatArray],
    rng: np.random.Generator,
    resamples: int = RESAMPLES,
) -> list[Bootstrap]:
    """Look at the spread of several statistics of the *same* resamples.

    Parameters
    ----------
    totals, rng, resamples
        As for :func:`cluster_bootstrap`.
    statistics
        From the totals of each replicate, shape (replicates, k), to m values for each, shape
        (replicates, m). NaN is a value that a replicate does not have (a ratio to nothing).

    Returns
    -------
    list of Bootstrap
        One for each statistic; all None with fewer than two clusters.
    """
    if len(totals) < 2:
        return [Bootstrap(None, None, None)] * statistics(totals.sum(axis=0)[np.newaxis]).shape[1]
    # Wide totals are reduced a batch at a time, so that they are never all in memory.
    batches = _resampled(totals, rng, resamples, max(1, _BATCH // max(totals.shape)))
    replicates = np.concatenate([statistics(batch) for batch in batches])
    return [spread(column) for column in replicates.T]


def spread(replicates: FloatArray) -> Bootstrap:
    """Return standard error and percentile interval of replicates.

    A replicate that is NaN might have been anything: it counts below the low end and above the high
    end, so an end is unknown where more than 2.5 % of the replicates have no value.
    """
    # Order statistics, not interpolations: infinite replicates must not turn into NaN.
    unknown = np.isnan(replicates)
    low = np.quantile(np.where(unknown, -np.inf, replicates), 0.025, method="inverted_cdf")
    high = np.quantile(np.where(unknown, np.inf, replicates), 0.975, method="inverted_cdf")
    known = np.isfinite(replicates).all()
    return Bootstrap(
        _finite(np.std(replicates, ddof=1)) if known else None, _finite(low), _finite(high)
    )


def _resampled(
    totals: FloatArray, rng: np.random.Generator, resamples: int, batch: int
) -> Iterator[FloatArray]:
    """Yield the totals of the replicates, a batch at a time."""
    for start in range(0, resamples, batch):
        yield _draw(len(totals), min(batch, resamples - start), rng) @ totals


def _draw(clusters: int, size: int, rng: np.random.Generator) -> FloatArray:
    """Return how often each cluster is drawn in each replicate, shape (size, clusters)."""
    drawn = rng.integers(clusters, size=(size, clusters))
    # One count of all replicates at once: each has its own range of numbers.
    numbers = drawn + clusters * np.arange(size)[:, np.newaxis]
    counts = np.bincount(numbers.ravel(), minlength=size * clusters)
    return counts.reshape(size, clusters).astype(np.float64)


def _finite(value: np.floating[Any]) -> float | None:
    return float(value) if math.isfinite(value) else None
