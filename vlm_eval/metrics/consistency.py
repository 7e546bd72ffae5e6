"""Right under every level of a factor, and a taste for one of them: what order handling decides."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np

from vlm_eval.core.options import configurable
from vlm_eval.core.types import Level
from vlm_eval.metrics.checks import check_level, check_trials
from vlm_eval.metrics.pairing import ABSENT, pair_numbers
from vlm_eval.metrics.slices import By, slices
from vlm_eval.metrics.table import Result, Table
from vlm_eval.stats.clusters import IntArray
from vlm_eval.stats.mean import clustered_mean
from vlm_eval.stats.paired import paired_mean


@configurable
class OrderConsistency:
    """What becomes of choices when their options change places.

    ``consistent_accuracy``: share of samples that are right under *every* level of the factor.
    ``position_bias``: half of the mean difference between the accuracy under the first level, where
    the right option comes first, and under the second; 0.5 is always the first option, -0.5 always
    the second. Samples asked under fewer levels, or that failed under one, do not enter.

    The chance of consistency is that of independent coins; one coin for a model that compares
    options by similarity, which does not see an order.

    Attributes
    ----------
    factor
        The order of the options; two levels, the right option first in the first.
    score
        Which score.
    by
        Fields to break the results down by.
    """

    factor: str = "order"
    score: str = "accuracy"
    by: By = ()

    def __call__(self, table: Table) -> list[Result]:
        """Return the estimates, whole and by slice."""
        check_level(table, self.factor)
        check_trials(table, self.score)
        return [
            result for where, part in slices(table, self.by) for result in self._of(part, where)
        ]

    def _of(self, table: Table, where: Mapping[str, Level]) -> Iterator[Result]:
        levels = table.factors[self.factor]
        whole = self._questions(table)
        right = table.score(self.score)[whole]
        clusters = table.clusters(whole[:, 0])
        suffix = self.score.removeprefix("accuracy")
        mean = clustered_mean((right == 1).all(axis=1).astype(float), clusters)
        compared = bool(len(whole)) and all(
            row.logprobs is not None and row.token_counts is None
            for row in table.take(whole.ravel()).rows
        )
        coins = 1 if compared else len(levels)
        chance = None if table.chance is None else table.chance**coins
        yield replace(mean.estimate(f"consistent_accuracy{suffix}", where), chance=chance)
        if len(levels) == 2:
            bias = paired_mean(right[:, 1], right[:, 0], clusters).scaled(0.5)
            yield bias.estimate(f"position_bias{suffix}", where, signed=True)

    def _questions(self, table: Table) -> IntArray:
        """Return the places of the scored trials that differ in the order alone.

        Shape (questions, levels); questions that lack a level are left out.
        """
        levels, scored = table.codes(self.factor), table.has_score(self.score)
        _, question = np.unique(pair_numbers(table, self.factor), return_inverse=True)
        found = np.full((question.max(initial=-1) + 1, len(table.factors[self.factor])), ABSENT)
        for column, level in enumerate(table.factors[self.factor]):
            there = np.flatnonzero(scored & levels.equal(level))
            found[question[there], column] = there
        whole: IntArray = found[(found != ABSENT).all(axis=1)]
        return whole
