"""Misalignment of a contrastive model: the K classes that it ranks highest are what it mentions.

With K fixed, COR is 1 by construction where more than K critical classes are there, and HR cannot
fall below (K - |there|) / K. A ranking and a free text are therefore not comparable: never rank a
contrastive model against a generative one on HR or COR.
"""

from __future__ import annotations

import math
from typing import Annotated, ClassVar

from pydantic import Field

from vlm_eval.core.options import configurable
from vlm_eval.metrics.checks import check_level, check_trials
from vlm_eval.metrics.misalignment_measures import QUESTION, Asked, Measure, report
from vlm_eval.metrics.misalignment_safety import safety_measures
from vlm_eval.metrics.misalignment_sets import (
    EPSILON,
    hallucination_rate,
    omits,
    recall,
    supported,
)
from vlm_eval.metrics.table import Result, Table, TableRow

OBJECTS = "objects"
"""The level of the factor ``question`` whose choices are ranked."""


@configurable
class TopK:
    """HR and COR of the K best of the choices, and SMR, at each level and against the baseline.

    ``HR``, ``COR``
        With the top K as the classes mentioned; ``HR_3`` and the like for the other K.
        ``COR_conditional``: of the images with a critical class.
    ``recall``
        Mean share of the critical classes that are in the top K.
    ``COR_forced_rate``
        Share of images with more than K critical classes, on which COR is 1 by construction.
    ``HR_floor``
        Mean of max(0, K - |there|) / K, below which no ranking can come.
    ``SMR`` and its parts
        See :mod:`vlm_eval.metrics.misalignment_safety`.

    Choices that tie across the K-th place are not in the top K, which then has fewer: a tie is no
    ranking.

    Attributes
    ----------
    factor
        What is varied.
    k, also
        K, and further K that are reported besides, each 1 or more.
    truth
        The field of the classes that are there.
    strict
        Person and rider do not stand for each other (names end in ``_strict``).
    compare
        Measures whose paired differences from the baseline are reported.
    """

    reads: ClassVar[tuple[str, ...]] = ("critical", "safety")

    factor: str = "degradation"
    k: Annotated[int, Field(ge=1)] = 5
    also: tuple[Annotated[int, Field(ge=1)], ...] = ()
    truth: str = "present"
    strict: bool = False
    compare: tuple[str, ...] = ("HR", "COR")

    def __call__(self, table: Table) -> list[Result]:
        """Return the estimates, then the comparisons."""
        for name in (self.factor, QUESTION):
            check_level(table, name)
        check_trials(table, "accuracy")
        suffix = ("_area" if self.truth != "present" else "") + "_strict" * self.strict
        measures = [m for k in (self.k, *self.also) for m in self._of(k, suffix)]
        measures += [] if suffix else safety_measures()
        compared = [name + suffix for name in self.compare]
        return report(table, self.factor, measures, compared=compared)

    def _of(self, k: int, suffix: str) -> list[Measure]:
        end = ("" if k == self.k else f"_{k}") + suffix

        def mentioned(asked: Asked) -> frozenset[str] | None:
            row = asked.rows[OBJECTS]
            return None if row.failed else top(row, k)

        def there(asked: Asked) -> frozenset[str]:
            return frozenset(asked.fields[self.truth])

        def critical(asked: Asked) -> frozenset[str]:
            return there(asked) & frozenset(asked.fields["critical"])

        def rate(asked: Asked) -> float | None:
            found = mentioned(asked)
            known = supported(there(asked), strict=self.strict)
            return None if found is None else hallucination_rate(found, known, EPSILON)

        def omission(asked: Asked) -> float | None:
            found = mentioned(asked)
            return None if found is None else omits(found, critical(asked))

        def share(asked: Asked) -> float | None:
            found = mentioned(asked)
            return None if found is None else recall(found, critical(asked))

        def some(asked: Asked) -> bool:
            return _asks(asked) and bool(critical(asked))

        def floor(asked: Asked) -> float:
            return max(0, k - len(supported(there(asked), strict=self.strict))) / k

        def forced(asked: Asked) -> float:
            return float(len(critical(asked)) > k)

        return [
            Measure(f"HR{end}", rate, _asks),
            Measure(f"COR{end}", omission, _asks),
            Measure(f"COR_conditional{end}", omission, some),
            Measure(f"recall{end}", share, some, lower_is_better=False),
            Measure(f"COR_forced_rate{end}", forced, _asks, paired=False),
            Measure(f"HR_floor{end}", floor, _asks, paired=False),
        ]


def _asks(asked: Asked) -> bool:
    return OBJECTS in asked.rows


def top(row: TableRow, k: int) -> frozenset[str]:
    """Return the choices whose score is one of the k highest and above the next one.

    Those that tie with the next one are left out; so is everything where a score is not a number.
    """
    scores, choices = row.logprobs or (), row.choices or ()
    if any(map(math.isnan, scores)):
        return frozenset()
    ranked = sorted(scores, reverse=True)
    bound = ranked[k] if k < len(ranked) else -math.inf
    return frozenset(choice for choice, score in zip(choices, scores, strict=True) if score > bound)
