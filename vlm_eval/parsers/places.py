"""Where in the raw text stands what a parser read in a text that was made of it.

Parsers read cleaned texts, whose characters have moved. A cleaned text is made again here step by
step, this time with the place of every character, and only where somebody asks for the place.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import TypeAlias

from vlm_eval.core.text import spans_without_reasoning
from vlm_eval.core.types import Place, Span
from vlm_eval.parsers.text import STEPS, TYPOGRAPHIC, few_marks

Step: TypeAlias = tuple[re.Pattern[str], str]
"""A pattern that matches no empty text, and what replaces it: a text, or its group as ``\\1``."""


@dataclass(frozen=True)
class Traced:
    """A text, and for each of its characters where it starts and ends in the raw text."""

    text: str
    starts: Sequence[int]
    ends: Sequence[int]

    @classmethod
    def raw(cls, text: str) -> Traced:
        """Return a text as it is."""
        return cls(text, range(len(text)), range(1, len(text) + 1))

    def span(self, start: int, end: int) -> Span | None:
        """Return where a stretch stands in the raw text; None of an empty one."""
        if not 0 <= start < end <= len(self.text):
            return None
        return self.starts[start], self.ends[end - 1]

    def whole(self) -> Span | None:
        """Return where the text stands, without blanks around it."""
        return self.strip().span(0, len(self.text.strip()))

    def sub(self, pattern: re.Pattern[str], template: str) -> Traced:
        """Return what ``pattern.sub(template, text)`` makes of it."""
        made = _Making(self)
        at = 0
        for match in pattern.finditer(self.text):
            made.keep(at, match.start())
            if template == r"\1":
                made.keep(*match.span(1))
            else:
                made.put(template, match.start(), match.end())
            at = match.end()
        made.keep(at, len(self.text))
        return made.done()

    def keep(self, spans: Iterable[Span], between: str = "") -> Traced:
        """Return some stretches of it, joined."""
        made = _Making(self)
        last: int | None = None
        for start, end in spans:
            if last is not None:
                made.put(between, last, max(start, last + 1))
            made.keep(start, end)
            last = max(end - 1, 0)
        return made.done()

    def strip(self) -> Traced:
        """Return it without the blanks around it."""
        start = len(self.text) - len(self.text.lstrip())
        return self.keep([(start, start + len(self.text.strip()))])

    def translate(self, table: Mapping[int, str]) -> Traced:
        """Return it with some characters replaced, each by one, several or none."""
        if not any(len(put) != 1 for code, put in table.items() if chr(code) in self.text):
            return Traced(self.text.translate(dict(table)), self.starts, self.ends)
        made = _Making(self)
        for i, character in enumerate(self.text):
            made.put(table.get(ord(character), character), i, i + 1)
        return made.done()

    def lower(self) -> Traced:
        """Return it in lower case, which can be longer."""
        lowered = self.text.lower()
        if len(lowered) == len(self.text):
            return Traced(lowered, self.starts, self.ends)
        made = _Making(self)
        for i, character in enumerate(self.text):
            made.put(character.lower(), i, i + 1)
        return Traced(lowered, made.starts, made.ends)


class _Making:
    """A text in the making, from pieces of a traced one."""

    def __init__(self, source: Traced) -> None:
        self.source = source
        self.pieces: list[str] = []
        self.starts: list[int] = []
        self.ends: list[int] = []

    def keep(self, start: int, end: int) -> None:
        self.pieces.append(self.source.text[start:end])
        self.starts += self.source.starts[start:end]
        self.ends += self.source.ends[start:end]

    def put(self, text: str, start: int, end: int) -> None:
        """Add a text that stands for a stretch of the source."""
        if text:
            self.pieces.append(text)
            self.starts += [self.source.starts[start]] * len(text)
            self.ends += [self.source.ends[end - 1]] * len(text)

    def done(self) -> Traced:
        return Traced("".join(self.pieces), self.starts, self.ends)


def unreasoned(text: str) -> Traced:
    """Return what :func:`vlm_eval.core.text.without_reasoning` makes of a text."""
    return Traced.raw(text).keep(spans_without_reasoning(text), "\n")


def normalised(text: str) -> Traced | None:
    """Return what :func:`vlm_eval.parsers.text.normalise` makes of a text.

    None where compatibility folding joins characters in a way that cannot be followed.
    """
    traced = _folded(unreasoned(text))
    if traced is None:
        return None
    traced = traced.translate(TYPOGRAPHIC)
    for pattern, template in STEPS:
        traced = traced.sub(pattern, template)
    return traced.strip()


def unreasoned_place(text: str, span: Span) -> Place:
    """Return what finds where a stretch of the unreasoned text stands in the raw text."""
    return lambda: unreasoned(text).span(*span)


def place(text: str, span: Span | None, *further: Step) -> Place:
    """Return what finds where a stretch of the normalised text stands in the raw text.

    Parameters
    ----------
    text
        The raw text.
    span
        Start and end in the normalised text, after these further steps.
    further
        What was done to the normalised text besides.
    """
    return None if span is None else partial(_placed, text, span, *further)


def _placed(text: str, span: Span, *further: Step) -> Span | None:
    traced = normalised(text)
    for pattern, template in further if traced is not None else ():
        traced = traced.sub(pattern, template) if traced is not None else None
    return None if traced is None else traced.span(*span)


def _folded(traced: Traced) -> Traced | None:
    """Return what NFKC makes of a text: of each character with the marks after it, together."""
    if traced.text.isascii():
        return traced
    few = list(few_marks(traced.text))
    kept = traced if len(few) == len(traced.text) else traced.keep((i, i + 1) for i in few)
    made = _Making(kept)
    start = 0
    for end in range(1, len(kept.text) + 1):
        if end == len(kept.text) or not _joins(kept.text[end]):
            made.put(unicodedata.normalize("NFKC", kept.text[start:end]), start, end)
            start = end
    found = made.done()
    return found if found.text == unicodedata.normalize("NFKC", kept.text) else None


@lru_cache(maxsize=4096)
def _joins(character: str) -> bool:
    """Return whether a character can be composed with the one before: a mark, or a Hangul jamo."""
    if character.isascii():
        return False
    first = unicodedata.normalize("NFKD", character)[0]
    return unicodedata.category(first).startswith("M") or "\u1160" <= first <= "\u11ff"
