"""Accuracy and bias towards prior knowledge, level by level of one factor (VLM-Fix, section 5)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from vlm_eval.core.options import configurable
from vlm_eval.core.types import Level
from vlm_eval.metrics.accuracy import mean_score
from vlm_eval.metrics.checks import check_level, check_trials
from vlm_eval.metrics.fixation import rowwise
from vlm_eval.metrics.paired import compare_levels
from vlm_eval.metrics.pairing import answer_for
from vlm_eval.metrics.slices import By, slices
from vlm_eval.metrics.table import Result, Table, TableRow
from vlm_eval.stats.mean import macro_mean
from vlm_eval.stats.multiplicity import adjust_family
from vlm_eval.stats.results import Comparison, Estimate


@configurable
class PriorBias:
    """How often an answer is right, and how often it is what prior knowledge says.

    ``accuracy`` and ``bias`` (lower is better), each at every level of the factor: over rows, which
    is the paper's overall number (*micro*), for each group, and as the unweighted mean over groups
    (``accuracy_macro``, ``bias_macro``). Both are compared with the baseline level, row by row:
    ``accuracy`` and ``bias`` with clusters as independent; ``accuracy_mcnemar`` and
    ``bias_mcnemar`` with every row as independent, as the paper tested. The comparisons of one
    score, one test and one slice are a Holm family.

    Attributes
    ----------
    factor
        What is varied; its first level is the baseline.
    prior
        The field that holds the answer of prior knowledge; rows where it is None have no bias.
    group
        The field whose values are averaged over.
    score
        ``accuracy``, or ``accuracy_literal`` for the paper's own parser; all names then end so.
    """

    factor: str
    prior: str = "bias"
    group: str = "topic"
    score: str = "accuracy"

    def __call__(self, table: Table) -> list[Result]:
        """Return the estimates of both scores, then the comparisons of both."""
        check_level(table, self.factor)
        check_trials(table, self.score)
        bias = "bias" + self.score.removeprefix("accuracy")
        tables = {self.score: table, bias: self._bias(table, bias)}
        results: list[Result] = []
        for name, part in tables.items():
            results += self._estimates(part, name, lower_is_better=name == bias)
        for name, part in tables.items():
            found = self._comparisons(part, name)
            results += [c.of_errors() for c in found] if name == bias else found
        return results

    def _bias(self, table: Table, name: str) -> Table:
        """Return the rows whose prior answer is known, scored by it and by nothing else."""
        rows = [self._scored(row, name) for row in table.rows if row.value(self.prior) is not None]
        return replace(table, rows=tuple(rows))

    def _scored(self, row: TableRow, name: str) -> TableRow:
        answer = answer_for(row, self.score)
        right = float(answer is not None and answer == str(row.value(self.prior)))
        scores = {} if row.failed else {name: right}
        return replace(row, scores=scores, answer=answer, literal=answer)

    def _estimates(self, table: Table, name: str, *, lower_is_better: bool) -> Iterator[Estimate]:
        for level in table.factors[self.factor]:
            part = table.where(**{self.factor: level})
            by_group = [(place, rows) for place, rows in slices(part, (self.group,)) if place]
            means = [mean_score(rows, name) for _, rows in by_group]
            names = [frozenset(rows.attribute("cluster").present) for _, rows in by_group]
            whole = {self.factor: level}
            found = [
                (name, mean_score(part, name), whole),
                (f"{name}_macro", macro_mean(means, names), whole),
                *(
                    (name, mean, {**whole, **place})
                    for (place, _), mean in zip(by_group, means, strict=True)
                ),
            ]
            for title, mean, where in found:
                yield mean.estimate(title, where, lower_is_better=lower_is_better)

    def _comparisons(self, table: Table, name: str) -> Iterator[Comparison]:
        families: dict[tuple[tuple[str, Level], ...], list[Comparison]] = {}
        by: By = (self.group,)
        for comparison in compare_levels(table, self.factor, score=name, by=by):
            families.setdefault(tuple(comparison.where.items()), []).append(comparison)
        for family in families.values():
            yield from adjust_family(family)
            yield from adjust_family([rowwise(comparison) for comparison in family])
