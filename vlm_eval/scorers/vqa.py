"""The accuracy of the VQA challenges: agreement with ten people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

from vlm_eval.core.options import configurable
from vlm_eval.data.answers.vqa import Variant, normalise_vqa
from vlm_eval.scorers.references import Answers, accepted

AGREEING = 3
"""An answer that this many other people gave is right."""


@configurable
class VqaAccuracy:
    """``accuracy``: the mean over the people of min(1, matches among the others / 3).

    Leaving each of ten people out in turn and averaging (Antol et al. 2015), so that an answer that
    1, 2, 3, 4 of ten gave scores 0.3, 0.6, 0.9, 1. Both sides are normalised as
    :func:`vlm_eval.data.answers.vqa.normalise_vqa` does. With fewer than four answers all others
    must agree, and one answer is simply compared.

    Attributes
    ----------
    answers
        The field with the people's answers (or a template that gives them).
    variant
        ``vqav2`` (VQAv2, OK-VQA, VizWiz) or ``textvqa``.
    """

    answers: Answers = "answers"
    variant: Variant = "vqav2"

    def __call__(
        self,
        text: str,  # noqa: ARG002 - a scorer's signature
        answer: str | None,
        gold: str,
        fields: Mapping[str, Any],
    ) -> Mapping[str, float]:
        """Return the soft score."""
        if answer is None:
            return {"accuracy": 0.0}
        said = normalise_vqa(answer, self.variant)
        people = [normalise_vqa(x, self.variant) for x in accepted(self.answers, gold, fields)]
        return {"accuracy": vqa_accuracy(said, people)}


def vqa_accuracy(answer: str, people: Sequence[str]) -> float:
    """Return the agreement of a normalised answer with normalised answers of people.

    >>> vqa_accuracy("red", ["red"] * 2 + ["blue"] * 8)
    0.6
    """
    matching, count = Counter(people)[answer], len(people)
    if count < 2:
        return float(matching)
    needed = min(AGREEING, count - 1)
    left_out = [
        (matching, min(Fraction(1), Fraction(max(0, matching - 1), needed))),
        (count - matching, min(Fraction(1), Fraction(matching, needed))),
    ]
    return float(sum(times * score for times, score in left_out) / count)
