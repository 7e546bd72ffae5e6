"""What a parser is: a pure function of a text and the possible answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from vlm_eval.core.registry import Registry
from vlm_eval.core.types import Parsed


class Parser(Protocol):
    """Finds the answer in a model's text. Implementations are ``configurable`` classes."""

    def __call__(self, text: str, choices: Sequence[str]) -> Parsed:
        """Return the answer, one of the choices, and the rule that found it.

        ``answer`` is None, rule ``none``, where no rule fires. Never raises on any text; runs in
        time linear in its length.
        """
        ...


PARSERS: Registry[type[Parser]] = Registry(
    "parser",
    {
        "label": "vlm_eval.parsers.label:Label",
        "vlm_fix": "vlm_eval.parsers.vlm_fix:VlmFix",
        "yes_no": "vlm_eval.parsers.yes_no:YesNo",
        "letter": "vlm_eval.parsers.letter:Letter",
    },
    "vlm_eval.parsers",
)
