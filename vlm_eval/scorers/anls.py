"""Average normalised Levenshtein similarity: DocVQA's score, which forgives small misreadings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from vlm_eval.core.options import configurable
from vlm_eval.scorers.references import Answers, accepted

LONGEST = 2_000
"""Two texts that are both longer are compared by their first characters only, this many."""


@configurable
class Anls:
    """``accuracy``: the best similarity to an accepted answer, 0 where it is below the threshold.

    The similarity is 1 - distance / length of the longer text, in lower case with runs of blanks
    as one (Biten et al. 2019). The paper asks for a distance *below* half the length; the published
    evaluation code, which is followed here, keeps a similarity of exactly 0.5.

    Attributes
    ----------
    answers
        The field with the accepted answers (or a template that gives them).
    threshold
        Similarities below it are 0, in [0, 1].
    """

    answers: Answers = "answers"
    threshold: float = 0.5

    def __call__(
        self,
        text: str,  # noqa: ARG002 - a scorer's signature
        answer: str | None,
        gold: str,
        fields: Mapping[str, Any],
    ) -> Mapping[str, float]:
        """Return the similarity."""
        if answer is None:
            return {"accuracy": 0.0}
        known = accepted(self.answers, gold, fields)
        best = max(similarity(answer, other, self.threshold) for other in known)
        return {"accuracy": best}


def similarity(one: str, other: str, threshold: float = 0.5) -> float:
    """Return 1 - Levenshtein distance / length of the longer text; 0 if that is below a threshold.

    Texts whose lengths alone put them below the threshold are not compared further, so a long
    answer costs no more than reading it.

    >>> similarity("Recieve", "receive")
    0.7142857142857143
    """
    left, right = (" ".join(text.lower().split()) for text in (one, other))
    if left == right:
        return 1.0
    shorter, longer = sorted((len(left), len(right)))
    if shorter < threshold * longer or shorter == 0:
        return 0.0
    left, right = left[:LONGEST], right[:LONGEST]
    value = 1 - levenshtein(left, right) / max(len(left), len(right))
    return value if value >= threshold else 0.0


def levenshtein(one: str, other: str) -> int:
    """Return the least number of insertions, deletions and substitutions between two texts.

    Time is the product of the lengths, a row of the table at once.

    >>> levenshtein("kitten", "sitting")
    3
    """
    letters = np.array([ord(character) for character in other], dtype=np.int64)
    steps = np.arange(len(other) + 1)
    row = steps
    for done, character in enumerate(one, start=1):
        changed = np.minimum(row[1:] + 1, row[:-1] + (letters != ord(character)))
        # An insertion costs one a step: the running minimum of what is left after the steps.
        row = np.minimum.accumulate(np.concatenate([[done], changed]) - steps) + steps
    return int(row[-1])
