"""Two sides of a comparison, joined by id."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from vlm_eval.core.errors import DataError
from vlm_eval.stats.clusters import BoolArray, Clusters, FloatArray


class Trial(NamedTuple):
    """One side of a pair.

    Attributes
    ----------
    cluster
        What the sample shares its randomness with; the same on both sides.
    score
        The score; None if the trial failed and has none.
    answer
        The parsed answer, for answer changes; None if nothing could be parsed.
    """

    cluster: str
    score: float | None
    answer: str | None = None


@dataclass(frozen=True)
class Pairs:
    """Scores of n pairs, aligned, in the order of their sorted ids.

    Attributes
    ----------
    baseline, level
        Scores of the two sides, shape (n,).
    clusters
        The partition of the pairs.
    changed
        Whether the parsed answer differs, shape (n,). Unparsed is an outcome of its own: it differs
        from every answer and equals itself.
    unparsed_baseline, unparsed_level
        Whether the answer could not be parsed, shape (n,).
    dropped
        Ids that did not enter, by reason: ``baseline_missing``, ``level_missing``, ``failed``.
    """

    baseline: FloatArray
    level: FloatArray
    clusters: Clusters
    changed: BoolArray
    unparsed_baseline: BoolArray
    unparsed_level: BoolArray
    dropped: Mapping[str, int]

    @property
    def count(self) -> int:
        """Number of pairs."""
        return self.clusters.rows


def align(baseline: Mapping[Hashable, Trial], level: Mapping[Hashable, Trial]) -> Pairs:
    """Join two sides by id; what is on one side only, or failed on either, is counted and left out.

    Raises
    ------
    DataError
        If a pair's two sides name different clusters.
    ValueError
        If a score is not finite.
    """
    shared = sorted(baseline.keys() & level.keys(), key=repr)
    joined = [(key, baseline[key], level[key]) for key in shared]
    for key, one, other in joined:
        if one.cluster != other.cluster:
            raise DataError(
                f"its cluster is {one.cluster!r} on one side and {other.cluster!r} on the other",
                where=f"pair {key!r}",
                hint="let `cluster` depend on the sample only, not on the condition",
            )
    whole = [
        (one.cluster, one.score, other.score, one.answer, other.answer)
        for _, one, other in joined
        if one.score is not None and other.score is not None
    ]
    scores = np.array([(row[1], row[2]) for row in whole], dtype=np.float64).reshape(-1, 2)
    if not np.isfinite(scores).all():
        raise ValueError("a score is not finite; a trial without a score is None")
    return Pairs(
        baseline=scores[:, 0],
        level=scores[:, 1],
        clusters=Clusters.of(row[0] for row in whole),
        changed=np.array([row[3] != row[4] for row in whole], dtype=bool),
        unparsed_baseline=np.array([row[3] is None for row in whole], dtype=bool),
        unparsed_level=np.array([row[4] is None for row in whole], dtype=bool),
        dropped={
            "baseline_missing": len(level.keys() - baseline.keys()),
            "level_missing": len(baseline.keys() - level.keys()),
            "failed": len(joined) - len(whole),
        },
    )
