"""The cluster bootstrap, for statistics without a closed form, such as ratios."""

from __future__ import annotations

import math
from collections.abc import Callable
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
    clusters = len(totals)
    if clusters < 2:
        return Bootstrap(None, None, None)
    batch = max(1, _BATCH // clusters)
    sizes = [min(batch, resamples - start) for start in range(0, resamples, batch)]
    replicates = statistic(np.concatenate([_draw(clusters, size, rng) @ totals for size in sizes]))
    # An order statistic, not an interpolation: infinite replicates must not turn into NaN.
    low, high = np.quantile(replicates, [0.025, 0.975], method="inverted_cdf")
    return Bootstrap(
        _finite(np.std(replicates, ddof=1)) if np.isfinite(replicates).all() else None,
        _finite(low),
        _finite(high),
    )


def _draw(clusters: int, size: int, rng: np.random.Generator) -> FloatArray:
    """Return how often each cluster is drawn in each replicate, shape (size, clusters)."""
    drawn = rng.integers(clusters, size=(size, clusters))
    # One count of all replicates at once: each has its own range of numbers.
    numbers = drawn + clusters * np.arange(size)[:, np.newaxis]
    counts = np.bincount(numbers.ravel(), minlength=size * clusters)
    return counts.reshape(size, clusters).astype(np.float64)


def _finite(value: np.floating[Any]) -> float | None:
    return float(value) if math.isfinite(value) else None
