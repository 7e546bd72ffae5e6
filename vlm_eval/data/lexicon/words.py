"""A text as words with their places."""

from __future__ import annotations

import re
import unicodedata
from typing import NamedTuple

_WORD = re.compile(r"[^\W_]+(?:'t(?![^\W_]))?")
_PLAIN = str.maketrans(dict.fromkeys("‘’‛´`", "'") | {"_": " ", "*": ""})
_JOINED = re.compile(r"[ \t\u00a0]*[-‐‑]?[ \t\u00a0]*")


class Word(NamedTuple):
    """A word in lower case, and where it starts and ends in the folded text."""

    text: str
    start: int
    end: int


def fold(text: str) -> str:
    """Return the text that is matched: NFKC, lower case, ``_`` a blank, apostrophes straight.

    Stars go: they emphasise (``**car**: no``) or begin an item. Characters are folded one by one,
    because normalising a long run of combining marks is quadratic in its length; that letters and
    marks stay apart does not matter to English terms.
    """
    if not text.isascii():
        text = "".join(unicodedata.normalize("NFKC", character) for character in text)
    return text.translate(_PLAIN).lower()


def words(folded: str) -> list[Word]:
    """Return the words of a folded text: runs of letters and digits, ``isn't`` as one."""
    return [Word(match[0], *match.span()) for match in _WORD.finditer(folded)]


def joined(folded: str, one: Word, other: Word) -> bool:
    """Return whether nothing but blanks and at most one hyphen separates two neighbouring words."""
    return _JOINED.fullmatch(folded, one.end, other.start) is not None
