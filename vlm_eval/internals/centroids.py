"""What VLM-Fix steering writes into a model: the mean state of questions with one right answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from vlm_eval.core.errors import TaskError
from vlm_eval.internals.router import Route

Policy: TypeAlias = Literal["correct_only", "all_train"]
Fallback: TypeAlias = Literal["", "incorrect", "rule"]


@dataclass(frozen=True, eq=False)
class Centroid:
    """The mean of some training rows.

    Attributes
    ----------
    state
        Shape (width,), float32.
    rows
        How many rows it is the mean of.
    fallback
        ``incorrect`` if the model answered none of the bucket rightly, so that all of them count;
        ``rule`` if the bucket is empty, so that all rows of the rule do; else empty.
    """

    state: NDArray[np.float32]
    rows: int
    fallback: Fallback


def centroids(
    states: NDArray[np.float32],
    rules: Sequence[str],
    answers: Sequence[str],
    correct: Sequence[bool],
    policy: Policy = "correct_only",
) -> Mapping[Route, Centroid]:
    """Return the centroid of each rule and right answer (VLM-Fix, steering script: **code**).

    Parameters
    ----------
    states
        Of the training rows, shape (rows, width).
    rules, answers
        What each row's question states, and its right answer.
    correct
        Whether the model answered it rightly.
    policy
        ``correct_only``: the mean of the rows of the bucket that were answered rightly; if there is
        none, of all its rows; if there is none, of all rows of the rule. ``all_train``: the same
        without the first step.

    Raises
    ------
    TaskError
        If there are no rows.
    """
    if not len(states):
        raise TaskError("there are no training rows to take centroids of")
    asked, gold, right = np.array(rules), np.array(answers), np.array(correct, dtype=bool)
    found = {}
    for rule in sorted(set(rules)):
        for answer in sorted(set(answers)):
            bucket = (asked == rule) & (gold == answer)
            steps: list[tuple[Fallback, NDArray[np.bool_]]] = [
                ("incorrect", bucket), ("rule", asked == rule)
            ]  # fmt: skip
            first = bucket & right if policy == "correct_only" else bucket
            if policy == "all_train":
                steps = steps[1:]
            fallback, chosen = next((s for s in [("", first), *steps] if s[1].any()), steps[-1])
            mean = states[chosen].mean(0, dtype=np.float64).astype(np.float32)
            found[Route(rule, answer)] = Centroid(mean, int(chosen.sum()), fallback)
    return found
