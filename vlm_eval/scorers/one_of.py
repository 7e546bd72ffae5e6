"""Right is what equals one of the accepted answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vlm_eval.core.options import configurable
from vlm_eval.data.answers.forms import FORMS, Form
from vlm_eval.scorers.references import Answers, accepted


@configurable
class OneOf:
    """``accuracy`` 1 where the answer equals an accepted answer, both in the same form.

    Attributes
    ----------
    answers
        The field with the accepted answers (or a template that gives them); absent: the gold
        answer alone.
    form
        How both sides are written: ``exact``, ``lower`` (case, blanks and a final period do not
        matter), ``words`` (no punctuation does), ``vqav2`` or ``textvqa`` (their normalisers).
    """

    answers: Answers = None
    form: Form = "lower"

    def __call__(
        self,
        text: str,  # noqa: ARG002 - a scorer's signature
        answer: str | None,
        gold: str,
        fields: Mapping[str, Any],
    ) -> Mapping[str, float]:
        """Compare the answer with each accepted one."""
        if answer is None:
            return {"accuracy": 0.0}
        form = FORMS[self.form]
        known = {form(other) for other in accepted(self.answers, gold, fields)}
        return {"accuracy": float(form(answer) in known)}
