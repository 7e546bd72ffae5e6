"""Accuracy, precision, recall and their kin of yes/no presence questions, as POPE reports them.

An unparsed answer stays in every denominator and is never correct. With N questions, of which P
have the gold answer yes, and TP, FP, TN counted over *explicit* answers::

    accuracy          (TP + TN) / N               precision   TP / (TP + FP)
    recall            TP / P                      F1          2 TP / (TP + FP + P)
    yes_ratio         (TP + FP) / N               FPR         FP / (N - P)
    balanced_accuracy (TP / P + TN / (N - P)) / 2

A ratio without a denominator is 0, as in the published evaluators (a model that never says yes has
precision 0 and F1 0); its ``n`` is then 0 and it has no interval.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from vlm_eval.core.hashing import derive_rng
from vlm_eval.core.options import configurable
from vlm_eval.core.types import Level
from vlm_eval.metrics.checks import check_field, check_trials
from vlm_eval.metrics.pairing import answer_for
from vlm_eval.metrics.slices import By, slices
from vlm_eval.metrics.table import Result, Table, TableRow
from vlm_eval.stats.bootstrap import cluster_bootstraps
from vlm_eval.stats.clusters import Clusters, FloatArray
from vlm_eval.stats.intervals import UNKNOWN
from vlm_eval.stats.mean import Mean, clustered_mean
from vlm_eval.stats.paired import SEED
from vlm_eval.stats.results import Estimate

RATES = (
    "accuracy", "precision", "recall", "f1", "yes_ratio", "fpr", "balanced_accuracy",
    "unparsed_rate",
)  # fmt: skip
"""Every number, in the order of printing."""
LOWER_IS_BETTER = frozenset({"fpr", "unparsed_rate"})
RESAMPLED = frozenset({"f1", "balanced_accuracy"})
"""What is no mean over rows."""


@configurable
class Presence:
    """The numbers of :data:`RATES` for the task's own parser and any others side by side.

    Another parser's results have its name at the end: ``f1_literal``, ``f1_repope``. Conditions are
    never pooled: with several, each has its own results. With ``macro``, what is not broken down by
    that field is the unweighted mean over its values, such as POPE's three splits.

    Intervals are clustered: in closed form for what is a mean over rows, by the cluster bootstrap
    for F1, balanced accuracy and the macro means (the splits of POPE share their images).

    Attributes
    ----------
    scores
        Whose answers: ``accuracy``, ``accuracy_literal``, ``accuracy_NAME``.
    positive, negative
        The answers that mean yes and no.
    macro
        The field to average over; its values are broken down by, too.
    by
        Factors or fields to break the results down by.
    """

    scores: tuple[str, ...] = ("accuracy",)
    positive: str = "Yes"
    negative: str = "No"
    macro: str | None = None
    by: By = ()

    def __call__(self, table: Table) -> list[Result]:
        """Return estimates named as in :data:`RATES`."""
        for score in self.scores:
            check_trials(table, score)
        if self.macro is not None:
            check_field(table, self.macro)
        varied = tuple(name for name, levels in table.factors.items() if len(levels) > 1)
        found: list[Result] = []
        for setting, part in slices(table, (varied,) if varied and table.rows else ()):
            if table.rows and not all(name in setting for name in varied):
                continue
            for where, piece in slices(part, self._by):
                found += self._rates(piece, {**setting, **where})
        return found

    @property
    def _by(self) -> By:
        known = self.macro is None or self.macro in self.by
        return self.by if known else (str(self.macro), *self.by)

    def _rates(self, table: Table, where: Mapping[str, Level]) -> Iterator[Estimate]:
        found = {score: _measure(self._answered(table, score), table.task) for score in self.scores}
        for name in RATES:
            for score, means in found.items():
                label = f"{name}{score.removeprefix('accuracy')}"
                yield means[name].estimate(label, where, lower_is_better=name in LOWER_IS_BETTER)

    def _answered(self, table: Table, score: str) -> Answered:
        rows = [row for row in table.rows if not row.failed and score in row.scores]
        values = [None if self.macro is None else row.value(self.macro) for row in rows]
        groups = [[value == one for value in values] for one in dict.fromkeys(values)]
        return Answered(self._counts(rows, score), [row.cluster for row in rows], groups)

    def _counts(self, rows: Sequence[TableRow], score: str) -> FloatArray:
        """Return what each row counts in: the columns of :class:`Counts`, shape (rows, 6)."""
        made = []
        for row in rows:
            yes, answer = row.gold == self.positive, answer_for(row, score)
            said, denied = answer == self.positive, answer == self.negative
            counts = Counts(
                tp=yes and said,
                fp=said and not yes,
                tn=denied and not yes,
                unparsed=not (said or denied),
                yes=yes,
                no=not yes,
            )
            made.append(counts)
        return np.array(made, dtype=np.float64).reshape(-1, len(Counts._fields))


class Counts(NamedTuple):
    """Right and wrong "yes", right "no", neither; and how often yes and no would be right."""

    tp: Any
    fp: Any
    tn: Any
    unparsed: Any
    yes: Any
    no: Any


def rate(counts: FloatArray, name: str) -> FloatArray:
    """Return a rate from counts.

    Parameters
    ----------
    counts
        The columns of :class:`Counts`, summed, shape (..., 6).
    name
        One of :data:`RATES`.

    Returns
    -------
    array
        Shape (...), in [0, 1]; 0 without a denominator.
    """
    if name == "balanced_accuracy":
        return (rate(counts, "recall") + rate(counts, "specificity")) / 2
    part, whole = _parts(counts, name)
    return np.divide(part, whole, out=np.zeros_like(part), where=whole > 0)


def _parts(counts: FloatArray, name: str) -> tuple[FloatArray, FloatArray]:
    """Return numerator and denominator of a rate, shape (...)."""
    c = Counts(*np.moveaxis(counts, -1, 0))
    parts: dict[str, tuple[FloatArray, FloatArray]] = {
        "accuracy": (c.tp + c.tn, c.yes + c.no),
        "precision": (c.tp, c.tp + c.fp),
        "recall": (c.tp, c.yes),
        "specificity": (c.tn, c.no),
        "f1": (2 * c.tp, c.tp + c.fp + c.yes),
        "yes_ratio": (c.tp + c.fp, c.yes + c.no),
        "fpr": (c.fp, c.no),
        "unparsed_rate": (c.unparsed, c.yes + c.no),
    }
    return parts[name]


class Answered(NamedTuple):
    """Answered trials: what each counts in, its cluster, and which are of each group."""

    counts: FloatArray
    clusters: Sequence[str]
    groups: Sequence[Sequence[bool]]


def _measure(seen: Answered, task: str) -> dict[str, Mean]:
    """Return every rate with its interval, in closed form where it is a mean over rows."""
    if not len(seen.counts):
        return dict.fromkeys(RATES, Mean(None, None, *UNKNOWN, n=0, clusters=0))
    pooled = [name for name in RATES if name not in RESAMPLED and len(seen.groups) == 1]
    resampled = [name for name in RATES if name not in pooled]
    return {name: _pooled(seen, name) for name in pooled} | _resampled(seen, resampled, task)


def _pooled(seen: Answered, name: str) -> Mean:
    part, whole = _parts(seen.counts, name)
    among = np.flatnonzero(whole).tolist()
    if not among:
        return Mean(0.0, None, *UNKNOWN, n=0, clusters=0)
    return clustered_mean(part[among], Clusters.of(seen.clusters[row] for row in among))


def _resampled(seen: Answered, names: Sequence[str], task: str) -> dict[str, Mean]:
    """Return the unweighted means of rates over groups of rows, intervals by cluster bootstrap."""
    partition = Clusters.of(seen.clusters)
    # One column for each group and count; a cluster may have rows in several groups.
    split = np.stack(
        [seen.counts * np.array(group)[:, np.newaxis] for group in seen.groups], axis=1
    )
    totals = partition.sums(split).reshape(partition.count, -1)

    def statistics(sums: FloatArray) -> FloatArray:
        counts = sums.reshape(len(sums), *split.shape[1:])
        return np.stack([rate(counts, name).mean(axis=1) for name in names], axis=1)

    values = statistics(totals.sum(axis=0, keepdims=True))[0].tolist()
    spreads = cluster_bootstraps(totals, statistics, derive_rng(SEED, task, "presence"))
    found = {}
    for name, value, (se, low, high) in zip(names, values, spreads, strict=True):
        # Replicates that are all alike say nothing about the spread.
        known = low is not None and high is not None and low < high
        ends = (low, high, "cluster_bootstrap") if known else UNKNOWN
        found[name] = Mean(
            value, se if known else None, *ends, n=partition.rows, clusters=partition.count
        )
    return found
