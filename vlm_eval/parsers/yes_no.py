"""Yes or no: the project's strict rules, and the named rules of four published harnesses."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Literal, TypeAlias

from vlm_eval.core.options import configurable
from vlm_eval.core.types import Parsed, Place, Span
from vlm_eval.data.answers.vqa import PERIOD, punctuation, without_punctuation
from vlm_eval.parsers.label import whole
from vlm_eval.parsers.places import Traced, place, unreasoned
from vlm_eval.parsers.text import (
    Name,
    final_statement,
    has_alternative,
    index,
    normalise,
    trim,
    trimmed,
    without_reasoning,
)

_WORDS = ("yes", "no")
# "No doubt it does", "no one", "no-one", "No idea": the word, but not the answer.
_ANSWERS = re.compile(
    r"(?<!\w)(?<!\w-)(?:(?P<n0>yes)|(?P<n1>no))"
    r"(?!\w|-\w|'| (?:doubt|idea|clue|question|matter|one)\b)",
    re.IGNORECASE,
)


@configurable
class YesNo:
    """Finds yes or no and returns the choice that is so spelled, whatever its case.

    Attributes
    ----------
    policy
        ``strict``, the default: (1) the whole answer or its first word, rules ``exact`` and
        ``leading``; (2) the last "answer: yes" or "answer is yes" or box, ``answer``, ``boxed``;
        (3) a field of a JSON object, ``json``; (4) the only one of the two words that occurs, and
        not after "not", ``only``; (5) otherwise none. ``first``: rule (1) alone. The others are
        published rules, literally, faults included; the rule's name is the policy's.
        ``naturalbench``: the word that occurs first. ``vlmeval``: the word that occurs, none if
        both do (VLMEvalKit). ``pope``: no if "No", "no" or "not" is a token of the first sentence,
        and *yes in every other case*, the empty answer included.
    """

    policy: Literal["strict", "first", "naturalbench", "vlmeval", "pope"] = "strict"

    def __call__(self, text: str, choices: Sequence[str]) -> Parsed:
        """Return the choice; none also where the choices have no such word."""
        literal = _LITERAL.get(self.policy)
        if literal is not None:
            word, place_ = literal(text)
            return spelled(choices, word, self.policy, place_)
        clean = normalise(text)
        name, rule = _leading(clean)
        if name is None and self.policy == "strict":
            name, rule = _elsewhere(clean)
            if rule == "none" and (field := _json_field(text)) is not None:
                return spelled(choices, field, "json", partial(_json_place, text, field))
            if rule == "none":
                name, rule = _only(clean)
        if name is None:
            return Parsed(None, "none")
        found = spelled(choices, _WORDS[name.number], rule)
        return found if found.answer is None else replace(found, place=place(text, name.span))


def spelled(choices: Sequence[str], word: str | None, rule: str, place: Place = None) -> Parsed:
    """Return the choice that is so spelled in small letters, nothing if none is."""
    named = [choice for choice in choices if choice.strip().casefold() == word]
    return Parsed(named[0], rule, place) if named else Parsed(None, "none")


def _leading(clean: str) -> tuple[Name | None, str]:
    exact = whole(trim(clean), _WORDS)
    if exact is not None:
        return Name(exact, trimmed(clean)), "exact"
    start = len(clean) - len(clean.lstrip(" \n.,:;!?()[]{}<>'-–—"))
    first = _ANSWERS.match(clean, start)
    if first is None or has_alternative(clean, first, _ANSWERS):
        return None, "none"
    return Name.of(first), "leading"


def _elsewhere(clean: str) -> tuple[Name | None, str]:
    statement = final_statement(clean, _ANSWERS)
    return (None, "none") if statement is None else (statement.name, statement.rule)


def _only(clean: str) -> tuple[Name | None, str]:
    found = list(_ANSWERS.finditer(clean))
    denied = any(clean.endswith(("not ", "Not "), 0, match.start()) for match in found)
    alike = len({index(match) for match in found}) == 1
    return (Name.of(found[0]), "only") if alike and not denied else (None, "none")


def _json_field(text: str) -> str | None:
    body = without_reasoning(text).strip().removeprefix("```json").strip("` \n")
    if not (body.startswith("{") and body.endswith("}")):
        return None
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError):
        return None
    values = {trim(value).casefold() for value in fields.values() if isinstance(value, str)}
    answers = values & set(_WORDS)
    return answers.pop() if len(answers) == 1 else None


# A value that is the word alone.
_VALUE = re.compile(r""":\s*"[^"\w]*(yes|no)[^"\w]*\"""", re.IGNORECASE)


def _json_place(text: str, word: str) -> Span | None:
    """Return where the word is a value for the first time; None where it is escaped."""
    kept = unreasoned(text)
    values = (m for m in _VALUE.finditer(kept.text) if m[1].lower() == word)
    value = next(values, None)
    return None if value is None else kept.span(*value.span(1))


_Literal: TypeAlias = tuple[str | None, Place]


def _naturalbench(text: str) -> _Literal:
    first = re.search(r"\b(yes|no)\b", text, re.IGNORECASE)
    return (first[1].lower(), first.span(1)) if first else (None, None)


def _vlmeval(text: str) -> _Literal:
    found = set(without_punctuation(text.lower()).split()) & set(_WORDS)
    if len(found) != 1:
        return None, None
    (word,) = found
    return word, partial(_vlmeval_place, text, word)


def _vlmeval_place(text: str, word: str) -> Span | None:
    lowered = Traced.raw(text).lower()
    bare = lowered.translate(punctuation(lowered.text)).sub(PERIOD, "")
    at = next(m for m in re.finditer(r"\S+", bare.text) if m[0] == word)
    return bare.span(*at.span())


def _pope(text: str) -> _Literal:
    """A "no" is read in one place; a "yes" in none."""
    for token in re.finditer("[^ ]+", text.split(".")[0]):
        if token[0].replace(",", "") in ("No", "not", "no"):
            start = token.start() + len(token[0]) - len(token[0].lstrip(","))
            return "no", (start, start + len(token[0].strip(",")))
    return "yes", None


_LITERAL = {"naturalbench": _naturalbench, "vlmeval": _vlmeval, "pope": _pope}
