"""Right, or what prior knowledge says: two scores of one answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vlm_eval.core.options import configurable


@configurable
class Bias:
    """``accuracy``, and ``bias``: 1 where the answer is what prior knowledge says, else 0.

    An unparsed answer is neither. A sample whose prior answer is not known has no ``bias``. Where
    prior knowledge is right both are 1.

    Attributes
    ----------
    prior
        The field that holds the answer of prior knowledge.
    """

    prior: str = "bias"

    def __call__(
        self,
        text: str,  # noqa: ARG002 - a scorer's signature
        answer: str | None,
        gold: str,
        fields: Mapping[str, Any],
    ) -> Mapping[str, float]:
        """Compare the answer with both."""
        scores = {"accuracy": float(answer == gold)}
        prior = fields.get(self.prior)
        if prior is not None:
            scores["bias"] = float(answer == str(prior))
        return scores
