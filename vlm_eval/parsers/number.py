"""A count: the number in the last braces, or the only number there is."""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal
from typing import NamedTuple

from vlm_eval.core.options import configurable
from vlm_eval.core.text import without_reasoning
from vlm_eval.core.types import Parsed, Span
from vlm_eval.data.answers.numbers import WORDS, as_number, numbers, spelled, value_of
from vlm_eval.parsers.places import unreasoned_place
from vlm_eval.parsers.text import trimmed


@configurable
class Number:
    """Three rules, the first that applies; digits that stand apart are never joined.

    ``exact``: the whole answer is a number, in digits or as a word up to twenty. ``braces``: the
    last ``{...}`` that is not empty holds one number; if it holds none or several there is no
    answer, whatever else the text says. ``only``: one number occurs in the text, once or
    repeatedly, and not after "not" or "isn't". ``none``: anything else.

    The answer is spelled plainly (``007`` is 7, ``1,000.0`` is 1000), or is the choice of that
    value where the task has choices.

    Attributes
    ----------
    words
        Words that are answers too, such as yes and no: as the whole answer, or in braces.
    """

    words: tuple[str, ...] = ()

    def __call__(self, text: str, choices: Sequence[str]) -> Parsed:
        """Return the number or word; see the class for the rules."""
        clean = without_reasoning(text).translate(_NARROW)
        found = self._find(clean)
        if found is None:
            return Parsed(None, "none")
        place = unreasoned_place(text, found.span)
        if choices:
            same = [choice for choice in choices if self._same(choice, found.answer)]
            return Parsed(same[0], found.rule, place) if len(same) == 1 else Parsed(None, "none")
        plain = found.answer if isinstance(found.answer, str) else spelled(found.answer)
        return Parsed(plain, found.rule, place)

    def _find(self, text: str) -> _Found | None:
        whole = self._whole(text)
        if whole is not None:
            return whole._replace(rule="exact")
        groups = [match for match in _BRACES.finditer(text) if match[1].strip()]
        if not groups:
            return _only(text, "only")
        content, offset = groups[-1][1], groups[-1].start(1)
        found = self._whole(content) or _only(content, "braces")
        if found is None:
            return None
        start, end = found.span
        return _Found(found.answer, "braces", (offset + start, offset + end))

    def _whole(self, text: str) -> _Found | None:
        span = _within(text, _within(text, (0, len(text)), _AROUND))
        if _POINT.fullmatch(text, max(0, span[0] - 2), span[0] + 1):
            span = span[0] - 1, span[1]
        number = as_number(text[slice(*span)])
        if number is not None:
            return _Found(number, "whole", span)
        start, end = _within(text, (0, len(text)), " *`\"'$")
        first, last = trimmed(text[start:end])
        span = start + first, start + last
        word = text[slice(*span)].casefold()
        if word in WORDS:
            return _Found(Decimal(WORDS.index(word)), "whole", span)
        known = next((known for known in self.words if known.casefold() == word), None)
        return None if known is None else _Found(known, "whole", span)

    def _same(self, choice: str, answer: Decimal | str) -> bool:
        found = as_number(choice) if isinstance(answer, Decimal) else choice.casefold()
        return found == (answer if isinstance(answer, Decimal) else answer.casefold())


class _Found(NamedTuple):
    """A number or word, the rule, and where it stands."""

    answer: Decimal | str
    rule: str
    span: Span


_POINT = re.compile(r"[^.]?\.[0-9]")
_AROUND = " *`\"'${}().!\n"


def _within(text: str, span: Span, around: str | None = None) -> Span:
    """Return a span without the blanks, or these characters, at its ends."""
    stretch = text[slice(*span)]
    start = span[0] + len(stretch) - len(stretch.lstrip(around))
    return start, start + len(stretch.strip(around))


_NARROW = str.maketrans("０１２３４５６７８９｛｝", "0123456789{}")
_BRACES = re.compile(r"\{([^{}]*)\}")
_NOT = re.compile(r"(?:\bnot|n['’]t|\bnever|\bthan) $")


def _only(text: str, rule: str) -> _Found | None:
    """Return the one number of a text; of several mentions the first."""
    found: _Found | None = None
    for match in numbers(text):
        value = value_of(match)
        denied = _NOT.search(text[max(0, match.start() - 8) : match.start()].lower())
        if denied or (found is not None and found.answer != value):
            return None
        found = found or _Found(value, rule, match.span())
    return found
