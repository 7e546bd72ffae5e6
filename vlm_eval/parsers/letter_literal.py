"""The published rules for multiple-choice letters, literally, without their random last resorts.

For comparing numbers, as ``literal`` or ``also`` beside the project's own. Each reads the raw text.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from vlm_eval.core.options import configurable
from vlm_eval.core.types import Parsed

NOTHING = Parsed(None, "none")


@configurable
class FirstCharacter:
    """lmms-eval's SEED-Bench: the first character of the text, in any case."""

    def __call__(self, text: str, choices: Sequence[str]) -> Parsed:
        """Return the choice that the text's first character is."""
        first = text.strip()[:1].casefold()
        return _the(choices, [c for c in choices if c.casefold() == first], "first_character")


@configurable
class LeadingLetter:
    """ScienceQA, BLINK, CV-Bench: ``A``, or a text that starts with ``A.``, ``A)`` or ``(A)``."""

    def __call__(self, text: str, choices: Sequence[str]) -> Parsed:
        """Return the choice that the text is, or begins with as a mark."""
        said = text.strip()
        found = [
            choice for choice in choices if choice and (said == choice or _starts(said, choice))
        ]
        return _the(choices, found, "leading_letter")


def _starts(text: str, choice: str) -> bool:
    return text.startswith((f"{choice}.", f"{choice})", f"{choice}:", f"({choice})"))


@configurable
class LmmsMmmu:
    """lmms-eval's MMMU: ``(A)``, else ``A`` and a blank, else ``A.``, else an option's text.

    The form that any option has is used for all; of several options the one that is last in the
    text wins. Option texts count only in answers of more than five words. Where the original draws
    a letter at random there is no answer.

    Attributes
    ----------
    texts
        The text of each option in order.
    """

    texts: tuple[str, ...] = ()

    def __call__(self, text: str, choices: Sequence[str]) -> Parsed:
        """Return the choice; see the class for the rule."""
        said = f" {text.strip(',.!?;:' + chr(39))} "
        for form in ("({})", "{} ", "{}."):
            at = {choice: said.rfind(form.format(choice)) for choice in choices if choice}
            found = [choice for choice, place in at.items() if place >= 0]
            if found:
                return Parsed(max(found, key=at.__getitem__), "lmms_mmmu")
        if len(said.split()) <= 5:
            return NOTHING
        lowered = said.lower()
        pairs = zip(choices, self.texts, strict=False)
        last = {choice: lowered.rfind(option.lower()) for choice, option in pairs if option}
        known = [choice for choice, place in last.items() if place >= 0]
        return Parsed(max(known, key=last.__getitem__), "lmms_mmmu") if known else NOTHING


@configurable
class VlmEvalKitLetter:
    """VLMEvalKit's rule before it asks a judge: the only option letter that is a word.

    Punctuation becomes blanks. Exactly one of the letters must be a word of the text, among its
    last four, and not "A" in a text of more than three words; or exactly one option's text occurs
    in an answer not longer than twice all of them. Written from its documentation.

    Attributes
    ----------
    texts
        The text of each option in order.
    """

    texts: tuple[str, ...] = ()

    def __call__(self, text: str, choices: Sequence[str]) -> Parsed:
        """Return the choice; see the class for the rule."""
        words = re.sub(r"[.()\[\],:;!*#{}]", " ", text).split()
        found = [choice for choice in choices if choice in set(words)]
        if len(found) == 1:
            quantifier = "A" in words and len(words) > 3
            late = words.index(found[0]) > len(words) - 5
            return Parsed(found[0], "vlmevalkit_letter") if late and not quantifier else NOTHING
        if found or len(text) > 2 * sum(map(len, self.texts)):
            return NOTHING
        lowered = text.lower()
        pairs = zip(choices, self.texts, strict=False)
        held = [choice for choice, option in pairs if option and option.lower() in lowered]
        return _the(choices, held, "vlmevalkit_letter")


@configurable
class NaturalBench:
    """NaturalBench: of two choices the one that occurs first as a word, in any case."""

    def __call__(self, text: str, choices: Sequence[str]) -> Parsed:
        """Return the choice that is mentioned first; none if none is."""
        spelled = "|".join(re.escape(choice) for choice in choices if choice.strip())
        first = re.search(rf"(?<!\w)(?:{spelled})(?!\w)", text, re.IGNORECASE) if spelled else None
        if first is None:
            return NOTHING
        said = first[0].casefold()
        return _the(choices, [c for c in choices if c.casefold() == said], "first_word")


def _the(choices: Sequence[str], found: Sequence[str], rule: str) -> Parsed:
    """Return the one choice found; nothing where there are none or several."""
    return Parsed(found[0], rule) if len(set(found)) == 1 and found[0] in choices else NOTHING
