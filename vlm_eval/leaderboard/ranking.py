"""Who is ahead of whom, as far as the data can tell.

Every two runs of a board are compared by a paired test on the trials that both answered, and the p
values of all pairs of the board are adjusted together (Holm). A run is *ahead* of another if its
mean on their shared trials is larger and the adjusted p is below 0.05. Its rank interval goes from
1 + the number of runs ahead of it to the number of runs that it is not ahead of. Runs whose
interval begins at 1 are tied for the lead.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from vlm_eval.core.hashing import derive_rng
from vlm_eval.leaderboard.scores import Key, Scored
from vlm_eval.stats.clusters import Clusters, FloatArray
from vlm_eval.stats.mean import is_binary
from vlm_eval.stats.multiplicity import holm
from vlm_eval.stats.paired import SEED
from vlm_eval.stats.permutation import mcnemar_exact, sign_flip

ALPHA = 0.05


@dataclass(frozen=True)
class Rank:
    """The interval of ranks that a run may have, from 1."""

    low: int
    high: int

    @property
    def leads(self) -> bool:
        """Whether no run is ahead of this one."""
        return self.low == 1


@dataclass(frozen=True)
class Duel:
    """One paired test of two runs of a board.

    Attributes
    ----------
    a, b
        Places of the runs on the board.
    pairs, clusters
        Trials that both answered, and distinct clusters among them.
    difference
        Mean accuracy of b minus that of a on those; None of none.
    p, p_adjusted, method
        Two-sided p of no difference, over all pairs of the board by Holm, and the test.
    """

    a: int
    b: int
    pairs: int
    clusters: int
    difference: float | None
    p: float | None
    p_adjusted: float | None
    method: str


Tested = tuple[int, int, float | None, float | None, str]
"""Pairs, clusters, difference, p and method of a test: what a cache may hold."""


class Side:
    """One run's scores, as arrays in the order of the sorted keys."""

    def __init__(self, trials: Mapping[Key, Scored]) -> None:
        rows = [(key, t) for key, t in sorted(trials.items()) if t.score is not None]
        self.keys = [key for key, _ in rows]
        self.names = [t.cluster for _, t in rows]
        self.scores = np.array([t.score for _, t in rows], dtype=np.float64)
        self.identity = hash((tuple(self.keys), tuple(self.names)))


def duel(a: Side, b: Side, task: str, clusters: dict[int, Clusters]) -> Tested:
    """Test two runs on the trials that both answered.

    Parameters
    ----------
    a, b
        The runs.
    task
        Whose randomness, where the test draws.
    clusters
        Partitions by the identity of a side: runs that answered the same trials share one.
    """
    if a.identity == b.identity:
        if a.identity not in clusters:
            clusters[a.identity] = Clusters.of(a.names)
        return _test(a.scores, b.scores, clusters[a.identity], task)
    places = {key: i for i, key in enumerate(b.keys)}
    shared = [(i, places[key]) for i, key in enumerate(a.keys) if key in places]
    left, right = [i for i, _ in shared], [j for _, j in shared]
    return _test(a.scores[left], b.scores[right], Clusters.of(a.names[i] for i in left), task)


def _test(one: FloatArray, other: FloatArray, clusters: Clusters, task: str) -> Tested:
    if clusters.rows == 0:
        return 0, 0, None, None, "none"
    differences = other - one
    if clusters.singletons and is_binary(one) and is_binary(other):
        losses, gains = int((differences < 0).sum()), int((differences > 0).sum())
        p, method = mcnemar_exact(losses, gains), "mcnemar_exact"
    else:
        found = sign_flip(differences, clusters, derive_rng(SEED, task, "rank", "sign_flip"))
        p, method = (1.0 if found.p is None else found.p), found.method
    return clusters.rows, clusters.count, float(differences.mean()), p, method


def adjusted(tests: Mapping[tuple[int, int], Tested]) -> list[Duel]:
    """Return all tests of a board with Holm-adjusted p values, in the order of the places."""
    order = sorted(tests)
    known = [pair for pair in order if tests[pair][3] is not None]
    raised = dict(zip(known, holm([tests[pair][3] or 0.0 for pair in known]), strict=True))
    return [
        Duel(*pair, pairs, clusters, difference, p, raised.get(pair), method)
        for pair in order
        for pairs, clusters, difference, p, method in [tests[pair]]
    ]


def ranks(count: int, duels: Sequence[Duel]) -> list[Rank]:
    """Return the rank interval of each of a board's runs."""
    ahead, behind = [0] * count, [0] * count
    for one in duels:
        if one.p_adjusted is None or one.p_adjusted >= ALPHA or not one.difference:
            continue
        better, worse = (one.b, one.a) if one.difference > 0 else (one.a, one.b)
        ahead[worse] += 1
        behind[better] += 1
    return [Rank(1 + ahead[i], count - behind[i]) for i in range(count)]
