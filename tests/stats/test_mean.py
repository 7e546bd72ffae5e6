import math
from collections.abc import Sequence

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from vlm_eval.stats.clusters import Clusters
from vlm_eval.stats.intervals import wilson
from vlm_eval.stats.mean import Mean, clustered_mean, clustered_se, macro_mean


def mean_of(scores: Sequence[float], names: Sequence[str]) -> Mean:
    return clustered_mean(scores, Clusters.of(names))


def singles(n: int) -> list[str]:
    return [f"c{i:05}" for i in range(n)]


def test_se_is_statsmodels_cr1_with_unequal_clusters() -> None:
    rng = np.random.default_rng(0)
    groups = rng.integers(0, 17, size=120)
    scores = rng.normal(size=120) + groups
    fit = sm.OLS(scores, np.ones(120)).fit(cov_type="cluster", cov_kwds={"groups": groups})
    mean = mean_of(scores, [str(group) for group in groups])
    assert mean.value == pytest.approx(fit.params[0], rel=1e-12)
    assert mean.se == pytest.approx(fit.bse[0], rel=1e-12)
    low, high = stats.t.interval(0.95, mean.clusters - 1, loc=mean.value, scale=mean.se)
    assert (mean.low, mean.high, mean.method) == pytest.approx((low, high, "student_t"))
    assert (mean.n, mean.clusters) == (120, 17)


def test_se_by_hand() -> None:
    # Clusters {1, 0} and {1, 1}: mean 3/4, deviations -1/2 and 1/2, C/(C-1) = 2.
    mean = mean_of([1, 0, 1, 1], ["a", "a", "b", "b"])
    assert mean.se == pytest.approx(math.sqrt(2 * 0.5) / 4)


def test_clusters_of_one_give_the_usual_standard_error() -> None:
    scores = np.random.default_rng(1).normal(size=50)
    mean = mean_of(scores, singles(50))
    assert mean.se == pytest.approx(stats.sem(scores), rel=1e-12)
    assert mean.method == "student_t"


def test_copies_of_rows_do_not_shrink_the_error() -> None:
    scores = [0.0, 1.0, 1.0, 0.0, 1.0]
    once = mean_of(scores, singles(5))
    thrice = mean_of(scores * 3, singles(5) * 3)
    assert thrice.se == pytest.approx(once.se)
    assert (thrice.n, thrice.clusters) == (15, 5)


def test_binary_scores_in_clusters_of_one_get_wilsons_interval() -> None:
    mean = mean_of([1.0] * 18 + [0.0] * 2, singles(20))
    assert (mean.low, mean.high, mean.method) == wilson(0.9, 20)
    assert mean.se == pytest.approx(math.sqrt(0.9 * 0.1 / 19))


def test_all_right_in_shared_clusters_is_not_certain() -> None:
    mean = mean_of([1.0] * 40, [str(i % 10) for i in range(40)])
    assert (mean.value, mean.se) == (1.0, 0.0)
    assert (mean.low, mean.high, mean.method) == wilson(1.0, 10)


def test_clusters_that_agree_on_a_share_are_not_certain() -> None:
    names = [str(i % 10) for i in range(30)]
    mean = mean_of([1.0] * 10 + [0.0] * 20, names)
    assert mean.se == 0.0
    assert mean.method == "wilson"
    assert mean.low is not None
    assert mean.low < 0.2


def test_constant_scores_that_are_no_shares_have_no_interval() -> None:
    mean = mean_of([0.3] * 12, singles(12))
    assert (mean.se, mean.low, mean.high, mean.method) == (0.0, None, None, "none")


def test_share_intervals_stay_in_zero_one() -> None:
    scores = [1.0] * 59 + [0.0]
    mean = mean_of(scores, [str(i % 6) for i in range(60)])
    assert mean.method == "student_t"
    assert mean.high == 1.0


@pytest.mark.parametrize(("scores", "names"), [([1.0], ["a"]), ([1.0, 0.0, 1.0], ["a"] * 3)])
def test_one_cluster_has_no_error_rather_than_none_at_all(
    scores: list[float], names: list[str]
) -> None:
    mean = mean_of(scores, names)
    assert mean.value == pytest.approx(sum(scores) / len(scores))
    assert (mean.se, mean.low, mean.high, mean.method) == (None, None, None, "none")


def test_no_rows_have_no_mean() -> None:
    assert mean_of([], []) == Mean(None, None, None, None, "none", n=0, clusters=0)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_score_that_is_not_finite_is_refused(bad: float) -> None:
    with pytest.raises(ValueError, match="finite"):
        mean_of([1.0, bad], ["a", "b"])


def test_scores_must_match_rows() -> None:
    with pytest.raises(ValueError, match="2 rows"):
        mean_of([1.0], ["a", "b"])


@given(
    st.lists(st.tuples(st.sampled_from("abcdef"), st.sampled_from([0.0, 1.0])), min_size=1),
    st.randoms(),
)
def test_row_order_does_not_matter(rows: list[tuple[str, float]], random) -> None:
    def mean(rows: list[tuple[str, float]]) -> Mean:
        return mean_of([score for _, score in rows], [name for name, _ in rows])

    assert mean(rows) == mean(random.sample(rows, len(rows)))


@given(
    st.lists(
        st.tuples(st.sampled_from("abcdef"), st.floats(0, 1, allow_subnormal=False)), min_size=1
    )
)
def test_interval_contains_the_mean_and_unknown_stays_none(rows: list[tuple[str, float]]) -> None:
    mean = mean_of([score for _, score in rows], [name for name, _ in rows])
    assert (mean.se is None) == (mean.clusters < 2)
    if mean.low is not None and mean.high is not None:
        assert mean.low <= mean.value <= mean.high
    else:
        assert mean.method == "none"


def test_clustered_interval_covers_and_the_naive_one_does_not() -> None:
    """Six questions an image, ICC 0.3, accuracy 0.9: true error 1.6 times the naive one."""
    rng = np.random.default_rng(0)
    clusters = Clusters.of([f"{i:03}" for i in range(100) for _ in range(6)])
    alone = Clusters.of(singles(600))
    covered, naive, means, errors = 0, 0, [], []
    for _ in range(1000):
        ease = rng.beta(2.1, 0.7 / 3, size=100).repeat(6)
        scores = (rng.random(600) < ease).astype(float)
        mean, single = clustered_mean(scores, clusters), clustered_mean(scores, alone)
        covered += mean.low <= 0.9 <= mean.high
        naive += single.low <= 0.9 <= single.high
        means.append(mean.value)
        errors.append(mean.se)
    assert 0.925 <= covered / 1000 <= 0.97
    assert naive / 1000 < 0.85
    assert np.mean(errors) == pytest.approx(np.std(means), rel=0.05)
    assert np.mean(errors) == pytest.approx(0.0193, abs=0.0006)


def test_clustering_costs_nothing_when_it_is_not_needed() -> None:
    rng = np.random.default_rng(1)
    clusters = Clusters.of([f"{i:03}" for i in range(100) for _ in range(6)])
    scores = [(rng.random(600) < 0.9).astype(float) for _ in range(300)]
    errors = [clustered_se(one, clusters) for one in scores]
    assert np.mean(errors) == pytest.approx(math.sqrt(0.09 / 600), rel=0.02)


# Groups


def game(right: int, n: int, name: str) -> tuple[Mean, frozenset[str]]:
    names = [f"{name}-{i}" for i in range(n)]
    return mean_of([1.0] * right + [0.0] * (n - right), names), frozenset(names)


def test_errors_of_groups_add_in_quadrature_and_are_never_averaged() -> None:
    rng = np.random.default_rng(0)
    groups = []
    for task in range(57):
        names = [f"{task}-{i}" for i in range(100)]
        groups.append((mean_of((rng.random(100) < 0.6).astype(float), names), frozenset(names)))
    macro = macro_mean([mean for mean, _ in groups], [names for _, names in groups])
    errors = np.array([mean.se for mean, _ in groups])
    assert macro.value == pytest.approx(np.mean([mean.value for mean, _ in groups]))
    assert macro.se == pytest.approx(math.sqrt((errors**2).sum()) / 57)
    assert macro.se == pytest.approx(0.0065, abs=0.0001)
    assert errors.mean() / macro.se == pytest.approx(7.5, abs=0.1)
    assert (macro.n, macro.clusters) == (5700, 5700)


def test_macro_mean_is_unweighted_and_its_interval_is_mover() -> None:
    groups = [game(9, 10, "a"), game(100, 200, "b")]
    macro = macro_mean([mean for mean, _ in groups], [names for _, names in groups])
    assert macro.value == pytest.approx(0.7)
    (a, _), (b, _) = groups
    assert macro.low == pytest.approx(0.7 - math.hypot(0.9 - a.low, 0.5 - b.low) / 2)
    assert macro.high == pytest.approx(0.7 + math.hypot(a.high - 0.9, b.high - 0.5) / 2)
    assert macro.method == "mover"


def test_macro_mean_of_perfect_groups_is_not_certain() -> None:
    groups = [game(50, 50, name) for name in "abcd"]
    macro = macro_mean([mean for mean, _ in groups], [names for _, names in groups])
    assert (macro.value, macro.se, macro.high) == (1.0, 0.0, 1.0)
    assert macro.low < 0.99


def test_groups_that_share_a_cluster_have_no_combined_error() -> None:
    (a, names), (b, _) = game(3, 10, "a"), game(5, 10, "a")
    macro = macro_mean([a, b], [names, names])
    assert macro.value == pytest.approx(0.4)
    assert (macro.se, macro.low, macro.high, macro.method) == (None, None, None, "none")
    assert (macro.n, macro.clusters) == (20, 10)


def test_a_group_without_a_value_makes_the_mean_unknown() -> None:
    (a, names), empty = game(3, 10, "a"), mean_of([], [])
    assert macro_mean([a, empty], [names, frozenset()]).value is None


def test_a_group_without_an_error_makes_the_error_unknown() -> None:
    (a, names), lone = game(3, 10, "a"), mean_of([1.0], ["z"])
    macro = macro_mean([a, lone], [names, frozenset("z")])
    assert macro.value == pytest.approx(0.65)
    assert (macro.se, macro.low, macro.high) == (None, None, None)


def test_macro_mean_of_one_group_is_that_group() -> None:
    mean, names = game(3, 10, "a")
    assert macro_mean([mean], [names]) == mean


def test_macro_interval_covers() -> None:
    rng = np.random.default_rng(3)
    truth = np.array([0.95, 0.9, 0.98, 0.6])
    names = [frozenset(f"{g}-{i}" for i in range(30)) for g in range(4)]
    clusters = [Clusters.of(sorted(group)) for group in names]
    covered = 0
    for _ in range(1500):
        means = [
            clustered_mean((rng.random(30) < share).astype(float), group)
            for share, group in zip(truth, clusters, strict=True)
        ]
        macro = macro_mean(means, names)
        covered += macro.low <= truth.mean() <= macro.high
    assert 0.94 <= covered / 1500 <= 0.98


def test_estimate_carries_name_place_and_kind() -> None:
    estimate = mean_of([1.0, 0.0], ["a", "b"]).estimate("gap", {"game": "x"}, signed=True)
    assert (estimate.name, estimate.where, estimate.value) == ("gap", {"game": "x"}, 0.5)
    assert (estimate.n, estimate.clusters, estimate.method) == (2, 2, "wilson")
    assert (estimate.signed, estimate.lower_is_better) == (True, False)


def test_scaling_keeps_unknown_unknown() -> None:
    assert mean_of([1.0], ["a"]).scaled(0.5) == Mean(0.5, None, None, None, "none", 1, 1)
    half = mean_of([1.0, 0.0], ["a", "b"]).scaled(0.5)
    assert (half.value, half.se) == (0.25, 0.25)
