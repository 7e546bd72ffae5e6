import numpy as np
import pytest
from scipy import stats

from vlm_eval.stats.power import minimum_detectable


def test_it_is_about_two_point_eight_errors() -> None:
    z = stats.norm.ppf(0.975) + stats.norm.ppf(0.8)
    assert minimum_detectable(0.01, 100_000) == pytest.approx(0.01 * z, rel=1e-4)


def test_few_clusters_need_a_larger_effect() -> None:
    expected = 0.01 * (stats.t.ppf(0.975, 4) + stats.t.ppf(0.8, 4))
    assert minimum_detectable(0.01, 4) == pytest.approx(expected)


def test_a_true_difference_of_that_size_is_found_four_times_in_five() -> None:
    rng = np.random.default_rng(0)
    n = 50
    effect = minimum_detectable(1 / np.sqrt(n), n - 1)
    samples = rng.normal(effect, 1, size=(4000, n))
    found = stats.ttest_1samp(samples, 0, axis=1).pvalue <= 0.05
    assert found.mean() == pytest.approx(0.8, abs=0.02)


@pytest.mark.parametrize("se", [None, 0.0])
def test_unknown_spread_detects_nothing(se: float | None) -> None:
    assert minimum_detectable(se, 10) is None
