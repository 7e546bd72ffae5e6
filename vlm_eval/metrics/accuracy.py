"""Means over trials: accuracy, and the share of answers that could not be parsed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from vlm_eval.core.options import configurable
from vlm_eval.core.types import Level
from vlm_eval.metrics.checks import check_trials
from vlm_eval.metrics.pairing import unparsed
from vlm_eval.metrics.slices import By, crossed, slices
from vlm_eval.metrics.table import Result, Table
from vlm_eval.stats.mean import Mean, clustered_mean


@configurable
class Accuracy:
    """Mean score: overall, for each level of each factor, and both again within each slice.

    A failed trial has no score and does not enter; an unparsed answer is wrong.

    Attributes
    ----------
    score
        Which score: ``accuracy``, or ``accuracy_literal`` for the paper's own parser.
    by
        Factors or fields to break the result down by.
    """

    score: str = "accuracy"
    by: By = ()

    def __call__(self, table: Table) -> list[Result]:
        """Return estimates named after the score."""
        check_trials(table, self.score)
        return [
            mean_score(part, self.score).estimate(self.score, where)
            for where, part in by_level(table, self.by)
        ]


@configurable
class ParseFailures:
    """Share of answers in which the parser found nothing: overall, by slice and by condition.

    The count is ``value * n``, a whole number. Failed trials gave no answer and do not enter.

    Attributes
    ----------
    score
        Whose parser: the task's (``accuracy``) or the paper's own (``accuracy_literal``).
    by
        Factors or fields to break the result down by.
    """

    score: str = "accuracy"
    by: By = ()

    def __call__(self, table: Table) -> list[Result]:
        """Return estimates named ``parse_failures``, or ``parse_failures_literal``."""
        check_trials(table, self.score)
        name = "parse_failures" + self.score.removeprefix("accuracy")
        varied = tuple(factor for factor, known in table.factors.items() if len(known) > 1)
        by = self.by if not varied or varied in map(crossed, self.by) else (*self.by, varied)
        return [
            self._share(part).estimate(name, where, lower_is_better=True)
            for where, part in slices(table, by)
        ]

    def _share(self, table: Table) -> Mean:
        scored = table.has_score(self.score)
        flags = unparsed(table, self.score)[scored].astype(float)
        return clustered_mean(flags, table.clusters(scored))


def mean_score(table: Table, score: str) -> Mean:
    """Return the clustered mean of a score over the rows that have it."""
    scored = table.has_score(score)
    return clustered_mean(table.score(score)[scored], table.clusters(scored))


def by_level(table: Table, by: By) -> Iterator[tuple[Mapping[str, Level], Table]]:
    """Yield each slice, and the slice at each level of each factor that varies in the task."""
    for where, part in slices(table, by):
        yield where, part
        for factor, known in table.factors.items():
            if factor in where or len(known) < 2:
                continue
            found, none = part.split(factor), replace(part, rows=())
            for level in known:
                rest = found.get((level,), none)
                # A level that a slice does not have by design is no result; an empty table's is.
                if rest.rows or not part.rows:
                    yield {**where, factor: level}, rest
