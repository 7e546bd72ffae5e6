"""What a scorer is: a pure function of what was said, what was found in it, and what is right."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from vlm_eval.core.registry import Registry


class Scorer(Protocol):
    """Says how right an answer is. Implementations are ``configurable`` classes."""

    def __call__(
        self, text: str, answer: str | None, gold: str, fields: Mapping[str, Any]
    ) -> Mapping[str, float]:
        """Return scores by name; never raises on any text, runs in time linear in its length.

        Parameters
        ----------
        text
            The generated text; empty where options were scored.
        answer
            What the parser found in it, or the likeliest option; None if nothing.
        gold
            The task's right answer.
        fields
            The sample's fields under the condition, such as the list of accepted answers.

        Returns
        -------
        Mapping
            Finite numbers; ``accuracy``, in [0, 1], is always there and is 0 where ``answer`` is
            None.
        """
        ...


SCORERS: Registry[type[Scorer]] = Registry(
    "scorer",
    {
        "exact": "vlm_eval.scorers.exact:Exact",
        "bias": "vlm_eval.scorers.bias:Bias",
        "vqa_accuracy": "vlm_eval.scorers.vqa:VqaAccuracy",
        "anls": "vlm_eval.scorers.anls:Anls",
        "relaxed": "vlm_eval.scorers.relaxed:Relaxed",
        "one_of": "vlm_eval.scorers.one_of:OneOf",
        "mmmu_open": "vlm_eval.scorers.mmmu:MmmuOpen",
    },
    "vlm_eval.scorers",
)
