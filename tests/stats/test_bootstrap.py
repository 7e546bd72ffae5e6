import math

import numpy as np
import pytest

from vlm_eval.core.hashing import derive_rng
from vlm_eval.stats.bootstrap import Bootstrap, cluster_bootstrap
from vlm_eval.stats.clusters import Clusters, FloatArray
from vlm_eval.stats.mean import clustered_mean


def mean(totals: FloatArray) -> FloatArray:
    return totals[:, 0] / totals[:, 1]


def table(scores: FloatArray, clusters: Clusters) -> FloatArray:
    return np.column_stack([clusters.totals(scores), clusters.sizes])


def of_normals(resamples: int = 1000) -> Bootstrap:
    scores = np.random.default_rng(0).normal(size=400)
    clusters = Clusters.of(f"{i:03}" for i in range(400))
    rng = derive_rng(0, "t", "m", "x")
    return cluster_bootstrap(table(scores, clusters), mean, rng, resamples)


def test_error_is_the_spread_of_the_replicates_not_of_their_mean() -> None:
    """A peer divides by the root of the resamples too: 0.0016 for an error of 0.05."""
    assert of_normals().se == pytest.approx(1 / math.sqrt(400), rel=0.1)


def test_more_resamples_do_not_shrink_the_error() -> None:
    assert of_normals(200).se == pytest.approx(of_normals(5000).se, rel=0.15)


def test_it_agrees_with_the_clustered_closed_form() -> None:
    rng = np.random.default_rng(2)
    clusters = Clusters.of(f"{i:03}" for i in range(100) for _ in range(6))
    scores = (rng.random(600) < rng.beta(2.1, 0.7 / 3, size=100).repeat(6)).astype(float)
    closed = clustered_mean(scores, clusters)
    boot = cluster_bootstrap(table(scores, clusters), mean, derive_rng(0, "x"), 4000)
    assert boot.se == pytest.approx(closed.se, rel=0.05)
    assert (boot.low, boot.high) == pytest.approx((closed.low, closed.high), abs=0.005)


def test_it_is_seeded() -> None:
    assert of_normals() == of_normals()


def test_nothing_is_known_of_one_cluster() -> None:
    assert cluster_bootstrap(np.ones((1, 2)), mean, derive_rng(0)) == (None, None, None)


def test_unbounded_replicates_make_their_end_unknown() -> None:
    def half_infinite(totals: FloatArray) -> FloatArray:
        values = mean(totals)
        return np.where(values > 0, np.inf, values)

    scores = np.random.default_rng(0).normal(size=(50, 1))
    boot = cluster_bootstrap(np.hstack([scores, np.ones((50, 1))]), half_infinite, derive_rng(0))
    assert boot.se is None
    assert boot.high is None
    assert boot.low is not None
    assert boot.low < 0
