r"""The answer extractor of VLM-Fix (arXiv 2604.12119), literally.

It is kept for comparison with the paper's numbers, faults included: it takes the last mention, so
``O (not X)`` is X; it takes the article "a" for the player A; and it takes a letter inside a word,
so ``Unknown`` is O and ``\boxed{}`` is X. :class:`vlm_eval.parsers.label.Label` does none of this.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from vlm_eval.core.options import configurable
from vlm_eval.core.types import Parsed

_BOXED = re.compile(r"\\boxed\s*\{([^{}]*)\}")
_LETTER = re.compile("[A-Za-z]")


@configurable
class VlmFix:
    r"""Five rules, the first that fires: the paper's published extraction code.

    ``exact``: the stripped text is a label. ``boxed``: from the last ``\boxed{...}`` without inner
    braces to the first, the first whose content is a label. ``last_word``: the label whose last
    whole-word mention is last. ``last_letter``: for labels of one ASCII letter, the last letter of
    the text that is one of them, even inside a word. ``none``: nothing. All ignore case, by
    lower-casing both sides. Where two labels match at one place, the last of the choices is taken.
    """

    def __call__(self, text: str, choices: Sequence[str]) -> Parsed:
        """Return the label that the paper's code extracts; see the class for the rules."""
        for rule, found in (
            ("exact", _exact(text, choices)),
            ("boxed", _boxed(text, choices)),
            ("last_word", _last_word(text, choices)),
            ("last_letter", _last_letter(text, choices)),
        ):
            for answer, span in found:
                return Parsed(answer, rule, span)
        return Parsed(None, "none")


_Found = Iterator[tuple[str, tuple[int, int]]]


def _exact(text: str, choices: Sequence[str]) -> _Found:
    return _equal(text, 0, choices)


def _boxed(text: str, choices: Sequence[str]) -> _Found:
    for match in reversed(list(_BOXED.finditer(text))):
        yield from _equal(match[1], match.start(1), choices)


def _equal(part: str, offset: int, choices: Sequence[str]) -> _Found:
    stripped = part.strip()
    start = offset + len(part) - len(part.lstrip())
    for choice in reversed(choices):
        if stripped and stripped.lower() == choice.lower():
            yield choice, (start, start + len(stripped))


def _last_word(text: str, choices: Sequence[str]) -> _Found:
    # Not re.IGNORECASE, to which a dotless i and a long s are an i and an s.
    lowered = text.lower()
    last: tuple[str, tuple[int, int]] | None = None
    for choice in choices:
        for match in re.finditer(rf"\b{re.escape(choice.lower())}\b", lowered):
            if match[0] and (last is None or match.start() >= last[1][0]):
                last = choice, match.span()
    if last:
        # A lower-cased character can be two, so places move.
        origin = [at for at, character in enumerate(text) for _ in character.lower()]
        start, end = last[1]
        yield last[0], (origin[start], origin[end - 1] + 1)


def _last_letter(text: str, choices: Sequence[str]) -> _Found:
    labels = {choice.lower(): choice for choice in choices if _LETTER.fullmatch(choice)}
    for at in range(len(text) - 1, -1, -1) if labels else ():
        if text[at].isascii() and text[at].lower() in labels:
            yield labels[text[at].lower()], (at, at + 1)
