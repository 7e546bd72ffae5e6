"""The router of VLM-Fix steering: from a hidden state to the rule asked and to the right answer."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from vlm_eval.core.errors import UsageError

MAX_ITER = 2000  # arXiv 2604.12119, the steering script
_Array = NDArray[np.float32]
Classify: TypeAlias = Callable[[_Array], list[str]]


class Route(NamedTuple):
    """Where a state is sent."""

    rule: str
    answer: str


@dataclass(frozen=True, eq=False)
class Router:
    """One classifier of the rule, and one of the answer for each rule.

    Attributes
    ----------
    rule
        From states (rows, width) to rules.
    answer
        From states to answers, by rule.
    converged
        Whether all of them converged within `MAX_ITER` steps.
    """

    rule: Classify
    answer: Mapping[str, Classify]
    converged: bool

    @classmethod
    def fit(cls, states: _Array, rules: Sequence[str], answers: Sequence[str]) -> Router:
        """Fit the router to training rows (VLM-Fix, section 7 and its script: **code**).

        Logistic regressions on the states as they are: not scaled, classes weighted by the inverse
        of their frequency, otherwise with scikit-learn's defaults.

        Parameters
        ----------
        states
            Shape (rows, width).
        rules, answers
            The rule that each row's question states, and its right answer.

        Raises
        ------
        UsageError
            If scikit-learn is not installed.
        """
        asked = np.array(rules)
        rule, converged = _fit(states, rules)
        answer: dict[str, Classify] = {}
        for level in sorted(set(rules)):
            own = np.flatnonzero(asked == level).tolist()
            answer[level], good = _fit(states[own], [answers[i] for i in own])
            converged = converged and good
        return cls(rule, answer, converged)

    def __call__(self, states: _Array) -> list[Route]:
        """Return where each state goes: its rule, then the answer by that rule's classifier."""
        rules = self.rule(states)
        found: list[Route] = [Route("", "")] * len(states)
        for level in set(rules):
            own = [i for i, rule in enumerate(rules) if rule == level]
            for i, answer in zip(own, self.answer[level](states[own]), strict=True):
                found[i] = Route(level, answer)
        return found


def _fit(states: _Array, labels: Sequence[str]) -> tuple[Classify, bool]:
    """Return a classifier, and whether it converged. One of a single label always gives it."""
    if len(set(labels)) == 1:
        return lambda new: [labels[0]] * len(new), True
    LogisticRegression = logistic_regression()  # noqa: N806
    model = LogisticRegression(max_iter=MAX_ITER, class_weight="balanced")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it did not converge is reported by the caller
        model.fit(states, list(labels))
    converged = int(np.max(model.n_iter_)) < MAX_ITER
    return lambda new: [str(label) for label in model.predict(new)], converged


def logistic_regression() -> type:
    """Return scikit-learn's class. Raises UsageError if it is not installed."""
    try:
        from sklearn.linear_model import LogisticRegression
    except ImportError as error:
        raise UsageError(
            "steering needs scikit-learn", hint="pip install 'paired-vlm-eval[internals]'"
        ) from error
    found: type = LogisticRegression
    return found
