"""Open answers of MMMU (Yue et al. 2024): key phrases and numbers, without a random fallback.

The published evaluator looks for what follows "is", "so", "answer" and the like in each line, takes
the numbers in it, and calls the answer right if a gold phrase occurs in a key phrase or a gold
number equals one of its numbers to two decimals.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence
from decimal import Context, Decimal
from typing import NamedTuple

from vlm_eval.data.answers.numbers import as_number, numbers, value_of

INDICATORS = ("could be ", "so ", "is ", "thus ", "therefore ", "final ", "answer ", "result ")
"""What a key phrase follows. In the last line an equals sign is one too."""

_SENTENCE = re.compile(r"\.\s+(?=[A-Z])|\n")
# Wide enough for the longest number that `numbers` finds, so that rounding cannot fail.
_WIDE = Context(prec=200)
_EDGES = " \t:,.!?;'\"*"


class Candidates(NamedTuple):
    """What an open answer may mean: phrases in lower case, and numbers to two decimals."""

    phrases: tuple[str, ...]
    numbers: frozenset[Decimal]


def candidates(text: str) -> Candidates:
    r"""Return the key phrases of an answer, and the numbers in them.

    A line's key phrase is the shortest that follows the last occurrence of an indicator; without
    any in the text the whole of it is the one phrase. Linear in the text's length.

    >>> candidates("We add them.\nSo the result is 12.345 cm.").phrases
    ('12.345 cm',)
    """
    lines = [line for line in _SENTENCE.split(text.strip().strip(".")) if line.strip(_EDGES)]
    found = [_key_phrase(line.lower(), last=i == len(lines) - 1) for i, line in enumerate(lines)]
    phrases = [phrase for phrase in found if phrase]
    if not phrases:
        phrases = [whole] if (whole := text.lower().strip(_EDGES)) else []
    values = frozenset(_rounded(value_of(match)) for phrase in phrases for match in numbers(phrase))
    return Candidates(tuple(dict.fromkeys(phrases)), values)


def _key_phrase(line: str, *, last: bool) -> str:
    indicators = (*INDICATORS, "=") if last else INDICATORS
    ends = [line.rfind(word) + len(word) for word in indicators if word in line]
    return line[max(ends) :].strip(_EDGES) if ends else ""


def golds(gold: str) -> list[str]:
    """Return the accepted answers that a gold cell holds: a printed list, or one answer.

    >>> golds("['5 cm', '5']"), golds("5")
    (['5 cm', '5'], ['5'])
    """
    if gold.lstrip().startswith("["):
        try:
            listed = ast.literal_eval(gold.strip())
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            return [gold]
        if isinstance(listed, list) and listed:
            return [str(item) for item in listed]
    return [gold]


def matches(found: Candidates, accepted: Sequence[str]) -> bool:
    """Return whether a candidate is one of the accepted answers.

    A number must equal to two decimals. A gold phrase may occur anywhere in a key phrase, inside a
    word too, as in the published code; a single character must stand alone.
    """
    return any(_matches(found, gold) for gold in accepted)


def _matches(found: Candidates, gold: str) -> bool:
    value = as_number(gold)
    if value is not None:
        return _rounded(value) in found.numbers
    phrase = gold.strip().lower()
    if len(phrase) == 1:
        alone = re.compile(rf"(?<!\w){re.escape(phrase)}(?!\w)")
        return any(alone.search(candidate) for candidate in found.phrases)
    return bool(phrase) and any(phrase in candidate for candidate in found.phrases)


def _rounded(value: Decimal) -> Decimal:
    return value.quantize(Decimal("0.01"), context=_WIDE)
