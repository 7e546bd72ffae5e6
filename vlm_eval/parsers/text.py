"""What the strict parsers share: clean text, whole words, negation, and explicit final answers.

Everything here is linear in the length of the text: no pattern has two neighbouring repetitions
that can match the same characters, and every look around a word is of bounded length.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from vlm_eval.core.text import without_reasoning as without_reasoning

_LATEX_TEXT = re.compile(
    r"\\(?:text(?:bf|it|rm|sf|tt)?|math(?:bf|it|rm|sf|tt)|mbox|emph)\s*\{([^{}]*)\}"
)
_MARKUP = re.compile(
    r"""[*`"$#]|\\[()\[\]]"""  # emphasis, code, quotes, headings, formula brackets
    r"|(?<![^\W_])_|_(?![^\W_])|(?<!\w)'|'(?!\w)"  # _ and ' that are not inside a word
)
TYPOGRAPHIC: dict[int, str] = str.maketrans(
    dict.fromkeys("‘’‛", "'") | dict.fromkeys("“”„‟«»", '"')
)
_EDGES = " \n.,:;!?()[]{}<>'-–—"
# The Stream-Safe Text Format (Unicode Annex 15) allows 30 combining marks in a row: more than any
# language uses, and normalising is quadratic in their number.
_MARKS_IN_A_ROW = 30

STEPS = (
    # \textbf{\text{X}} is nested; deeper nesting is not seen in answers.
    (_LATEX_TEXT, r"\1"),
    (_LATEX_TEXT, r"\1"),
    (_LATEX_TEXT, r"\1"),
    (_MARKUP, ""),
    (re.compile(r"[^\S\n]+"), " "),
    (re.compile(r" ?\n[ \n]*"), "\n"),
)
"""What :func:`normalise` replaces, in order, after the characters are folded."""


def normalise(text: str) -> str:
    """Return the text that a strict parser reads.

    Reasoning between ``<think>`` tags is removed (all of it, where a tag is not closed; all before
    it, where it was not opened), compatibility characters are folded (NFKC), Markdown, quotation
    marks and LaTeX text commands are stripped, and each run of blanks is one blank or line end.
    """
    clean = _nfkc(without_reasoning(text)).translate(TYPOGRAPHIC)
    for pattern, template in STEPS:
        clean = pattern.sub(template, clean)
    return clean.strip()


def trim(text: str) -> str:
    """Return the text without the punctuation around it."""
    return text.strip(_EDGES)


def trimmed(text: str) -> tuple[int, int]:
    """Return where the text without the punctuation around it starts and ends."""
    start = len(text) - len(text.lstrip(_EDGES))
    return start, start + len(trim(text))


def _nfkc(text: str) -> str:
    if text.isascii():
        return text
    return unicodedata.normalize("NFKC", "".join(text[i] for i in few_marks(text)))


def few_marks(text: str) -> Iterator[int]:
    """Yield the places of the characters that are kept: of a long row of marks only the first."""
    marks = 0
    for i, character in enumerate(text):
        mark = unicodedata.combining(unicodedata.normalize("NFKD", character)[0])
        marks = marks + 1 if mark else 0
        if marks <= _MARKS_IN_A_ROW:
            yield i


def names_pattern(spellings: Sequence[Sequence[str]]) -> re.Pattern[str]:
    """Return a pattern that finds names as whole words, group ``i + 1`` for the spellings ``i``.

    A name of one letter must have its case, a longer one not; the longer of two that begin alike
    is taken, and a spelling that two names share is neither's. A hyphen joins words: there is no
    name in ``non-Black`` or in ``X-shaped``.
    """
    keys = [{_key(form) for form in forms} for forms in spellings]
    claims = Counter(key for name in keys for key in name)
    known = [[form for form in forms if form and claims[_key(form)] == 1] for forms in spellings]
    order = sorted(range(len(known)), key=lambda i: -max(map(len, known[i]), default=0))
    # Groups are numbered where they open, so each is named by its index instead.
    groups = [f"(?P<n{i}>{'|'.join(map(_spelled, known[i]))})" for i in order if known[i]]
    return re.compile(rf"(?<!\w)(?<!\w-)(?:{'|'.join(groups) or '(?!)'})(?!\w|-\w)")


def _key(name: str) -> str:
    return name if len(name) == 1 else name.casefold()


def _spelled(name: str) -> str:
    return re.escape(name) if len(name) == 1 else f"(?i:{re.escape(name)})"


def index(match: re.Match[str]) -> int:
    """Return which of the spellings given to :func:`names_pattern` a match is."""
    assert match.lastgroup is not None
    return int(match.lastgroup[1:])


def mentions(text: str, names: re.Pattern[str]) -> Iterator[re.Match[str]]:
    """Yield the names in the text, left out where "A", "I" or a number is an ordinary word."""
    return (match for match in names.finditer(text) if not _is_ordinary(text, match))


_NOUN = r"(?:player|option|choice|letter|label|symbol|side|caption|image|picture|number)"
_NAMED = re.compile(rf"(?:\b{_NOUN} |[(\[{{])$", re.IGNORECASE)
# After a label that is the subject; any other lower-case word makes "A" an article, "I" a pronoun
# and "2" a quantity.
_VERBS = (
    "is|has|does|wins|loses|owns|claims|controls|gets|scores|forms|makes|completes|beats|and|or|nor"
)
_MORE_VERBS = (
    "was|had|did|won|lost|can|cannot|could|will|would|should|may|might|must|claimed|owned|scored|"
    "formed|made|completed|because|since|but|as|isn't|wasn't|doesn't|didn't|hasn't|can't|won't"
)
_ARTICLE = re.compile(rf" (?!(?:{_VERBS}|{_MORE_VERBS})\b)[a-z0-9]")
_PRONOUN = re.compile(rf"'| (?!(?:{_VERBS})\b)[a-z]")


def _is_ordinary(text: str, match: re.Match[str]) -> bool:
    word = match[0].lower()
    if not (word in ("a", "i") or word.isdigit()):
        return False
    if _NAMED.search(text[max(0, match.start() - 12) : match.start()]):
        return False
    after = _PRONOUN if word == "i" else _ARTICLE
    return after.match(text, match.end()) is not None


_NOT = frozenset({"not", "never", "cannot", "neither", "nor"})  # at most three words before
_NOT_JUST_BEFORE = frozenset({"no", "except", "without", "than", "excluding", "unlike"})
_NOT_PHRASES = frozenset({"except for", "instead of"})
_CLAUSE_END = re.compile(r"[.;:!?\n,(]")
_AUXILIARY = (
    r"(?:is|was|are|were|do|does|did|has|have|had|will|would|can|could|should|may|might|must)"
)
_AFTER = re.compile(
    rf"[)\]]? (?:{_AUXILIARY}(?: [a-z]{{1,20}}ly)? (?:not|never|no|wrong|incorrect|false)\b"
    rf"|{_AUXILIARY}n't\b|(?:can't|won't|cannot|never|fails?)\b)",
    re.IGNORECASE,
)


def negated(text: str, match: re.Match[str]) -> bool:
    """Return whether the name stands in a negated clause, as in "not X" and "X is not"."""
    before = text[max(0, match.start() - 60) : match.start()].rstrip(" ([{")
    words = _CLAUSE_END.split(before)[-1].lower().split()
    if any(word in _NOT or word.endswith("n't") for word in words[-4:]):
        return True
    while words and words[-1] in ("the", "player"):
        words.pop()
    adjacent = " ".join(words[-2:]) in _NOT_PHRASES or bool(_NOT_JUST_BEFORE & set(words[-1:]))
    return adjacent or _AFTER.match(text, match.end()) is not None


_LINKED = re.compile(rf"[)\]]? ?(?:or|and|nor|/|\||&) ?(?:{_NOUN} )?[(\[]?", re.IGNORECASE)


def has_alternative(text: str, match: re.Match[str], names: re.Pattern[str]) -> bool:
    """Return whether another name is offered beside this one, as in "X or O"."""
    link = _LINKED.match(text, match.end())
    other = names.match(text, link.end()) if link else None
    return other is not None and index(other) != index(match)


class Name(NamedTuple):
    """Which name a text mentions, and where."""

    number: int
    span: tuple[int, int]

    @classmethod
    def of(cls, match: re.Match[str]) -> Name:
        """Return the name that a pattern of :func:`names_pattern` found."""
        return cls(index(match), match.span())


@dataclass(frozen=True)
class Statement:
    """An explicit final answer: which name (None if it is none of them), and by which rule."""

    name: Name | None
    rule: str


_MARKER = re.compile(
    rf"\b(?:answer|(?:correct|right|best) {_NOUN})(?: ?\([^()\n]{{0,80}}\))?"
    r" ?(?:is\b|isn't\b|was\b|[:=]|[-–—]>?|→)"
    r"|<answer>|^(?:the )?(?:final |correct )?answer$",
    re.IGNORECASE | re.MULTILINE,
)
_LEAD = re.compile(rf"[ \n:>–—-]*(?:(?:that|the|{_NOUN}) ){{0,3}}[(\[{{<]? ?", re.IGNORECASE)
_NO_ANSWER = re.compile(
    r"[ \n:>–—-]*(?:not|neither|none|un(?:known|clear|certain|determined)|cannot|can't|ambiguous|"
    r"both|n/a|(?:a )?(?:tie|draw))\b",
    re.IGNORECASE,
)
_BOXED = re.compile(r"\\boxed\s*\{([^{}]*)\}")


def final_statement(text: str, names: re.Pattern[str]) -> Statement | None:
    r"""Return the last explicit answer of a normalised text, None if there is none.

    Explicit are "answer: X", "the answer is X", ``<answer>X`` and ``\boxed{X}``. An answer that is
    negated, offers alternatives, or says that there is none, is a statement without a name; an
    empty box, and "answer" before anything else, are no statements.
    """
    last: tuple[int, Statement] | None = None
    for marker in _MARKER.finditer(text):
        statement = _marked(text, marker, names)
        if statement:
            last = marker.start(), statement
    for box in _BOXED.finditer(text):
        if trim(box[1]) and (last is None or box.start() > last[0]):
            last = box.start(), _boxed(box, names)
    return last[1] if last else None


def _boxed(box: re.Match[str], names: re.Pattern[str]) -> Statement:
    first, end = trimmed(box[1])
    found = only_name(box[1][first:end], names)
    if found is None:
        return Statement(None, "boxed")
    offset = box.start(1) + first
    start, stop = found.span
    return Statement(Name(found.number, (offset + start, offset + stop)), "boxed")


def _marked(text: str, marker: re.Match[str], names: re.Pattern[str]) -> Statement | None:
    lead = _LEAD.match(text, marker.end())
    assert lead is not None  # it matches the empty text
    name = names.match(text, lead.end())
    if marker[0].lower().endswith("n't") or (name is None and _NO_ANSWER.match(text, marker.end())):
        return Statement(None, "answer")
    if name is None or _is_ordinary(text, name):
        return None
    clean = not (_AFTER.match(text, name.end()) or has_alternative(text, name, names))
    return Statement(Name.of(name) if clean else None, "answer")


def only_name(text: str, names: re.Pattern[str]) -> Name | None:
    """Return the one name that the text mentions, None if there are two or one is negated.

    Of several mentions the first.
    """
    found: Name | None = None
    for match in mentions(text, names):
        if (found is not None and found.number != index(match)) or negated(text, match):
            return None
        found = found or Name.of(match)
    return found
