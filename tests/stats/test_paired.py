import dataclasses
import math

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import cohen_kappa_score

from vlm_eval.stats.clusters import Clusters
from vlm_eval.stats.intervals import bonett_price
from vlm_eval.stats.paired import compare, flips, kappa, paired_mean
from vlm_eval.stats.pairs import Trial, align
from vlm_eval.stats.permutation import mcnemar_exact
from vlm_eval.stats.results import Comparison

Row = tuple[str, float, float, str | None, str | None]
"""Cluster, baseline score, level score, baseline answer, level answer."""


def compared(rows: list[Row], chance: float | None = 0.5) -> Comparison:
    base = {i: Trial(row[0], row[1], row[3]) for i, row in enumerate(rows)}
    level = {i: Trial(row[0], row[2], row[4]) for i, row in enumerate(rows)}
    return compare(
        align(base, level),
        name="accuracy",
        factor="blur",
        baseline=0,
        level=5,
        where={"game": "x"},
        task="t",
        chance=chance,
    )


def binary(counts: dict[tuple[int, int], int], per_cluster: int = 1) -> list[Row]:
    """Return rows with so many pairs of each (baseline, level)."""
    pairs = [pair for pair, count in counts.items() for _ in range(count)]
    rows = []
    for i, (b, v) in enumerate(pairs):
        rows.append((f"{i // per_cluster:05}", float(b), float(v), f"a{b}", f"a{v}"))
    return rows


def test_single_clusters_with_many_flips() -> None:
    result = compared(binary({(1, 1): 60, (1, 0): 25, (0, 1): 5, (0, 0): 10}))
    d = np.array([0.0] * 60 + [-1.0] * 25 + [1.0] * 5 + [0.0] * 10)
    assert (result.n_pairs, result.n_clusters) == (100, 100)
    assert (result.baseline_value, result.level_value) == (0.85, 0.65)
    assert result.baseline_se == pytest.approx(math.sqrt(0.85 * 0.15 / 99))
    assert result.level_se == pytest.approx(math.sqrt(0.65 * 0.35 / 99))
    assert result.difference == pytest.approx(-0.2)
    assert result.se == pytest.approx(stats.sem(d))
    expected = stats.t.interval(0.95, 99, loc=-0.2, scale=stats.sem(d))
    assert (result.low, result.high) == pytest.approx(expected)
    assert result.method == "student_t"
    assert result.p == pytest.approx(stats.binomtest(5, 30).pvalue)
    assert result.p_method == "mcnemar_exact"
    assert (result.right_to_wrong, result.wrong_to_right) == (25, 5)
    assert (result.flip_rate, result.answer_change_rate) == (0.3, 0.3)
    assert result.retained == pytest.approx(0.15 / 0.35)
    assert result.retained_low < result.retained < result.retained_high
    t = stats.t.ppf(0.975, 99) + stats.t.ppf(0.8, 99)
    assert result.mde == pytest.approx(t * stats.sem(d))
    assert (result.name, result.factor, result.baseline, result.level) == ("accuracy", "blur", 0, 5)
    assert result.where == {"game": "x"}


def test_clustered_difference_is_statsmodels_cr1() -> None:
    rng = np.random.default_rng(0)
    groups = rng.integers(0, 25, size=200)
    base, level = (rng.random(200) < 0.8).astype(float), (rng.random(200) < 0.6).astype(float)
    rows = [(str(g), b, v, "a", "a") for g, b, v in zip(groups, base, level, strict=True)]
    result = compared(rows)
    fit = sm.OLS(level - base, np.ones(200)).fit(cov_type="cluster", cov_kwds={"groups": groups})
    assert result.difference == pytest.approx(fit.params[0])
    assert result.se == pytest.approx(fit.bse[0])
    expected = stats.t.interval(0.95, 24, loc=result.difference, scale=result.se)
    assert (result.low, result.high) == pytest.approx(expected)
    assert (result.method, result.p_method) == ("student_t", "sign_flip")
    assert result.n_clusters == 25


def test_few_discordant_pairs_get_bonett_price() -> None:
    nine = compared(binary({(1, 1): 90, (1, 0): 7, (0, 1): 2, (0, 0): 1}))
    assert (nine.low, nine.high, nine.method) == bonett_price(7, 2, 100)
    ten = compared(binary({(1, 1): 90, (1, 0): 7, (0, 1): 3}))
    assert ten.method == "student_t"


def test_few_discordant_pairs_in_shared_clusters_keep_student_t() -> None:
    result = compared(binary({(1, 1): 90, (1, 0): 8}, per_cluster=2))
    assert result.method == "student_t"


def test_no_flip_in_shared_clusters_counts_each_cluster_once() -> None:
    result = compared(binary({(1, 1): 80}, per_cluster=4))
    assert (result.difference, result.se) == (0.0, 0.0)
    assert (result.low, result.high, result.method) == bonett_price(0, 0, 20)
    assert (result.p, result.mde) == (1.0, None)


def test_the_same_flip_in_every_cluster_is_not_certain_either() -> None:
    result = compared(binary({(1, 0): 40}, per_cluster=4))
    assert (result.difference, result.se) == (-1.0, 0.0)
    assert (result.low, result.high, result.method) == bonett_price(10, 0, 10)
    assert result.p == pytest.approx(2 * 0.5**10)


def test_pairing_narrows_the_interval() -> None:
    """n = 500, a tenth of the right answers flip; 2.5 times narrower."""
    result = compared(binary({(1, 1): 315, (1, 0): 35, (0, 0): 150}))
    unpaired = math.hypot(result.baseline_se, result.level_se)
    assert unpaired / result.se == pytest.approx(2.5, abs=0.2)


def test_other_scores_have_no_flips() -> None:
    rng = np.random.default_rng(1)
    rows = [(str(i), *rng.random(2), "a", "b") for i in range(40)]
    result = compared(rows)
    assert (result.right_to_wrong, result.wrong_to_right) == (None, None)
    assert (result.flip_rate, result.kappa) == (None, None)
    assert (result.answer_change_rate, result.p_method) == (1.0, "sign_flip_monte_carlo")
    d = np.array([row[2] - row[1] for row in rows])
    assert result.p == pytest.approx(stats.ttest_1samp(d, 0).pvalue, abs=0.05)


def test_answers_can_change_where_correctness_does_not() -> None:
    result = compared([("1", 0.0, 0.0, "a", "b"), ("2", 0.0, 0.0, "a", "a")])
    assert (result.flip_rate, result.answer_change_rate) == (0.0, 0.5)


def test_parse_failures_are_counted_on_both_sides_and_bound_the_difference() -> None:
    rows: list[Row] = [
        ("1", 1.0, 0.0, "x", None),
        ("2", 1.0, 0.0, "x", None),
        ("3", 0.0, 1.0, None, "x"),
        ("4", 1.0, 1.0, "x", "x"),
        ("5", 0.0, 0.0, "y", "y"),
    ]
    result = compared(rows)
    assert (result.parse_failures_baseline, result.parse_failures_level) == (1, 2)
    assert result.difference == pytest.approx(-1 / 5)
    # Worst: the baseline's unparsed answer was right. Best: both of the level's were.
    assert result.bound_low == pytest.approx(-2 / 5)
    assert result.bound_high == pytest.approx(1 / 5)


def test_an_unparsed_answer_is_not_a_no() -> None:
    """A peer counts whatever is not "Yes" as "No": here that would be right, and no change."""
    rows: list[Row] = [(str(i), 1.0, 0.0, "no", None) for i in range(12)]
    result = compared(rows)
    assert (result.difference, result.answer_change_rate) == (-1.0, 1.0)
    assert (result.parse_failures_level, result.bound_high) == (12, 0.0)


def test_scores_outside_zero_one_have_no_bounds() -> None:
    result = compared([("1", -3.0, -2.0, "a", "a"), ("2", -1.0, -4.0, "a", None)])
    assert (result.bound_low, result.bound_high) == (None, None)


@pytest.mark.parametrize(
    ("counts", "chance"),
    [
        ({(1, 1): 30, (0, 0): 25, (1, 0): 3}, 0.5),
        ({(1, 1): 10, (0, 0): 30}, 0.5),
        ({(1, 1): 90, (0, 0): 10}, None),
        ({(1, 1): 20, (0, 0): 20}, 0.5),
    ],
)
def test_retained_share_is_unknown_unless_the_baseline_is_above_chance(
    counts: dict[tuple[int, int], int], chance: float | None
) -> None:
    result = compared(binary(counts), chance)
    assert (result.retained, result.retained_low, result.retained_high) == (None, None, None)


def test_retained_share_of_a_baseline_at_chance_without_spread_is_unknown() -> None:
    split: list[Row] = [(str(i // 2), float(i % 2), float(i % 2), "a", "a") for i in range(20)]
    assert compared(split, 0.5).retained is None


def test_retained_interval_covers() -> None:
    rng = np.random.default_rng(2)
    covered = 0
    for _ in range(100):
        base = rng.random(150) < 0.9
        level = base & (rng.random(150) < 0.8)
        rows = [
            (f"{i:03}", float(b), float(v), "a", "a")
            for i, (b, v) in enumerate(zip(base, level, strict=True))
        ]
        result = compared(rows)
        covered += result.retained_low <= (0.72 - 0.5) / 0.4 <= result.retained_high
    assert 0.9 <= covered / 100 <= 0.99


def test_retained_interval_is_open_where_the_baseline_may_be_chance() -> None:
    result = compared(binary({(1, 1): 26, (1, 0): 11, (0, 1): 11, (0, 0): 9}))
    assert result.baseline_value - 0.5 < 2.4 * result.baseline_se
    assert result.retained == pytest.approx(1.0)
    assert result.retained_low < 0.6
    assert result.retained_high is None or result.retained_high > 3


def test_kappa_is_sklearns() -> None:
    rng = np.random.default_rng(3)
    base = (rng.random(300) < 0.7).astype(float)
    level = np.where(rng.random(300) < 0.8, base, 1 - base)
    assert kappa(base, level) == pytest.approx(cohen_kappa_score(base, level))


def test_kappa_of_constant_sides_is_unknown() -> None:
    assert kappa(np.ones(5), np.ones(5)) is None
    assert kappa(np.ones(5), np.zeros(5)) == 0.0


def test_flips_of_no_pairs_are_unknown() -> None:
    assert flips(np.zeros(0), np.zeros(0)) is None


@pytest.mark.parametrize("n", [1, 3])
def test_one_cluster_has_no_error(n: int) -> None:
    rows: list[Row] = [("1", 1.0, 0.0, "a", "b")] * n
    result = compared(rows)
    assert result.difference == -1.0
    unknown = (result.se, result.low, result.high, result.mde, result.baseline_se, result.retained)
    assert unknown == (None,) * 6
    assert (result.method, result.p) == ("none", 1.0)


def test_no_pairs_know_nothing() -> None:
    result = compared([])
    known = {
        name: value
        for name, value in dataclasses.asdict(result).items()
        if value is not None and name not in {"name", "factor", "baseline", "level", "where"}
    }
    assert known == {
        "n_pairs": 0,
        "n_clusters": 0,
        "dropped": {"baseline_missing": 0, "level_missing": 0, "failed": 0},
        "method": "none",
        "p_method": "none",
        "family": 0,
        "parse_failures_baseline": 0,
        "parse_failures_level": 0,
        "control": False,
    }


def test_resampling_is_seeded_by_task_and_name() -> None:
    rng = np.random.default_rng(4)
    rows = [(str(i), *rng.random(2), "a", "a") for i in range(60)]
    assert compared(rows) == compared(rows)

    def p(task: str, name: str) -> float | None:
        sides = [{i: Trial(row[0], row[side]) for i, row in enumerate(rows)} for side in (1, 2)]
        return compare(
            align(*sides), name=name, factor="f", baseline=0, level=1, where={}, task=task
        ).p

    assert p("t", "accuracy") == compared(rows).p
    assert len({p("t", "accuracy"), p("u", "accuracy"), p("t", "margin")}) > 1


def test_ten_thousand_pairs() -> None:
    rng = np.random.default_rng(5)
    rows = [
        (str(i % 2500), *map(float, rng.random(2) < (0.8, 0.79)), "a", "a") for i in range(10_000)
    ]
    result = compared(rows)
    assert (result.n_pairs, result.n_clusters, result.p_method) == (10_000, 2500, "sign_flip")
    normal = 2 * stats.norm.sf(abs(result.difference / result.se))
    assert result.p == pytest.approx(normal, rel=0.1)


def test_composite_interval_covers_from_thirty_pairs_up() -> None:
    """4 % one-sided flips: Student's t alone covers 71, 87 and 91 %."""
    for n in (30, 50, 100, 300):
        clusters = Clusters.of(f"{i:03}" for i in range(n))
        covered = 0.0
        for losses in range(n + 1):
            level = np.ones(n)
            level[:losses] = 0
            mean = paired_mean(np.ones(n), level, clusters)
            covered += stats.binom.pmf(losses, n, 0.04) * (mean.low <= -0.04 <= mean.high)
        assert covered >= 0.94, n


def test_clustered_interval_covers() -> None:
    rng = np.random.default_rng(6)
    clusters = Clusters.of(f"{i:02}" for i in range(60) for _ in range(4))
    base = np.ones(240)
    covered = 0
    for _ in range(1500):
        loss = rng.beta(0.6, 2.4, size=60).repeat(4)
        mean = paired_mean(base, (rng.random(240) >= loss).astype(float), clusters)
        covered += mean.low <= -0.2 <= mean.high
    assert 0.92 <= covered / 1500 <= 0.97


# Properties

outcomes = st.sampled_from(
    [(1.0, "right"), (0.0, "wrong"), (0.0, "other"), (0.0, None)],
)
binary_rows = st.lists(st.tuples(st.integers(0, 7), outcomes, outcomes), min_size=1, max_size=30)
graded = st.integers(0, 20).map(lambda n: (n / 20, "a"))
graded_rows = st.lists(st.tuples(st.integers(0, 7), graded, graded), min_size=1, max_size=20)


def as_rows(drawn, *, swap: bool = False) -> list[Row]:
    rows = []
    for cluster, one, other in drawn:
        (b, answer_b), (v, answer_v) = (other, one) if swap else (one, other)
        rows.append((str(cluster), b, v, answer_b, answer_v))
    return rows


@given(st.one_of(binary_rows, graded_rows), st.randoms())
def test_row_order_does_not_matter(drawn, random) -> None:
    ids = list(range(len(drawn)))
    rows = as_rows(drawn)

    def result(order: list[int]) -> Comparison:
        base = {i: Trial(rows[i][0], rows[i][1], rows[i][3]) for i in order}
        level = {i: Trial(rows[i][0], rows[i][2], rows[i][4]) for i in reversed(order)}
        return compare(
            align(base, level),
            name="accuracy",
            factor="f",
            baseline=0,
            level=1,
            where={},
            task="t",
            chance=0.25,
        )

    assert result(ids) == result(random.sample(ids, len(ids)))


@given(st.one_of(binary_rows, graded_rows))
def test_swapping_the_sides_negates_the_difference_and_nothing_else(drawn) -> None:
    one, other = compared(as_rows(drawn), None), compared(as_rows(drawn, swap=True), None)
    assert one.difference == pytest.approx(-other.difference, abs=1e-12)
    assert (one.p, one.method, one.p_method) == (other.p, other.method, other.p_method)
    assert (one.flip_rate, one.answer_change_rate) == (other.flip_rate, other.answer_change_rate)
    assert (one.right_to_wrong, one.wrong_to_right) == (other.wrong_to_right, other.right_to_wrong)
    assert (one.baseline_value, one.level_value) == (other.level_value, other.baseline_value)
    assert one.bound_low == pytest.approx(-other.bound_high, abs=1e-12)
    for mine, theirs in ((one.se, other.se), (one.mde, other.mde), (one.kappa, other.kappa)):
        assert mine == (None if theirs is None else pytest.approx(theirs, abs=1e-9))
    if one.low is not None:
        assert (one.low, one.high) == pytest.approx((-other.high, -other.low), abs=1e-9)


@given(st.one_of(binary_rows, graded_rows))
def test_identical_sides_differ_by_exactly_nothing(drawn) -> None:
    result = compared(as_rows([(cluster, one, one) for cluster, one, _ in drawn]))
    assert (result.difference, result.p, result.answer_change_rate) == (0.0, 1.0, 0.0)
    assert result.flip_rate in {0.0, None}
    assert result.baseline_value == result.level_value
    if result.retained is not None:
        assert (result.retained, result.retained_low, result.retained_high) == (1.0, 1.0, 1.0)
    if result.low is not None:
        assert result.low <= 0 <= result.high


@given(binary_rows)
def test_intervals_and_bounds_contain_the_difference(drawn) -> None:
    result = compared(as_rows(drawn))
    assert result.bound_low - 1e-12 <= result.difference <= result.bound_high + 1e-12
    unparsed = result.parse_failures_baseline + result.parse_failures_level
    assert result.bound_high - result.bound_low == pytest.approx(unparsed / result.n_pairs)
    if result.low is not None:
        assert -1 <= result.low <= result.difference <= result.high <= 1
        assert result.high > result.low
    assert 0 < result.p <= 1
    assert result.difference == pytest.approx(
        (result.wrong_to_right - result.right_to_wrong) / result.n_pairs
    )


@given(binary_rows)
def test_p_of_single_clusters_is_mcnemars(drawn) -> None:
    rows = [(str(i), *row[1:]) for i, row in enumerate(as_rows(drawn))]
    result = compared(rows)
    assert result.p == mcnemar_exact(result.right_to_wrong, result.wrong_to_right)
