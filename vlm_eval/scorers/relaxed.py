"""Relaxed accuracy: numbers within five per cent (ChartQA)."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from vlm_eval.core.options import configurable
from vlm_eval.data.answers.forms import lower
from vlm_eval.data.answers.numbers import as_number, is_percentage
from vlm_eval.scorers.references import Answers, accepted


@configurable
class Relaxed:
    """``accuracy`` 1 where a number is within the tolerance of the gold number, texts are equal.

    As in ChartQA (Masry et al. 2022): |answer - gold| <= 0.05 · |gold|, and a percentage is a
    hundredth (40 % is 0.4, not 40). Where one side is no number, or the gold number is 0, the texts
    must be equal but for case, blanks and a final period. Unlike there, 1,000 is a number.

    Attributes
    ----------
    tolerance
        Allowed difference as a share of the gold number, 0 or more.
    answers
        The field with several accepted answers; absent: the gold answer.
    """

    tolerance: float = 0.05
    answers: Answers = None

    def __call__(
        self,
        text: str,  # noqa: ARG002 - a scorer's signature
        answer: str | None,
        gold: str,
        fields: Mapping[str, Any],
    ) -> Mapping[str, float]:
        """Compare the answer with each accepted one."""
        known = [] if answer is None else accepted(self.answers, gold, fields)
        return {"accuracy": float(any(close(answer or "", x, self.tolerance) for x in known))}


def close(answer: str, gold: str, tolerance: float = 0.05) -> bool:
    """Return whether an answer is right within a relative tolerance.

    >>> close("95", "100"), close("94.9", "100"), close("Red", "red")
    (True, False, True)
    """
    said, right = _value(answer), _value(gold)
    if said is None or not right:
        return lower(answer) == lower(gold)
    return abs(said - right) <= Decimal(str(tolerance)) * abs(right)


def _value(text: str) -> Decimal | None:
    plain = text.strip().removesuffix(".")
    value = as_number(plain)
    return value / 100 if value is not None and is_percentage(plain) else value
