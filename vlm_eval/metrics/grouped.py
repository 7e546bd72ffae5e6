"""Scores of groups of trials: all of a group right, or the mean of the groups' means.

One metric for what many benchmarks define of their own: HallusionBench's qAcc and fAcc, the pairs
of MMVP, NaturalBench's Q-, I- and G-Acc, the mean over categories of MMStar, over cycles of
HR-Bench, over sources and types of CV-Bench.
"""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple, TypeAlias

import numpy as np

from vlm_eval.core.errors import TaskError
from vlm_eval.core.hashing import derive_rng
from vlm_eval.core.options import configurable
from vlm_eval.core.types import Level
from vlm_eval.metrics.checks import check_field, check_level, check_trials
from vlm_eval.metrics.pairing import score_suffix
from vlm_eval.metrics.slices import By, slices
from vlm_eval.metrics.table import Result, Table, TableRow
from vlm_eval.stats.bootstrap import cluster_bootstrap
from vlm_eval.stats.clusters import Clusters, FloatArray
from vlm_eval.stats.mean import Mean, clustered_mean, macro_mean
from vlm_eval.stats.paired import SEED
from vlm_eval.stats.results import Estimate

Values: TypeAlias = tuple[Level | None, ...]


@configurable
class GroupedAccuracy:
    """Trials that share the values of some fields are a group; the groups are averaged.

    With ``all_correct`` a group scores 1 if every trial in it has the full score and 0 otherwise
    (an unparsed answer is wrong); groups that share a cluster, directly or through others, are one
    cluster of the interval. Without, a group scores its mean, and the mean of the means is
    unweighted (``mover`` interval; bootstrap by cluster where groups share clusters). A group with
    a failed trial does not enter with ``all_correct``; without, the failed trial does not. Factors
    are never pooled, but for those named in ``group`` and ``across``.

    Attributes
    ----------
    group
        Fields or factors whose values make a group.
    all_correct
        Whether all of a group must be right.
    nested
        Without ``all_correct``: the groups of the last field are averaged within each value of the
        fields before it, and so on up, instead of all at once.
    size
        How many trials a group has; groups of another size (cut by ``--limit``) do not enter.
    across
        Factors that differ within a group.
    label
        The result's name.
    score
        Which score; the result's name ends so, ``qAcc_literal``.
    by
        Fields to break the result down by.
    """

    group: tuple[str, ...]
    all_correct: bool = False
    nested: bool = False
    size: int | None = None
    across: tuple[str, ...] = ()
    label: str = "grouped_accuracy"
    score: str = "accuracy"
    by: By = ()

    def __call__(self, table: Table) -> list[Result]:
        """Return an estimate for each setting of the further factors and each slice."""
        check_trials(table, self.score)
        if not self.group:
            raise TaskError("grouped_accuracy needs fields in `group`", where=table.task)
        for name in self.group:
            check_field(table, name)
        for name in self.across:
            check_level(table, name)
        return [self._estimate(part, where) for where, part in self._parts(table)]

    def _parts(self, table: Table) -> Iterator[tuple[dict[str, Level], Table]]:
        own = {*self.group, *self.across}
        further = tuple(
            name for name, known in table.factors.items() if name not in own and len(known) > 1
        )
        for setting, part in slices(table, (further,) if further and table.rows else ()):
            if setting or not further or not table.rows:
                for where, piece in slices(part, self.by):
                    yield {**setting, **where}, piece

    def _estimate(self, table: Table, where: Mapping[str, Level]) -> Estimate:
        groups = self._groups(table)
        mean = self._all_right(groups) if self.all_correct else self._of_means(groups, table.task)
        estimate = mean.estimate(self.label + score_suffix(self.score), where)
        return estimate if self.all_correct else dataclasses.replace(estimate, chance=table.chance)

    def _groups(self, table: Table) -> dict[Values, list[TableRow]]:
        groups: dict[Values, list[TableRow]] = {}
        for row in table.rows:
            values = tuple(row.value(name) for name in self.group)
            if None not in values and (row.failed or self.score in row.scores):
                groups.setdefault(values, []).append(row)
        if self.size is None:
            return groups
        return {values: rows for values, rows in groups.items() if len(rows) == self.size}

    def _all_right(self, groups: Mapping[Values, list[TableRow]]) -> Mean:
        whole = [rows for rows in groups.values() if not any(row.failed for row in rows)]
        right = [float(all(row.scores[self.score] >= 1 for row in rows)) for rows in whole]
        names = _joined([[row.cluster for row in rows] for rows in whole])
        return clustered_mean(right, Clusters.of(names))

    def _of_means(self, groups: Mapping[Values, list[TableRow]], task: str) -> Mean:
        answered = {
            values: [row for row in rows if not row.failed] for values, rows in groups.items()
        }
        clusters = {
            values: frozenset(row.cluster for row in rows) for values, rows in answered.items()
        }
        nodes = {
            values: Node(self._mean(rows), clusters[values]) for values, rows in answered.items()
        }
        depths = (*range(len(self.group) - 1, 0, -1), 0) if self.nested else (0,)
        for depth in depths:
            nodes = _merged(nodes, depth)
        mean = nodes[()].mean if nodes else macro_mean([], [])
        shared = sum(map(len, clusters.values())) > len(frozenset[str]().union(*clusters.values()))
        if mean.value is None or not shared:
            return mean
        return self._resampled(mean, answered, task)

    def _mean(self, rows: Sequence[TableRow]) -> Mean:
        values = [row.scores[self.score] for row in rows]
        return clustered_mean(values, Clusters.of(row.cluster for row in rows))

    def _resampled(self, mean: Mean, groups: Mapping[Values, list[TableRow]], task: str) -> Mean:
        """Return a mean of means with its interval from resampled clusters."""
        order = list(groups)
        rows = [(row, order.index(values)) for values, rows in groups.items() for row in rows]
        place = np.eye(len(order))[[group for _, group in rows]]
        scores = np.array([row.scores[self.score] for row, _ in rows])
        clusters = Clusters.of(row.cluster for row, _ in rows)
        weights = np.array(_weights(order, nested=self.nested))

        def mean_of_means(totals: FloatArray) -> FloatArray:
            sums, counts = np.split(totals, 2, axis=1)
            means = np.divide(sums, counts, out=np.full(sums.shape, np.nan), where=counts > 0)
            found: FloatArray = means @ weights
            return found

        rng = derive_rng(SEED, task, self.label, "bootstrap")
        totals = clusters.sums(np.column_stack([place * scores[:, np.newaxis], place]))
        spread = cluster_bootstrap(totals, mean_of_means, rng)
        if spread.low is None or spread.high is None or spread.low == spread.high:
            return mean
        return dataclasses.replace(
            mean, se=spread.se, low=spread.low, high=spread.high, method="cluster_bootstrap"
        )


class Node(NamedTuple):
    """A mean, and the names of the clusters in it."""

    mean: Mean
    clusters: frozenset[str]


def _merged(nodes: Mapping[Values, Node], depth: int) -> dict[Values, Node]:
    """Average the means whose first ``depth`` values agree."""
    parts: dict[Values, list[Node]] = {}
    for values, node in nodes.items():
        parts.setdefault(values[:depth], []).append(node)
    return {
        values: Node(
            macro_mean([node.mean for node in part], [node.clusters for node in part]),
            frozenset[str]().union(*(node.clusters for node in part)),
        )
        for values, part in parts.items()
    }


def _weights(groups: Sequence[Values], *, nested: bool) -> list[float]:
    """Return each group's weight in the mean of means: nested, an equal part of its parent's."""
    if not nested:
        return [1 / len(groups)] * len(groups)
    siblings = Counter(
        prefix[:-1] for prefix in {g[: i + 1] for g in groups for i in range(len(g))}
    )
    return [
        math.prod(1 / siblings[values[:depth]] for depth in range(len(values))) for values in groups
    ]


def _joined(groups: Sequence[Sequence[str]]) -> list[str]:
    """Return for each group a cluster: groups that share one, directly or not, have the same."""
    parent: dict[str, str] = {}

    def root(name: str) -> str:
        while parent.setdefault(name, name) != name:
            parent[name] = parent[parent[name]]
            name = parent[name]
        return name

    for names in groups:
        for name in names[1:]:
            parent[root(name)] = root(names[0])
    return [root(names[0]) for names in groups]
