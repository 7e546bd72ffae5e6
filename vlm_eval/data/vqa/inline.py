"""Options that stand inside the question: ``(A) x (B) y``, ``A: x, B: y``, lines ``A. x``."""

from __future__ import annotations

import re
import string
from dataclasses import dataclass

# From the least ambiguous mark to the most.
_MARKS = (r"\({}\)", r"(?<!\w){}:", r"(?<!\w){}\.(?!\w)", r"(?<!\w){}\)")
_LEAD = re.compile(r"\s*\b(?:options?|choices?)\s*:?\s*$", re.IGNORECASE)
_EDGE = " \t\r\n,;"


@dataclass(frozen=True)
class Inline:
    """What was found: the question before the options, their texts, and where these stand."""

    stem: str
    options: tuple[str, ...]
    spans: tuple[tuple[int, int], ...]


def inline_options(text: str) -> Inline | None:
    """Return the options that a question lists in itself, in the order A, B, C, ...; None if none.

    The last option ends at the end of its line; commas, semicolons and blanks between options do
    not belong to them.
    """
    for mark in _MARKS:
        starts = _chain(text, mark)
        if len(starts) >= 2:
            return _found(text, starts)
    return None


def _chain(text: str, mark: str) -> list[tuple[int, int]]:
    """Return where the marks of A, B, ... start and end: the longest run of letters, the last."""
    best: list[tuple[int, int]] = []
    for first in reversed(list(_find(text, mark, "A"))[-8:]):
        chain = [first.span()]
        for letter in string.ascii_uppercase[1:]:
            after = re.compile(mark.format(letter), re.IGNORECASE).search(text, chain[-1][1])
            if after is None:
                break
            chain.append(after.span())
        if len(chain) > len(best):
            best = chain
    return best


def _find(text: str, mark: str, letter: str) -> list[re.Match[str]]:
    return list(re.finditer(mark.format(letter), text, re.IGNORECASE))


def _found(text: str, marks: list[tuple[int, int]]) -> Inline:
    line_end = text.find("\n", marks[-1][1])
    # An option may stand on the line below its mark.
    if line_end >= 0 and not text[marks[-1][1] : line_end].strip():
        line_end = text.find("\n", line_end + 1)
    end = len(text) if line_end < 0 else line_end
    stops = [*(start for start, _ in marks[1:]), end]
    spans = []
    for (_, start), stop in zip(marks, stops, strict=True):
        body = text[start:stop]
        left = start + len(body) - len(body.lstrip(_EDGE))
        spans.append((left, max(left, start + len(body.rstrip(_EDGE)))))
    stem = _LEAD.sub("", text[: marks[0][0]]).strip()
    return Inline(stem, tuple(text[a:b] for a, b in spans), tuple(spans))
