"""A count: the number in the last braces, or the only number there is."""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal

from vlm_eval.core.options import configurable
from vlm_eval.core.text import without_reasoning
from vlm_eval.core.types import Parsed
from vlm_eval.data.answers.numbers import WORDS, as_number, numbers, spelled, value_of
from vlm_eval.parsers.text import trim


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
        answer, rule = self._find(clean)
        if answer is None:
            return Parsed(None, "none")
        if choices:
            same = [choice for choice in choices if self._same(choice, answer)]
            return Parsed(same[0], rule) if len(same) == 1 else Parsed(None, "none")
        return Parsed(answer if isinstance(answer, str) else spelled(answer), rule)

    def _find(self, text: str) -> tuple[Decimal | str | None, str]:
        whole = self._whole(text)
        if whole is not None:
            return whole, "exact"
        groups = [group for group in _BRACES.findall(text) if group.strip()]
        if groups:
            content = self._whole(groups[-1])
            return (_only(groups[-1]) if content is None else content), "braces"
        return _only(text), "only"

    def _whole(self, text: str) -> Decimal | str | None:
        bare = trim(text.strip(" *`\"'$"))
        number = as_number(text.strip(" *`\"'${}().!\n"))
        if number is not None:
            return number
        word = bare.casefold()
        if word in WORDS:
            return Decimal(WORDS.index(word))
        return next((known for known in self.words if known.casefold() == word), None)

    def _same(self, choice: str, answer: Decimal | str) -> bool:
        found = as_number(choice) if isinstance(answer, Decimal) else choice.casefold()
        return found == (answer if isinstance(answer, Decimal) else answer.casefold())


_NARROW = str.maketrans("０１２３４５６７８９｛｝", "0123456789{}")
_BRACES = re.compile(r"\{([^{}]*)\}")
_NOT = re.compile(r"(?:\bnot|n['’]t|\bnever|\bthan) $")


def _only(text: str) -> Decimal | None:
    values = set()
    for match in numbers(text):
        values.add(value_of(match))
        if len(values) > 1 or _NOT.search(text[max(0, match.start() - 8) : match.start()].lower()):
            return None
    return values.pop() if values else None
