"""What marks a letter in a text as the option chosen, in descending confidence.

The order is that of the published multiple-choice extractors (lmms-eval, VLMEvalKit, MMMU), without
their last resort, a random letter, and without their readings of "A man" as A, of "not B" as B and
of "A or B" as either.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from vlm_eval.parsers.text import (
    Name,
    has_alternative,
    index,
    mentions,
    names_pattern,
    negated,
    trim,
)

CUES = ("leading", "answer", "ending", "bracketed", "period", "colon", "closed", "blank")
"""Starts the text; after "answer is", "option" or "choice"; ends the text; (X); X.; X:; X); X and
a blank. The best cue wins, and the last mention that has it."""


class Found(NamedTuple):
    """The mention of an option, and the cue that told."""

    name: Name
    cue: str


_SAID = re.compile(
    r"\b(?:answer|option|choice)"
    r"(?:>|(?: is| would be| should be)?(?: option| choice)? ?:?) ?[(\[{<]?$",
    re.IGNORECASE,
)
_BOXED = re.compile(r"\\boxed ?\{ ?$")
_FOLLOWS = ((".", "period"), (":", "colon"), (")", "closed"), (" ", "blank"))
_COMMA = re.compile(r"[)\]]?, ?(?:(?:and|or) )?[(\[]?")
_REACH = 24  # no link between two alternatives is longer
_MOST = 1000  # mentions: a text with more of one letter is a loop, no answer, and slow to look at
# A small letter is an option where nothing else could be meant: "b) ...", "the answer is b.".
_SMALL = re.compile(
    r"^[\W_]*[a-z](?=[.):])"
    r"|\b(?i:answer|option|choice)(?:>|(?: is)?(?i: option| choice)? ?:?) ?[(\[{<]?[a-z]"
    r"(?=[)\]}<>.,;:!?\n]|$)"
)


def ranked(clean: str, choices: Sequence[str]) -> Found | None:
    """Return the option with the best cue in a normalised text; None if no cue is there.

    Negated mentions and those offered as alternatives do not count.
    """
    text = _SMALL.sub(lambda match: match[0][:-1] + match[0][-1].upper(), clean)
    mentioned = _Mentions(text, _letters(choices))
    cues = [(i, _cue(text, match)) for i, match in enumerate(mentioned.found)]
    known = [(CUES.index(cue), -i) for i, cue in cues if cue is not None]
    # Few mentions need the costly look around: the best that stands it is taken.
    for rank, place in sorted(known):
        if mentioned.asserted(-place):
            return Found(Name.of(mentioned.found[-place]), CUES[rank])
    return None


def lone(clean: str, choices: Sequence[str]) -> Name | None:
    """Return the option whose letter alone is mentioned, set off; None if another's is too.

    Of several mentions the first that is set off.
    """
    names = _letters(choices)
    mentioned = _Mentions(clean, names)
    found = mentioned.found
    # "A" within a sentence is an article, or the other option: "I prefer A over B".
    contending = found + [m for m in names.finditer(clean) if not _begins_sentence(clean, m)]
    if len({index(match) for match in contending}) != 1 or not 0 < len(found) <= _MOST:
        return None
    if not all(mentioned.asserted(i) for i in range(len(found))):
        return None
    closing = {"ending", "period", "colon", "closed"}
    return next((Name.of(match) for match in found if _cue(clean, match) in closing), None)


def _letters(choices: Sequence[str]) -> re.Pattern[str]:
    """Return a pattern of the marks as single capital letters; others are found as spelled."""
    marks = [trim(choice) or choice for choice in choices]
    letters = all(len(mark) == 1 and mark.isalpha() for mark in marks)
    return names_pattern([[mark.upper()] if letters else [] for mark in marks])


class _Mentions:
    """The mentions of a text, and which of them say that the option is chosen."""

    def __init__(self, text: str, names: re.Pattern[str]) -> None:
        self.text, self.names = text, names
        self.found = list(mentions(text, names))
        items = [match for match in self.found if _begins_line(text, match)]
        self.listed = set(items) if len({index(match) for match in items}) > 1 else set()

    def asserted(self, i: int) -> bool:
        """Return whether a mention is not negated, offered beside another, or a list's item."""
        match = self.found[i]
        before = self.found[i - 1] if i else None
        offered = (
            before is not None
            and match.start() - before.end() <= _REACH
            and contended(self.text, before, self.names)
        )
        return not (
            offered
            or match in self.listed
            or contended(self.text, match, self.names)
            or negated(self.text, match)
        )


def contended(text: str, match: re.Match[str], names: re.Pattern[str]) -> bool:
    """Return whether another name is listed right after this one: "A or B", "A, B"."""
    comma = _COMMA.match(text, match.end())
    other = names.match(text, comma.end()) if comma else None
    listed = other is not None and index(other) != index(match)
    return listed or has_alternative(text, match, names)


def _begins_sentence(text: str, match: re.Match[str]) -> bool:
    before = text[max(0, match.start() - 2) : match.start()]
    return not before.strip() or before.rstrip(" ").endswith(("\n", ".", "!", "?"))


def _begins_line(text: str, match: re.Match[str]) -> bool:
    """Return whether a mark is an item of a list: first in its line, and set off."""
    if text[match.end() : match.end() + 1] not in (".", ":", ")"):
        return False
    before = text[max(0, match.start() - _REACH) : match.start()]
    return not trim(before[before.rfind("\n") + 1 :]) and (match.start() < _REACH or "\n" in before)


def _cue(text: str, match: re.Match[str]) -> str | None:
    before, after = (
        text[max(0, match.start() - 40) : match.start()],
        text[match.end() : match.end() + 1],
    )
    if not trim(before) and match.start() <= 40:
        return "leading"
    if _SAID.search(before) or _BOXED.search(before):
        return "answer"
    if not trim(text[match.end() : match.end() + 40]) and len(text) - match.end() <= 40:
        return "ending"
    if after == ")" and before.endswith("("):
        return "bracketed"
    return next((cue for mark, cue in _FOLLOWS if after == mark), None)
