"""How well a score tells positive rows from negative ones: the area under the ROC curve."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vlm_eval.stats.clusters import BoolArray, Clusters, FloatArray, IntArray
from vlm_eval.stats.intervals import UNKNOWN
from vlm_eval.stats.mean import Mean, as_scores
from vlm_eval.stats.moments import resampled


def auroc(scores: Sequence[float] | FloatArray, positive: Sequence[bool]) -> float | None:
    """Return the share of (positive, negative) pairs that the score orders rightly, ties half.

    ``P(s+ > s-) + P(s+ = s-) / 2``, the Mann-Whitney statistic over its largest value; exact.

    Parameters
    ----------
    scores
        Higher means more likely positive; finite, shape (rows,).
    positive
        Which rows are positive, shape (rows,).

    Returns
    -------
    float or None
        In [0, 1], 0.5 for a score that tells nothing; None without a row of either class.

    Raises
    ------
    ValueError
        If a score is not finite, or the lengths differ.
    """
    singles = Clusters.of(map(str, range(len(scores))))
    ranked = _Ranked.of(scores, positive, singles)
    return None if ranked is None else float(ranked.area(np.ones((1, singles.count)))[0, 0])


def clustered_auroc(
    scores: Sequence[float] | FloatArray,
    positive: Sequence[bool],
    clusters: Clusters,
    rng: np.random.Generator,
) -> Mean:
    """Return the area with a cluster-bootstrap interval.

    Parameters
    ----------
    scores, positive
        As for :func:`auroc`.
    clusters
        The partition of the rows.
    rng
        From :func:`vlm_eval.core.hashing.derive_rng`.

    Returns
    -------
    Mean
        The interval is unknown with fewer than two clusters, where no replicate differs, and where
        too many replicates have one class only.
    """
    ranked = _Ranked.of(scores, positive, clusters)
    if ranked is None:
        return Mean(None, None, *UNKNOWN, n=clusters.rows, clusters=clusters.count)
    each = np.eye(clusters.count)
    return resampled(each, ranked.area, rng, [(clusters.rows, clusters.count)])[0]


@dataclass(frozen=True)
class _Ranked:
    """Rows sorted by score: class and cluster of each, and where rows of another score begin."""

    positive: BoolArray
    index: IntArray
    starts: IntArray

    @classmethod
    def of(
        cls, scores: Sequence[float] | FloatArray, positive: Sequence[bool], clusters: Clusters
    ) -> _Ranked | None:
        """Return the rows sorted; None if there is one class only."""
        values = as_scores(scores, clusters)
        labels: BoolArray = np.asarray(positive, dtype=bool)
        if labels.shape != values.shape:
            raise ValueError(f"{len(values)} scores and {len(labels)} labels")
        if labels.all() or not labels.any():
            return None
        order = np.argsort(values, kind="stable")
        starts = np.flatnonzero(np.diff(values[order], prepend=-np.inf))
        return cls(labels[order], clusters.index[order], starts)

    def area(self, drawn: FloatArray) -> FloatArray:
        """Return the area of each replicate, shape (replicates, 1); NaN where a class is missing.

        ``drawn`` says how often each cluster is drawn, shape (replicates, clusters).
        """
        weights = drawn[:, self.index]
        ups = np.add.reduceat(weights * self.positive, self.starts, axis=1)
        downs = np.add.reduceat(weights * ~self.positive, self.starts, axis=1)
        below = np.cumsum(downs, axis=1) - downs / 2
        pairs = ups.sum(axis=1) * downs.sum(axis=1)
        area = np.full(len(drawn), np.nan)
        np.divide((ups * below).sum(axis=1), pairs, out=area, where=pairs > 0)
        return area[:, np.newaxis]
