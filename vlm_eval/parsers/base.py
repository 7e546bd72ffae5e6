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
        "mentions": "vlm_eval.parsers.mentions:Mentions",
        "safety": "vlm_eval.parsers.safety:Safety",
        "vlm_fix": "vlm_eval.parsers.vlm_fix:VlmFix",
        "yes_no": "vlm_eval.parsers.yes_no:YesNo",
        "letter": "vlm_eval.parsers.letter:Letter",
        "first_character": "vlm_eval.parsers.letter_literal:FirstCharacter",
        "leading_letter": "vlm_eval.parsers.letter_literal:LeadingLetter",
        "lmms_mmmu": "vlm_eval.parsers.letter_literal:LmmsMmmu",
        "vlmevalkit_letter": "vlm_eval.parsers.letter_literal:VlmEvalKitLetter",
        "naturalbench": "vlm_eval.parsers.letter_literal:NaturalBench",
        "number": "vlm_eval.parsers.number:Number",
        "vqa_answer": "vlm_eval.parsers.open_answers:VqaAnswer",
        "short_answer": "vlm_eval.parsers.open_answers:ShortAnswer",
        "realworldqa": "vlm_eval.parsers.open_answers:RealWorldQa",
        "mmmu_open": "vlm_eval.parsers.open_answers:MmmuOpen",
        "vlmbias": "vlm_eval.parsers.vlmbias:VlmBias",
        "lmms_vlmbias": "vlm_eval.parsers.vlmbias:LmmsVlmBias",
        "pope": "vlm_eval.parsers.pope:Pope",
        "repope": "vlm_eval.parsers.pope:RePope",
        "lmms_pope": "vlm_eval.parsers.pope:LmmsPope",
        "vlmevalkit_yes_no": "vlm_eval.parsers.pope:VlmEvalKitYesNo",
        "pope_canonical": "vlm_eval.parsers.pope:PopeCanonical",
    },
    "vlm_eval.parsers",
)
