from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from vlm_eval.core.hashing import derive_rng
from vlm_eval.published import cityscapes
from vlm_eval.stats import correlation
from vlm_eval.stats.correlation import Correlation, Method, correlate, critical_r, fisher_z

# Golden values, recomputed from the tables of arXiv:2601.08355 v1 by other code than ours.
GOLDEN = json.loads(
    (Path(__file__).parents[1] / "published" / "cityscapes-correlations.json").read_text()
)
METHODS: tuple[Method, ...] = ("pearson", "spearman")


def both(x, y, method: Method) -> Correlation:
    return correlate(x, y, method, derive_rng(0, "test"))


@pytest.mark.parametrize("segmenter", GOLDEN["values"])
@pytest.mark.parametrize("model", GOLDEN["values"]["SegFormer"])
def test_published_tables(segmenter: str, model: str) -> None:
    quality = cityscapes()["table3_miou"][segmenter]
    loss = [quality[0] - q for q in quality[1:]]
    for metric, values in cityscapes()["tables456_vlm"][model].items():
        gain = [value - values[0] for value in values[1:]]
        golden = GOLDEN["values"][segmenter][model][metric]
        for method in METHODS:
            level, change = both(quality, values, method), both(loss, gain, method)
            assert level.r is not None
            assert change.r is not None
            assert round(level.r, 4) == golden["level_n10"][method]
            assert round(change.r, 4) == golden["delta_n9"][method]
            assert (level.n, change.n) == (10, 9)


def test_critical_r() -> None:
    golden = GOLDEN["critical_abs_r_two_sided_0.05"]
    for n in (9, 10):
        critical = critical_r(n)
        assert critical is not None
        assert round(critical, 4) == golden[f"n{n}"]
    assert critical_r(2) is None
    assert critical_r(3) == pytest.approx(0.99692, abs=1e-5)  # table of critical values, df = 1


@given(
    st.lists(st.tuples(st.integers(-5, 5), st.integers(-5, 5)), min_size=3, max_size=12),
    st.sampled_from(METHODS),
)
def test_coefficient_equals_scipy(points, method: Method) -> None:
    x, y = np.array(points, dtype=float).T
    found = both(x, y, method)
    assert found.n == len(points)
    if np.ptp(x) == 0 or np.ptp(y) == 0:
        assert found.r is None
        return
    scipy = (stats.pearsonr if method == "pearson" else stats.spearmanr)(x, y)
    assert found.r == pytest.approx(scipy.statistic, abs=1e-12)
    assert both(y, x, method).r == pytest.approx(found.r, abs=1e-12)
    assert both(-2 * x + 3, y, method).r == pytest.approx(-found.r, abs=1e-12)


def test_exact_permutation_p() -> None:
    # Of the 4! pairings of a strictly increasing series, 2 reach |r| = 1.
    assert both([1, 2, 3, 4], [1, 2, 3, 4], "pearson").p == pytest.approx(2 / 24)
    x, y = [1.0, 2, 3, 4, 5, 6], [2.0, 1, 4, 3, 7, 5]
    found = both(x, y, "pearson")
    other = stats.pearsonr(x, y, method=stats.PermutationMethod(n_resamples=10_000))
    assert found.p == pytest.approx(other.pvalue)
    assert found.p_method == "permutation"


def test_sampled_permutation_p(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = [1, 2, 3, 4, 5, 6, 7], [2, 1, 4, 3, 7, 5, 6]
    exact = both(x, y, "spearman").p
    monkeypatch.setattr(correlation, "ENUMERATED", 6)
    sampled = both(x, y, "spearman")
    assert sampled.p_method == "permutation_monte_carlo"
    assert sampled.p == pytest.approx(exact, abs=1e-3)
    assert sampled.p == both(x, y, "spearman").p
    ten = list(range(10))
    assert both(ten, ten, "pearson").p == pytest.approx(1e-5, abs=2e-5)
    assert both(ten, ten, "pearson").p  # never 0


def test_interval() -> None:
    x, y = [1.0, 2, 3, 4, 5, 6, 7], [2.0, 1, 4, 3, 7, 5, 6]
    found, scipy = both(x, y, "pearson"), stats.pearsonr(x, y).confidence_interval()
    assert (found.low, found.high) == pytest.approx((scipy.low, scipy.high))
    assert found.interval == "fisher_z"
    wider = both(x, y, "spearman")
    assert wider.high is not None
    assert wider.low is not None
    assert wider.r is not None
    half = 1.959964 * math.sqrt((1 + wider.r**2 / 2) / 4)
    assert wider.high == pytest.approx(math.tanh(math.atanh(wider.r) + half), abs=1e-6)
    assert fisher_z(0.5, 3, "pearson").method == "none"


@pytest.mark.parametrize(
    ("x", "y", "n"),
    [
        ([], [], 0),
        ([1], [2], 1),
        ([1, 2], [2, 1], 2),
        ([1, 2, 3], [5, 5, 5], 3),
        ([0.1 + 0.2, 0.3, 0.3], [1, 2, 3], 3),  # constant but for rounding
        ([1, 2, None, 3], [1, 1, 7, 1], 3),
        ([math.nan, 1, 2], [1, 2, None], 1),
    ],
)
def test_what_has_no_correlation_is_none(x, y, n: int) -> None:
    for method in METHODS:
        found = both(x, y, method)
        assert found.n == n
        assert (found.r, found.low, found.high, found.p) == (None, None, None, None)
        assert (found.interval, found.p_method) == ("none", "none")


def test_perfect_correlation_has_no_interval() -> None:
    found = both([1, 2, 3, 4, 5], [2, 4, 6, 8, 10], "pearson")
    assert found.r == 1.0
    assert (found.low, found.high, found.interval) == (None, None, "none")


def test_rounding_makes_no_ranks() -> None:
    x = [0.1 + 0.2, 0.3, 0.5, 0.7]
    assert both(x, [1, 2, 3, 4], "spearman").r == pytest.approx(
        stats.spearmanr([0.3, 0.3, 0.5, 0.7], [1, 2, 3, 4]).statistic
    )


def test_lengths_must_agree() -> None:
    with pytest.raises(ValueError, match="shorter"):
        both([1, 2, 3], [1, 2], "pearson")
