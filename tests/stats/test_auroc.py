"""The area under the ROC curve against scikit-learn, by hand, and its interval."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from vlm_eval.core.hashing import derive_rng
from vlm_eval.stats.auroc import auroc, clustered_auroc
from vlm_eval.stats.clusters import Clusters

ROWS = st.lists(st.tuples(st.integers(-3, 3), st.booleans()), min_size=1, max_size=40)


def test_by_hand_with_ties() -> None:
    # Pairs (3, 1) right, (3, 2) right, (2, 1) right, (2, 2) half: 3.5 of 4.
    assert auroc([3, 2, 1, 2], [True, True, False, False]) == 0.875
    assert auroc([1, 2], [True, False]) == 0
    assert auroc([1, 1, 1], [True, False, True]) == 0.5


@given(ROWS)
def test_as_scikit_learn(rows: list[tuple[int, bool]]) -> None:
    scores, positive = [float(score) for score, _ in rows], [flag for _, flag in rows]
    if len(set(positive)) < 2:
        assert auroc(scores, positive) is None
        return
    found = auroc(scores, positive)
    assert found == pytest.approx(roc_auc_score(positive, scores), abs=1e-12)
    assert auroc([-score for score in scores], positive) == pytest.approx(1 - found, abs=1e-12)


def test_one_class_or_nothing_has_no_area() -> None:
    assert auroc([0.1, 0.2], [True, True]) is None
    assert auroc([0.1, 0.2], [False, False]) is None
    assert auroc([], []) is None


@pytest.mark.parametrize("score", [np.nan, np.inf])
def test_a_score_that_is_no_number_is_refused(score: float) -> None:
    with pytest.raises(ValueError, match="finite"):
        auroc([0.0, score], [True, False])


def test_lengths_must_agree() -> None:
    with pytest.raises(ValueError, match="labels"):
        auroc([0.0, 1.0], [True])


def _noisy(clusters: int, copies: int) -> tuple[list[float], list[bool], Clusters]:
    rng = np.random.default_rng(3)
    positive = rng.random(clusters) < 0.4
    scores = rng.normal(size=clusters) + positive
    names = [f"c{i}" for i in range(clusters) for _ in range(copies)]
    return np.repeat(scores, copies).tolist(), np.repeat(positive, copies).tolist(), names_of(names)


def names_of(names: list[str]) -> Clusters:
    return Clusters.of(names)


def test_copies_of_a_cluster_do_not_narrow_the_interval() -> None:
    single = clustered_auroc(*_noisy(60, 1), derive_rng(0, "a"))
    copied = clustered_auroc(*_noisy(60, 5), derive_rng(0, "a"))
    assert copied.value == single.value
    assert (copied.low, copied.high, copied.se) == (single.low, single.high, single.se)
    assert (copied.n, copied.clusters, single.n) == (300, 60, 60)
    assert single.low < single.value < single.high
    # Hanley and McNeil's error of independent rows, within a fifth.
    _, positive, _ = _noisy(60, 1)
    area, ups = single.value, sum(positive)
    downs = 60 - ups
    q1, q2 = area / (2 - area), 2 * area**2 / (1 + area)
    variance = area * (1 - area) + (ups - 1) * (q1 - area**2) + (downs - 1) * (q2 - area**2)
    assert single.se == pytest.approx((variance / (ups * downs)) ** 0.5, rel=0.2)


def test_no_interval_where_there_is_none() -> None:
    perfect = clustered_auroc(
        [float(i) for i in range(8)], [i > 3 for i in range(8)],
        Clusters.of(map(str, range(8))), derive_rng(0, "b"),
    )  # fmt: skip
    assert (perfect.value, perfect.low, perfect.high, perfect.method) == (1.0, None, None, "none")
    one = clustered_auroc([1.0, 0.0], [True, False], Clusters.of("xx"), derive_rng(0, "c"))
    assert (one.value, one.se, one.low, one.clusters) == (1.0, None, None, 1)
