"""The published rules for multiple-choice letters, literally, without their random last resorts.

For comparing numbers, as ``literal`` or ``also`` beside the project's own. Each reads the raw text.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from vlm_eval.core.options import configurable
from vlm_eval.core.types import Parsed, Span
from vlm_eval.parsers.places import Traced

NOTHING = Parsed(None, "none")


@configurable
class FirstCharacter:
    """lmms-eval's SEED-Bench: the first character of the text, in any case."""

    def __call__(self, text: str, choices: Sequence[str]) -> Parsed:
        """Return the choice that the text's first character is."""
        said = text.strip()
        first, start = said[:1].casefold(), _lead(text)
        found = [c for c in choices if c.casefold() == first]
        return _the(choices, found, "first_character", (start, start + 1) if said else None)


@configurable
class LeadingLetter:
    """ScienceQA, BLINK, CV-Bench: ``A``, or a text that starts with ``A.``, ``A)`` or ``(A)``."""

    def __call__(self, text: str, choices: Sequence[str]) -> Parsed:
        """Return the choice that the text is, or begins with as a mark."""
        said = text.strip()
        found = [
            choice for choice in choices if choice and (said == choice or _starts(said, choice))
        ]
        if not found:
            return NOTHING
        start = _lead(text) + (0 if said.startswith(found[0]) else 1)
        return _the(choices, found, "leading_letter", (start, start + len(found[0])))


def _lead(text: str) -> int:
    """Return where the text starts, without blanks before it."""
    return len(text) - len(text.lstrip())


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
        bare = text.strip(_EDGES)
        said = f" {bare} "
        offset = len(text) - len(text.lstrip(_EDGES)) - 1
        for form, before in (("({})", 1), ("{} ", 0), ("{}.", 0)):
            at = {choice: said.rfind(form.format(choice)) for choice in choices if choice}
            found = [choice for choice, place in at.items() if place >= 0]
            if found:
                last = max(found, key=at.__getitem__)
                start = offset + at[last] + before
                return Parsed(last, "lmms_mmmu", _within(text, start, start + len(last)))
        if len(said.split()) <= 5:
            return NOTHING
        lowered = said.lower()
        options = {c: o.lower() for c, o in zip(choices, self.texts, strict=False) if o}
        place = {choice: lowered.rfind(option) for choice, option in options.items()}
        known = [choice for choice in options if place[choice] >= 0]
        if not known:
            return NOTHING
        last = max(known, key=place.__getitem__)
        span = Traced.raw(said).lower().span(place[last], place[last] + len(options[last]))
        return Parsed(last, "lmms_mmmu", span and _within(text, offset + span[0], offset + span[1]))


_EDGES = ",.!?;:'"


def _within(text: str, start: int, end: int) -> Span:
    """Return a span without the blanks that were put around the text."""
    return max(start, 0), min(end, len(text))


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
        spaced = re.sub(r"[.()\[\],:;!*#{}]", " ", text)
        words = spaced.split()
        found = [choice for choice in choices if choice in set(words)]
        if len(found) == 1:
            quantifier = "A" in words and len(words) > 3
            late = words.index(found[0]) > len(words) - 5
            if quantifier or not late:
                return NOTHING
            word = next(m for m in re.finditer(r"\S+", spaced) if m[0] == found[0])
            return Parsed(found[0], "vlmevalkit_letter", word.span())
        if found or len(text) > 2 * sum(map(len, self.texts)):
            return NOTHING
        lowered = text.lower()
        pairs = zip(choices, self.texts, strict=False)
        held = {c: option.lower() for c, option in pairs if option and option.lower() in lowered}
        if len(held) != 1:
            return NOTHING
        ((choice, option),) = held.items()
        at = lowered.index(option)
        span = Traced.raw(text).lower().span(at, at + len(option))
        return Parsed(choice, "vlmevalkit_letter", span)


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
        found = [c for c in choices if c.casefold() == said]
        return _the(choices, found, "first_word", first.span())


def _the(choices: Sequence[str], found: Sequence[str], rule: str, span: Span | None) -> Parsed:
    """Return the one choice found; nothing where there are none or several."""
    one = len(set(found)) == 1 and found[0] in choices
    return Parsed(found[0], rule, span) if one else NOTHING
