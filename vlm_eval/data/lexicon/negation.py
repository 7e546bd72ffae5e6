"""Which mentions a text takes back: "no cars", "cars: false", "cars are not visible"."""

from __future__ import annotations

import re
from collections.abc import Sequence

from vlm_eval.data.lexicon.lexicon import Match
from vlm_eval.data.lexicon.words import Word

WINDOW = 6
"""A cue negates a term that begins at most this many words after it, in the same clause."""

_CUES = frozenset({
    "no", "not", "never", "without", "none", "neither", "nor", "cannot", "lack", "lacks",
    "lacking", "absence", "zero", "devoid",
})  # fmt: skip
# "not only cars", "no doubt", "without a doubt": the cue, and no negation.
_IDLE = {
    "not": frozenset({"only", "just", "merely"}),
    "no": frozenset({"doubt", "fewer", "less"}),
    "without": frozenset({"doubt", "a"}),
}
# "free of cars"; without the second word, no negation.
_NEEDED = {"free": "of", "empty": "of"}
_CLAUSE_END = re.compile(r"[.,;:!?\n()\[\]{}|—–=]")
_CLAUSE_WORDS = frozenset({"but", "however", "although", "though", "while", "whereas", "yet"})
# "no cars and the road is clear": a new clause, where "no cars and buses" is a list.
_SUBJECT = frozenset({"the", "a", "an", "there", "it", "this", "some", "several", "many", "two"})
_LIST = re.compile(r"[\s,/&-]*(?:(?:and|or|nor|any)(?!\w)[\s,]*)*")
_VALUE = re.compile(
    r"""["']?\s{0,3}(?:[:=]|->|→)\s{0,3}["']?(?:false|no|none|not|absent|null|0)(?!\w)
      |\s{0,3}[|?–—-]\s{0,3}(?:false|no|none|absent|not\s(?:visible|present))
       (?=\s{0,3}(?:[,;.|\n]|$))
    """,
    re.VERBOSE,
)
_DENIED = re.compile(
    r"""\s(?:is|are|was|were)(?:\s[a-z]{1,20}ly)?\s(?:not|absent|missing|nowhere)(?!\w)
      |\s(?:isn't|aren't|wasn't|weren't)(?!\w)
      |\s(?:cannot|can't|can\snot|could\snot|couldn't)\sbe\s(?:seen|found|identified|detected)
      |\snot\s(?:visible|present|seen|detected|shown)(?!\w)
      |\sabsent(?!\w)""",
    re.VERBOSE,
)
_KEY_END = re.compile(r"""["']?\s{0,3}[:=]""")


def affirmed(folded: str, tokens: Sequence[Word], matches: Sequence[Match]) -> list[Match]:
    """Return the terms that the text does not take back.

    A term is taken back by a cue (no, not, never, without, ...) at most six words before it in its
    clause; by "X: false", "X: no", "X: none", "X? No."; by "X is not", "X are not", "X is absent"
    and the like. In a list ("no cars, trucks or buses"; "cars and buses are not visible") it is
    taken back with its neighbour. A clause ends at punctuation and at "but", "while" and the like.

    Parameters
    ----------
    folded, tokens
        The text and its words.
    matches
        All terms in order, ignored phrases included: a cue inside a term ("no parking sign") is no
        cue.
    """
    used = {at for match in matches for at in range(match.first, match.last + 1)}
    ends = [tokens[match.last].end for match in matches]
    before = [_cued(folded, tokens, match, used) for match in matches]
    denied = [_DENIED.match(folded, end) is not None for end in ends]
    linked = [
        _LIST.fullmatch(folded, end, tokens[other.first].start) is not None
        for end, other in zip(ends, matches[1:], strict=False)
    ]
    for i, link in enumerate(linked):
        before[i + 1] |= before[i] and link
    for i, link in reversed(list(enumerate(linked))):
        denied[i] |= denied[i + 1] and link
    return [
        match
        for match, end, back in zip(
            matches, ends, map(any, zip(before, denied, strict=True)), strict=True
        )
        if not back and not _VALUE.match(folded, end)
    ]


def _cued(folded: str, tokens: Sequence[Word], match: Match, used: set[int]) -> bool:
    """Return whether a cue stands before the term in its clause."""
    key = _KEY_END.match(folded, tokens[match.last].end) is not None
    for at in range(match.first - 1, max(-1, match.first - 1 - WINDOW), -1):
        word, following = tokens[at].text, tokens[at + 1]
        if _CLAUSE_END.search(folded, tokens[at].end, following.start):
            return False
        if word in _CLAUSE_WORDS or (word == "and" and following.text in _SUBJECT):
            return False
        cue = word in _CUES or word.endswith("n't") or _NEEDED.get(word) == following.text
        if cue and at not in used and following.text not in _IDLE.get(word, ()):
            # In "car: no truck: yes" the word is the answer to the key before it.
            return not (key and at > 0 and "=" in _between(folded, tokens, at).replace(":", "="))
    return False


def _between(folded: str, tokens: Sequence[Word], at: int) -> str:
    return folded[tokens[at - 1].end : tokens[at].start]
