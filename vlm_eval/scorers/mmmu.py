"""MMMU's open questions: key phrases and numbers against the gold answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vlm_eval.core.options import configurable
from vlm_eval.data.answers.mmmu import candidates, golds, matches
from vlm_eval.scorers.references import Answers, accepted


@configurable
class MmmuOpen:
    """``accuracy`` 1 where a key phrase holds the gold phrase or a number in it equals the gold's.

    See :mod:`vlm_eval.data.answers.mmmu` for the rules (MMMU, Yue et al. 2024). Nothing is drawn at
    random.

    Attributes
    ----------
    answers
        The field with several accepted answers; absent: the gold answer, which may be a printed
        list, as in the data set.
    """

    answers: Answers = None

    def __call__(
        self, text: str, answer: str | None, gold: str, fields: Mapping[str, Any]
    ) -> Mapping[str, float]:
        """Compare the candidates of the text; of the answer, where options were scored."""
        if answer is None:
            return {"accuracy": 0.0}
        known = [one for cell in accepted(self.answers, gold, fields) for one in golds(cell)]
        return {"accuracy": float(matches(candidates(text or answer), known))}
