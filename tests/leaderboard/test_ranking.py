"""Who is ahead of whom."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vlm_eval.leaderboard.ranking import Duel, Side, adjusted, duel, ranks
from vlm_eval.leaderboard.scores import Scored
from vlm_eval.stats.multiplicity import holm
from vlm_eval.stats.paired import compare
from vlm_eval.stats.pairs import Trial, align


def scored(scores, clusters=None, skip=()):
    return {
        (f"s{i:03d}", "x=1"): Scored(f"c{(clusters or {}).get(i, i)}", {"x": 1}, score)
        for i, score in enumerate(scores)
        if i not in skip
    }


def certain(a, b, difference):
    return Duel(a, b, 10, 10, difference, 0.0, 0.0, "mcnemar_exact")


def test_a_duel_is_the_comparison_of_the_same_trials() -> None:
    rng = np.random.default_rng(0)
    one, other = rng.integers(0, 2, 60).astype(float), rng.integers(0, 2, 60).astype(float)
    for clusters in (None, {i: i // 4 for i in range(60)}):
        a = scored(one, clusters, skip=(3, 4))
        b = scored(other, clusters, skip=(9,))
        pairs, count, difference, p, method = duel(Side(a), Side(b), "t", {})
        sides = [{k: Trial(t.cluster, t.score, "") for k, t in side.items()} for side in (a, b)]
        expected = compare(
            align(*sides), name="n", factor="f", baseline=0, level=1, where={}, task="t"
        )
        assert (pairs, count) == (expected.n_pairs, expected.n_clusters) == (57, count)
        assert difference == pytest.approx(expected.difference)
        assert p == pytest.approx(expected.p)
        assert method == expected.p_method


def test_failed_trials_are_in_no_duel() -> None:
    a, b = scored([1, 0, None, 1]), scored([0, None, 1, 1])
    assert duel(Side(a), Side(b), "t", {})[:3] == (2, 2, -0.5)
    assert duel(Side(scored([None])), Side(scored([1])), "t", {}) == (0, 0, None, None, "none")


def test_holm_is_over_all_pairs_of_the_board() -> None:
    p = [0.01, 0.04, 0.03]
    pairs = list(itertools.combinations(range(3), 2))
    tests = {pair: (9, 9, 0.1, value, "sign_flip") for pair, value in zip(pairs, p, strict=True)}
    assert [d.p_adjusted for d in adjusted(tests)] == holm(p)


def test_rank_intervals_of_a_known_board() -> None:
    # 0 is ahead of 2 and 3, nothing else is known.
    found = ranks(
        4, [certain(0, 2, -0.3), certain(0, 3, -0.3), Duel(0, 1, 9, 9, -0.1, 1.0, 1.0, "")]
    )
    assert [(r.low, r.high) for r in found] == [(1, 2), (1, 4), (2, 4), (2, 4)]
    assert [r.leads for r in found] == [True, True, False, False]


@given(st.integers(1, 6), st.data())
def test_ranks_are_in_range_and_a_total_order_gives_points(count, data) -> None:
    order = data.draw(st.permutations(range(count)))
    duels = [
        certain(a, b, 0.1 if order[b] < order[a] else -0.1)
        for a, b in itertools.combinations(range(count), 2)
    ]
    assert [(r.low, r.high) for r in ranks(count, duels)] == [(p + 1, p + 1) for p in order]
    some = data.draw(st.lists(st.sampled_from(duels), unique=True)) if duels else []
    assert all(1 <= r.low <= r.high <= count for r in ranks(count, some))
