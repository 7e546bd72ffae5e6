"""Spread, effect size and correlation against NumPy, and their intervals against closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vlm_eval.core.hashing import derive_rng
from vlm_eval.stats.clusters import Clusters
from vlm_eval.stats.moments import (
    Moments,
    clustered_pearson,
    clustered_sd,
    cohens_d,
    resampled,
    rows_of,
)

VALUES = st.lists(st.floats(-100, 100), min_size=2, max_size=30)


def moments(values: list[float | None]) -> Moments:
    return Moments(*rows_of(values).sum(axis=0))


def published(mean: float, sd: float, n: int = 200) -> Moments:
    return Moments(*map(np.asarray, (float(n), n * mean, (n - 1) * sd**2 + n * mean**2)))


def singles(n: int) -> Clusters:
    return Clusters.of(f"{i:04}" for i in range(n))


@given(VALUES)
def test_mean_and_spread_as_numpy(values: list[float]) -> None:
    found = moments([*values, None])
    assert float(found.mean) == pytest.approx(np.mean(values), abs=1e-9)
    assert float(found.sd) == pytest.approx(np.std(values, ddof=1), rel=1e-4, abs=1e-4)


def test_constants_have_no_spread_at_all() -> None:
    assert float(moments([0.1] * 7).variance) == 0
    assert math.isnan(float(moments([0.1]).variance))
    assert math.isnan(float(moments([]).mean))


@given(VALUES, VALUES)
def test_cohens_d_is_the_pooled_formula(one: list[float], other: list[float]) -> None:
    n1, n2 = len(one), len(other)
    v1, v2 = np.var(one, ddof=1), np.var(other, ddof=1)
    pooled = ((n1 - 1) * v1 + (n2 - 1) * v2) / (n1 + n2 - 2)
    found = float(cohens_d(moments(one), moments(other)))
    if pooled > 1e-3:
        expected = (np.mean(one) - np.mean(other)) / math.sqrt(pooled)
        assert found == pytest.approx(expected, rel=1e-4, abs=1e-6)


def test_no_effect_size_without_spread() -> None:
    assert math.isnan(float(cohens_d(moments([1, 1]), moments([2, 2]))))


def test_the_published_numbers_fit_together() -> None:
    """Translation 4.1 ± 14.8 % and d = -3.88 give the control's sd, which predicts the overlay."""
    mu = 0.228
    low, high = 0.0, 1.0
    for _ in range(60):  # bisection of the control's sd, in the same formula
        middle = (low + high) / 2
        d = float(cohens_d(published(0.041 * mu, 0.148 * mu), published(mu, middle)))
        low, high = (middle, high) if d < -3.88 else (low, middle)
    assert middle == pytest.approx(0.0722, abs=5e-5)
    overlay = cohens_d(published(0.777 * mu, 0.886 * mu), published(mu, middle))
    assert float(overlay) == pytest.approx(-0.335, abs=5e-4)  # published: -0.34


def test_the_spread_of_a_spread() -> None:
    values = np.random.default_rng(0).normal(50.0, 2.0, 400).tolist()
    found = clustered_sd(values, singles(400), derive_rng(0, "sd"))
    assert found.value == pytest.approx(np.std(values, ddof=1), rel=1e-9)
    assert found.se == pytest.approx(found.value / math.sqrt(2 * 400), rel=0.15)
    assert found.low < found.value < found.high
    assert found.n == found.clusters == 400


def test_pearson_as_numpy_whatever_shift_and_scale() -> None:
    rng = np.random.default_rng(1)
    x = rng.normal(size=200)
    y = 0.6 * x + 0.8 * rng.normal(size=200)
    found = clustered_pearson((1e6 + 1e-3 * x).tolist(), (-5 * y).tolist(), singles(200), rng)
    assert found.value == pytest.approx(-np.corrcoef(x, y)[0, 1], abs=1e-6)
    assert found.low < found.value < found.high
    assert found.se == pytest.approx((1 - found.value**2) / math.sqrt(200), rel=0.25)


def test_copies_do_not_narrow_the_interval() -> None:
    rng = np.random.default_rng(2)
    x, y = rng.normal(size=(2, 40))
    one = clustered_pearson(x, y, singles(40), derive_rng(0, "p"))
    names = np.repeat([f"{i:04}" for i in range(40)], 6).tolist()
    many = clustered_pearson(
        np.repeat(x, 6), np.repeat(y, 6), Clusters.of(names), derive_rng(0, "p")
    )
    assert many.value == pytest.approx(one.value)
    assert many.se == pytest.approx(one.se, rel=1e-6)


def test_unknown_where_it_is() -> None:
    for x, y in (([1.0, 2.0], [1.0, 2.0]), ([1.0] * 5, [1.0, 2.0, 3.0, 4.0, 5.0]), ([], [])):
        found = clustered_pearson(x, y, singles(len(x)), derive_rng(0, "u"))
        assert (found.value, found.low, found.method) == (None, None, "none")
    assert clustered_sd([], Clusters.of([]), derive_rng(0, "u")).value is None
    assert clustered_sd([3.0], singles(1), derive_rng(0, "u")).value is None
    equal = clustered_sd([3.0] * 5, singles(5), derive_rng(0, "u"))
    assert (equal.value, equal.low) == (0.0, None)


def test_several_statistics_share_their_resamples() -> None:
    columns = rows_of([1.0, 2.0, 4.0, 8.0])

    def both(sums: np.ndarray) -> np.ndarray:
        found = Moments(*sums.T)
        return np.stack([found.mean, -found.mean], axis=1)

    one, other = resampled(columns, both, derive_rng(0, "r"), [(4, 4), (9, 3)])
    assert one.value == -other.value == 3.75
    assert (one.low, one.high) == (-other.high, -other.low)
    assert (other.n, other.clusters) == (9, 3)
