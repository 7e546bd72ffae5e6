"""Scores of benchmarks that ask two questions about each picture, such as MME.

Fu et al. 2023, *MME: A Comprehensive Evaluation Benchmark for Multimodal Large Language Models*
(arXiv 2306.13394), section 2.3, as lmms-eval computes it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from vlm_eval.core.hashing import derive_rng
from vlm_eval.core.options import configurable
from vlm_eval.core.types import Level
from vlm_eval.metrics.checks import check_field, check_trials
from vlm_eval.metrics.pairing import score_suffix
from vlm_eval.metrics.slices import slices
from vlm_eval.metrics.table import Result, Table, TableRow
from vlm_eval.stats.bootstrap import cluster_bootstraps
from vlm_eval.stats.clusters import Clusters, FloatArray
from vlm_eval.stats.intervals import UNKNOWN, Interval
from vlm_eval.stats.paired import SEED
from vlm_eval.stats.results import Estimate

POINTS = "points"


@dataclass(frozen=True)
class _Pairs:
    """Pairs of one topic: share right, all right (0 or 1), number of the category, cluster."""

    right: FloatArray
    both: FloatArray
    category: FloatArray
    clusters: Clusters

    def totals(self) -> FloatArray:
        """Return each cluster's sums, shape (clusters, 3 · categories)."""
        own = self.category[:, np.newaxis] == np.unique(self.category)
        parts = [own * self.right[:, np.newaxis], own * self.both[:, np.newaxis], own]
        return self.clusters.sums(np.column_stack(parts).astype(np.float64))


@configurable
class PairScores:
    """What MME reports: two yes/no questions a picture, in categories of two topics.

    For each topic: ``acc``, the mean over its categories of the share of right answers;
    ``acc_plus``, the same of the share of pairs with both answers right; and ``score``, the sum
    over its categories of 100 (acc + acc_plus), in points: at most 200 a category. Pairs that are
    not whole (cut by ``--limit``, or a question failed) do not enter. Factors are never pooled.
    Intervals: percentile bootstrap by cluster, 2,000 resamples, the same for all three.

    Attributes
    ----------
    pair, category, topic
        Fields: what the two questions of a pair share, the category, and the topic.
    size
        Questions of a pair.
    score
        Which score; the results' names end so, ``acc_literal``.
    """

    pair: str = "group"
    category: str = "category"
    topic: str = "topic"
    size: int = 2
    score: str = "accuracy"

    def __call__(self, table: Table) -> list[Result]:
        """Return the three for each topic under each setting of the factors."""
        check_trials(table, self.score)
        for name in (self.pair, self.category, self.topic):
            check_field(table, name)
        if not table.rows:
            return [*self._estimates(table, {})]
        found: list[Result] = []
        factors = tuple(name for name, known in table.factors.items() if len(known) > 1)
        for setting, part in slices(table, (factors,) if factors else ()):
            if setting or not factors:
                for where, piece in slices(part, (self.topic,)):
                    found += self._estimates(piece, {**setting, **where}) if where else ()
        return found

    def _estimates(self, table: Table, where: Mapping[str, Level]) -> Iterator[Estimate]:
        pairs, rows = self._pairs(table)
        count = 0
        values: Sequence[float | None] = (None, None, None)
        spreads = [UNKNOWN] * 3
        errors: list[float | None] = [None] * 3
        if len(rows):
            totals = pairs.totals()
            count = len(totals)
            values = [float(v) for v in _scores(totals.sum(axis=0)[np.newaxis])[0]]
            rng = derive_rng(SEED, table.task, "pair_scores", "bootstrap")
            for i, spread in enumerate(cluster_bootstraps(totals, _scores, rng)):
                errors[i] = spread.se
                if spread.low is not None and spread.high is not None and spread.low < spread.high:
                    spreads[i] = Interval(spread.low, spread.high, "cluster_bootstrap")
        for name, value, se, interval in zip(
            ("acc", "acc_plus", "score"), values, errors, spreads, strict=True
        ):
            yield Estimate(
                name=name + score_suffix(self.score),
                where=dict(where),
                value=value,
                se=se,
                low=interval.low,
                high=interval.high,
                n=len(rows) * self.size,
                clusters=count,
                method=interval.method,
                chance=table.chance if name == "acc" else None,
                unit=POINTS if name == "score" else "",
            )

    def _pairs(self, table: Table) -> tuple[_Pairs, list[list[TableRow]]]:
        """Return the whole pairs."""
        found: dict[tuple[Level | None, ...], list[TableRow]] = {}
        for row in table.rows:
            key = row.value(self.category), row.value(self.pair)
            if None not in key:
                found.setdefault(key, []).append(row)
        whole = {
            key: rows
            for key, rows in found.items()
            if len(rows) == self.size and not any(row.failed for row in rows)
        }
        numbers = {name: i for i, name in enumerate(dict.fromkeys(key[0] for key in whole))}
        scores = [[row.scores[self.score] for row in rows] for rows in whole.values()]
        pairs = _Pairs(
            right=np.array([sum(own) / self.size for own in scores]),
            both=np.array([float(all(score >= 1 for score in own)) for own in scores]),
            category=np.array([numbers[key[0]] for key in whole], dtype=np.float64),
            clusters=Clusters.of(rows[0].cluster for rows in whole.values()),
        )
        return pairs, list(whole.values())


def _scores(totals: FloatArray) -> FloatArray:
    """Return acc, acc_plus and score, shape (replicates, 3), of sums by category."""
    right, both, pairs = np.split(totals, 3, axis=1)
    unknown = np.full(pairs.shape, np.nan)
    acc = np.divide(right, pairs, out=unknown.copy(), where=pairs > 0)
    plus = np.divide(both, pairs, out=unknown.copy(), where=pairs > 0)
    points = 100 * (acc + plus).sum(axis=1)
    return np.column_stack([acc.mean(axis=1), plus.mean(axis=1), points])
