import math

import numpy as np
import pytest

from vlm_eval.stats.clusters import Clusters
from vlm_eval.stats.mean import clustered_mean
from vlm_eval.stats.ratio import clustered_ratio


def singles(n):
    return Clusters.of(f"{i:03d}" for i in range(n))


def test_with_equal_denominators_it_is_the_mean():
    y = [0, 1, 1, 0, 2, 3]
    ratio, mean = (
        clustered_ratio(y, [2.0] * 6, singles(6)),
        clustered_mean(np.array(y) / 2, singles(6)),
    )
    assert ratio.value == pytest.approx(mean.value)
    assert ratio.se == pytest.approx(mean.se)
    assert (ratio.low, ratio.high) == pytest.approx((mean.low, mean.high))


def test_a_worked_example():
    # r = 3/8; residuals 1 - 4r, 2 - 4r = -0.5, 0.5; se = sqrt(2 * 0.5) / 8
    found = clustered_ratio([1, 2], [4, 4], singles(2))
    assert found.value == 3 / 8
    assert found.se == pytest.approx(math.sqrt(2 * 0.5) / 8)
    assert (found.n, found.clusters) == (2, 2)


def test_rows_of_one_cluster_are_added_first():
    whole = clustered_ratio([3, 1], [4, 6], singles(2))
    split = clustered_ratio([1, 2, 1], [2, 2, 6], Clusters.of(["000", "000", "001"]))
    assert (split.value, split.se, split.low) == pytest.approx((whole.value, whole.se, whole.low))


def test_coverage_of_the_interval():
    rng = np.random.default_rng(0)
    hits = 0
    for _ in range(400):
        x = rng.integers(1, 8, 60)
        y = rng.binomial(x, 0.3)
        found = clustered_ratio(y, x, singles(60))
        hits += found.low <= 0.3 <= found.high
    assert 0.91 <= hits / 400 <= 0.98


@pytest.mark.parametrize(("y", "x"), [([], []), ([0, 0], [0, 0])])
def test_nothing_to_divide_by_is_unknown(y, x):
    found = clustered_ratio(y, x, singles(len(x)))
    assert (found.value, found.se, found.low) == (None, None, None)


def test_one_cluster_and_no_spread_have_no_interval():
    assert clustered_ratio([1], [2], singles(1)).se is None
    same = clustered_ratio([1, 2], [2, 4], singles(2))
    assert (same.value, same.se, same.low) == (0.5, 0.0, None)
