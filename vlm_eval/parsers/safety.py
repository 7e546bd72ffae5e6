"""Is it safe to proceed: safe, unsafe, or no decision."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial

from vlm_eval.core.options import configurable
from vlm_eval.core.text import without_reasoning
from vlm_eval.core.types import Parsed, Place, Span
from vlm_eval.parsers.places import normalised, place, unreasoned_place
from vlm_eval.parsers.text import final_statement, has_alternative, index, negated, normalise

SAFE, UNSAFE = "safe", "unsafe"

_FIELD = re.compile(
    r"""["']?(?<![a-z_])(?P<key>decision|safe|is_safe|safe_to_proceed)["'`*]{0,3}\s{0,5}[:=]\s{0,5}
        (?P<value>["'][^"'\n]{0,80}["']|[^"',;.{}()\[\]\n]{1,80})""",
    re.IGNORECASE | re.VERBOSE,
)
_POSITIVE = frozenset({"yes", "true", "safe", "proceed", "go", "safe to proceed", "1"})
_NEGATIVE = frozenset({
    "no", "false", "unsafe", "not safe", "stop", "do not proceed", "don't proceed", "0",
    "not safe to proceed", "unsafe to proceed",
})  # fmt: skip
# "No pedestrians are visible" begins with the word, and is no answer.
_YES_NO = re.compile(
    r"(?<!\w)(?<!\w-)(?:(?P<n0>yes)|(?P<n1>no)"
    r"(?= ?(?:[.,;:!)\]\n–—-]|$)| (?:it|it's|the|i|you|we|this|that|there|because|as|since|due"
    r"|proceeding|moving|not)\b))(?!\w|-\w|')",
    re.IGNORECASE,
)
_WORDS = re.compile(
    r"(?<![\w-])(?:(?P<n0>safe(?:ly)?)|(?P<n1>unsafe(?:ly)?))(?![\w-])"
    r"(?! (?:distance|speed|gap|following|driving|manner|place|zone|side)\b)",
    re.IGNORECASE,
)
_UNSURE = re.compile(
    r"\b(?:(?:it|that|this) depends|depend(?:s|ing)? (?:on|upon)|(?:cannot|can't|can not|could not"
    r"|couldn't|unable to|impossible to|hard to|difficult to|not possible to|not able to) (?:be )?"
    r"(?:determined?|tell|told|say|said|judged?|assess(?:ed)?|answer(?:ed)?|know|known|decided?|"
    r"confirm(?:ed)?)|not (?:sure|certain)|not clear (?:if|whether)|unsure|uncertain|unclear|maybe|"
    r"perhaps|(?:may|might|could|can) (?:not )?be (?:un)?safe|possibly (?:un)?safe|"
    r"no (?:[a-z]{1,20} )?(?:indication|evidence|signs?|reason)(?: to (?:believe|think|assume|say|"
    r"suspect|suppose)(?: that)?|(?: to [a-z]{1,20})? that| why| it) "
    r"[^.,;!?\n]{0,40}\b(?:un)?safe|"
    r"(?:insufficient|not enough) (?:information|context|detail))\b",
    re.IGNORECASE,
)
_CONDITION = re.compile(r"\b(?:if|whether|unless|as long as|provided)\b", re.IGNORECASE)
_CAUTION = re.compile(
    r"\b(?:cautio(?:n|us|usly)|careful(?:ly)?|with care|be alert|vigilan(?:t|ce|tly))\b",
    re.IGNORECASE,
)
_SENTENCE_END = re.compile(r"[.!?\n](?:\s|$)")
_SENTENCES = re.compile(r"[^.!?\n]+[.!?\n]?")
_START = " \n.,:;!?()[]{}<>'-–—"
# The question repeated, whole or as a label; what follows it leads the answer.
_REPEATED = re.compile(
    r"[^.!?\n]{0,100}\bis it safe\b[^.!?\n]{0,100}\?"
    r"|(?:is it )?safe to proceed(?: forward)? ?[:=?]",
    re.IGNORECASE,
)


@configurable
class Safety:
    """Finds the decision and returns the choice that is spelled ``safe`` or ``unsafe``.

    The first rule that fires (arXiv 2601.08355, section 4.2: answers are mapped to canonical
    labels, ambiguous and non-committal ones are failures; the rules are this project's):

    1. ``decision``: a field ``decision`` (or ``safe``, ``is_safe``, ``safe_to_proceed``) says yes,
       no, true, false, safe or unsafe, in JSON or as "decision: NO". Any other value, and two
       fields that differ, are no decision, whatever else is said.
    2. ``leading``, ``answer``: the answer begins with yes (safe to proceed) or no, at once or after
       the repeated question ("Is it safe to proceed? No."), or states "the answer is yes". Beside
       uncertainty in the same sentence ("it depends", "cannot determine", "maybe") it is no
       decision; nor is a yes with a condition or a warning ("yes, if the light is green", "yes, but
       with caution"), or one that its sentence contradicts.
    3. ``explicit``: the words safe and unsafe, negated or not, all say the same. A question that is
       repeated does not count. Uncertainty or a condition anywhere makes it no decision, and a
       warning ("proceed with caution") takes back safe.
    4. ``none``.
    """

    def __call__(self, text: str, choices: Sequence[str]) -> Parsed:
        """Return the choice; none also where the choices have no such word."""
        found, rule, where = _decide(text)
        named = [choice for choice in choices if choice.strip().casefold() == found]
        return Parsed(named[0], rule, where) if named else Parsed(None, "none")


def _decide(text: str) -> tuple[str | None, str, Place]:
    fields = list(_FIELD.finditer(without_reasoning(text)))
    if fields:
        if len({_field(match) for match in fields}) > 1:
            return None, "decision", None
        return _field(fields[0]), "decision", unreasoned_place(text, fields[0].span("value"))
    clean = normalise(text)
    stated = _stated(clean)
    if stated is not None:
        return stated[0], stated[1], place(text, stated[2]) if stated[0] else None
    word, where = _explicit(clean, text)
    return word, "explicit", where


def _field(match: re.Match[str]) -> str | None:
    value = match["value"].strip(" \"'*`").lower().removesuffix(" forward")
    if value in _POSITIVE:
        return SAFE
    return UNSAFE if value in _NEGATIVE else None


def _stated(clean: str) -> tuple[str | None, str, Span | None] | None:
    """Return what a leading or final yes or no says, and where; None if there is neither."""
    start = _start(clean, 0)
    repeated = _REPEATED.match(clean, start)
    first = _YES_NO.match(clean, _start(clean, repeated.end()) if repeated else start)
    if first is not None:
        if has_alternative(clean, first, _YES_NO):
            return None, "none", None
        end = _SENTENCE_END.search(clean, first.end() + 2)
        sentence = clean[first.end() : end.start() if end else len(clean)]
        word = (SAFE, UNSAFE)[index(first)]
        contradicted = _said(sentence).keys() - {word}
        return (None if contradicted else _committed(word, sentence)), "leading", first.span()
    statement = final_statement(clean, _YES_NO)
    if statement is None:
        return None
    if statement.name is None:
        return None, "answer", None
    word = (SAFE, UNSAFE)[statement.name.number]
    return _committed(word, clean), "answer", statement.name.span


def _start(clean: str, at: int) -> int:
    """Return where the words begin, from a place in the text on."""
    while at < len(clean) and clean[at] in _START:
        at += 1
    return at


def _committed(word: str | None, sentence: str) -> str | None:
    """Return the decision, None where the sentence takes it back; a warning leaves a "no"."""
    hedged = _UNSURE.search(sentence) is not None
    if word == SAFE:
        hedged = hedged or bool(_CONDITION.search(sentence) or _CAUTION.search(sentence))
    return None if hedged else word


def _explicit(clean: str, text: str) -> tuple[str | None, Place]:
    stated = [match.span() for match in _SENTENCES.finditer(clean) if not match[0].endswith("?")]
    body = "".join(clean[start:end] for start, end in stated)
    if _CONDITION.search(body):
        return None, None
    found = _said(body)
    if len(found) != 1:
        return None, None
    ((word, span),) = found.items()
    return _committed(word, body), partial(_among, stated, span, text)


def _among(stated: Sequence[Span], span: Span, text: str) -> Span | None:
    """Return where a stretch of these sentences of the normalised text stands in the raw text."""
    traced = normalised(text)
    return None if traced is None else traced.keep(stated).span(*span)


def _said(text: str) -> dict[str, Span]:
    """Return what the words safe and unsafe say in a text, both if it says both, and where."""
    found: dict[str, Span] = {}
    for match in _WORDS.finditer(text):
        found.setdefault((SAFE, UNSAFE)[index(match) ^ int(negated(text, match))], match.span())
        if len(found) > 1:
            break
    return found
