import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar

from vlm_eval.core.hashing import derive_rng
from vlm_eval.stats import permutation
from vlm_eval.stats.clusters import Clusters
from vlm_eval.stats.permutation import PValue, mcnemar_exact, sign_flip


def flip_test(differences: list[float], names: list[str]) -> PValue:
    return sign_flip(np.array(differences, float), Clusters.of(names), derive_rng(0, "sign_flip"))


def singles(n: int) -> list[str]:
    return [f"{i:05}" for i in range(n)]


@given(st.integers(0, 60), st.integers(0, 60))
def test_mcnemar_is_statsmodels(losses: int, gains: int) -> None:
    expected = mcnemar([[5, losses], [gains, 7]], exact=True).pvalue
    assert mcnemar_exact(losses, gains) == pytest.approx(expected, rel=1e-9)
    assert mcnemar_exact(losses, gains) == mcnemar_exact(gains, losses)


@pytest.mark.parametrize(
    ("gains", "printed"),
    [(3, 0.50), (8, 0.0156), (6, 0.0625), (4, 0.25), (5, 0.125)],
)
def test_mcnemar_is_not_doubled_as_in_the_vlm_fix_tables(gains: int, printed: float) -> None:
    """Discordant counts with Base at 0 correct: the print is about twice p."""
    assert mcnemar_exact(0, gains) == pytest.approx(2 * 0.5**gains)
    assert mcnemar_exact(0, gains) <= printed


def test_mcnemar_without_discordant_pairs_is_one() -> None:
    assert mcnemar_exact(0, 0) == 1.0


@given(st.integers(0, 40), st.integers(0, 40), st.integers(0, 5))
def test_sign_flip_of_single_clusters_is_mcnemar(losses: int, gains: int, same: int) -> None:
    differences = [-1.0] * losses + [1.0] * gains + [0.0] * (same + 1)
    p, method = flip_test(differences, singles(len(differences)))
    assert p == pytest.approx(mcnemar_exact(losses, gains), rel=1e-9)
    assert method == "sign_flip"


def brute_force(totals: list[float]) -> float:
    patterns = list(itertools.product((-1, 1), repeat=len(totals)))
    sums = [abs(sum(s * t for s, t in zip(signs, totals, strict=True))) for signs in patterns]
    return sum(value >= abs(sum(totals)) - 1e-9 for value in sums) / len(patterns)


@given(st.lists(st.integers(-4, 4), min_size=1, max_size=10))
def test_whole_number_totals_are_exact(totals: list[int]) -> None:
    p, method = flip_test([float(total) for total in totals], singles(len(totals)))
    assert method == "sign_flip"
    assert p == pytest.approx(brute_force(totals), abs=1e-12)


@given(st.lists(st.integers(-99, 99).map(lambda n: n / 70), min_size=1, max_size=9))
def test_few_clusters_are_exact(totals: list[float]) -> None:
    p, method = flip_test(totals, singles(len(totals)))
    assert method == "sign_flip"
    assert p == pytest.approx(brute_force(totals), abs=1e-12)


def test_it_is_scipys_permutation_test() -> None:
    totals = np.random.default_rng(4).normal(0.5, 1, size=11)
    expected = stats.permutation_test(
        (totals,), np.sum, permutation_type="samples", n_resamples=np.inf
    ).pvalue
    assert flip_test(totals.tolist(), singles(11)).p == pytest.approx(expected)


def test_pairs_of_a_cluster_flip_together() -> None:
    # One board, twelve pairs that all get worse: a single toss of a coin explains it.
    assert flip_test([-1.0] * 12, ["a"] * 12).p == 1.0
    assert flip_test([-1.0] * 12, singles(12)).p == pytest.approx(2 * 0.5**12)
    assert flip_test([-1.0] * 12, [str(i % 3) for i in range(12)]).p == pytest.approx(0.25)


def test_monte_carlo_agrees_with_the_exact_p_and_is_never_zero(monkeypatch) -> None:
    rng = np.random.default_rng(5)
    differences = (rng.random(60) < 0.2).astype(float) - (rng.random(60) < 0.35)
    names = [str(i % 30) for i in range(60)]
    exact = flip_test(differences.tolist(), names)
    monkeypatch.setattr(permutation, "LATTICE", 0)
    sampled = flip_test(differences.tolist(), names)
    assert (exact.method, sampled.method) == ("sign_flip", "sign_flip_monte_carlo")
    error = math.sqrt(exact.p * (1 - exact.p) / permutation.RANDOM_FLIPS)
    assert sampled.p == pytest.approx(exact.p, abs=4 * error)
    assert flip_test([0.9, 1.1] * 50, singles(100)).p == 1 / (permutation.RANDOM_FLIPS + 1)


def test_it_is_seeded_and_blind_to_row_order() -> None:
    rng = np.random.default_rng(6)
    differences, names = rng.normal(0.2, 1, size=80).tolist(), singles(80)
    first = flip_test(differences, names)
    assert first.method == "sign_flip_monte_carlo"
    assert flip_test(differences, names) == first
    assert flip_test(differences[::-1], names[::-1]) == first
    assert flip_test([-d for d in differences], names) == first


def test_identical_sides_have_p_one_and_no_pairs_none() -> None:
    assert flip_test([0.0] * 9, singles(9)) == (1.0, "sign_flip")
    assert flip_test([], []) == (None, "none")


def test_ten_thousand_clusters_stay_exact() -> None:
    differences = [1.0] * 5200 + [-1.0] * 4800
    assert flip_test(differences, singles(10_000)).p == pytest.approx(
        stats.binomtest(5200, 10_000).pvalue, rel=1e-9
    )


def test_error_rate_holds_with_clusters_and_not_when_rows_are_taken_as_independent() -> None:
    """Both sides equally good, but a board's six pairs tend to flip the same way."""
    rng = np.random.default_rng(7)
    names = [f"{i:02}" for i in range(40) for _ in range(6)]
    clusters = Clusters.of(names)
    clustered, rows = 0, 0
    for _ in range(400):
        lean = rng.choice([0.05, 0.45], size=40).repeat(6)
        draw = rng.random(240)
        differences = np.where(draw < lean, 1.0, np.where(draw < 0.5, -1.0, 0.0))
        clustered += sign_flip(differences, clusters, derive_rng(0)).p <= 0.05
        losses, gains = int((differences < 0).sum()), int((differences > 0).sum())
        rows += mcnemar_exact(losses, gains) <= 0.05
    assert clustered / 400 <= 0.075
    assert rows / 400 > 0.2
