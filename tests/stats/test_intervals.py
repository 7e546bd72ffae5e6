import math

import pytest
from scipy import stats
from statsmodels.stats.proportion import proportion_confint

from vlm_eval.stats.intervals import Z, bonett_price, student_t, wilson


def test_z_is_the_normal_quantile() -> None:
    assert pytest.approx(stats.norm.ppf(0.975), abs=1e-12) == Z


@pytest.mark.parametrize("df", [1, 2, 9, 299])
def test_student_t_is_scipys(df: int) -> None:
    low, high, method = student_t(0.3, 0.05, df)
    assert (low, high) == pytest.approx(stats.t.interval(0.95, df, loc=0.3, scale=0.05))
    assert method == "student_t"


@pytest.mark.parametrize(("right", "n"), [(0, 5), (1, 7), (13, 20), (300, 300), (998, 1000)])
def test_wilson_is_statsmodels(right: int, n: int) -> None:
    low, high, method = wilson(right / n, n)
    expected = proportion_confint(right, n, method="wilson")
    assert (low, high) == pytest.approx(expected, abs=1e-12)
    assert method == "wilson"


@pytest.mark.parametrize(("right", "n"), [(0, 5), (300, 300)])
def test_wilson_of_all_or_nothing_is_not_a_point(right: int, n: int) -> None:
    low, high, _ = wilson(right / n, n)
    assert low is not None
    assert high is not None
    assert high - low > 0.01


def test_bonett_price_by_hand() -> None:
    # 2 lost, 6 gained of 40: shares (3/42, 7/42), difference 4/42.
    lost, gained = 3 / 42, 7 / 42
    half = Z * math.sqrt((lost + gained - (gained - lost) ** 2) / 42)
    low, high, method = bonett_price(2, 6, 40)
    assert (low, high) == pytest.approx((4 / 42 - half, 4 / 42 + half))
    assert method == "bonett_price"


def test_bonett_price_is_the_wald_interval_of_the_data_and_two_more_pairs() -> None:
    differences = [-1] * 2 + [1] * 6 + [0] * 32 + [-1, 1]
    mean = sum(differences) / 42
    variance = sum((d - mean) ** 2 for d in differences) / 42
    half = Z * math.sqrt(variance / 42)
    assert bonett_price(2, 6, 40)[:2] == pytest.approx((mean - half, mean + half))


def test_bonett_price_without_discordant_pairs_is_not_a_point() -> None:
    low, high, _ = bonett_price(0, 0, 30)
    assert high == pytest.approx(Z * math.sqrt(2) / 32)
    assert low == pytest.approx(-Z * math.sqrt(2) / 32)


def test_bonett_price_stays_within_one() -> None:
    assert bonett_price(0, 3, 3)[1] == 1.0
    assert bonett_price(3, 0, 3)[0] == -1.0


@pytest.mark.parametrize("n", [30, 50, 100, 300])
def test_bonett_price_covers_where_student_t_does_not(n: int) -> None:
    """Exact coverage with 4 % one-sided flips; t covers 71 % at n = 30 (never-flipped samples)."""
    covered = {"bonett_price": 0.0, "student_t": 0.0}
    for losses in range(n + 1):
        weight = stats.binom.pmf(losses, n, 0.04)
        mean = -losses / n
        se = math.sqrt((losses / n - mean**2) / (n - 1))
        for low, high, method in (bonett_price(losses, 0, n), student_t(mean, se, n - 1)):
            assert low is not None
            assert high is not None
            covered[method] += weight * (low <= -0.04 <= high)
    assert covered["bonett_price"] > 0.95
    assert covered["student_t"] < {30: 0.72, 50: 0.88, 100: 0.93, 300: 0.96}[n]
