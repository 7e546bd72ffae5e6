"""A parser, which finds the answer in a text, and a scorer, which says how right it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from vlm_eval.core.options import configurable
from vlm_eval.core.types import Parsed


@configurable
class Side:
    """The whole answer is one of the choices, or its first letter; anything else is unparsed."""

    def __call__(self, text: str, choices: Sequence[str]) -> Parsed:
        """Return the choice and the rule that fired; never raises, never guesses."""
        said = text.strip().rstrip(".").casefold()
        for choice in choices:
            if said == choice.casefold():
                return Parsed(choice, "word")
        named = [choice for choice in choices if said and said == choice[:1].casefold()]
        return Parsed(named[0], "initial") if len(named) == 1 else Parsed(None, "none")


@configurable
class Spelled:
    """``accuracy``, and ``spelled``: whether the right answer was given as a whole word."""

    def __call__(
        self,
        text: str,
        answer: str | None,
        gold: str,
        fields: Mapping[str, Any],  # noqa: ARG002 - a scorer's signature
    ) -> Mapping[str, float]:
        """Compare; an unparsed answer is wrong."""
        right = answer == gold
        whole = right and text.strip().rstrip(".").casefold() == gold.casefold()
        return {"accuracy": float(right), "spelled": float(whole)}
