"""Yes or no: the project's strict rules, and the named rules of four published harnesses."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Literal

from vlm_eval.core.options import configurable
from vlm_eval.core.types import Parsed
from vlm_eval.data.answers.vqa import without_punctuation
from vlm_eval.parsers.label import whole
from vlm_eval.parsers.text import (
    final_statement,
    has_alternative,
    index,
    normalise,
    trim,
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
        word: str | None
        rule: str = self.policy
        if literal is not None:
            word = literal(text)
        else:
            clean = normalise(text)
            word, rule = _leading(clean)
            if word is None and self.policy == "strict":
                word, rule = _elsewhere(clean, text)
        named = [choice for choice in choices if choice.strip().casefold() == word]
        return Parsed(named[0], rule) if named else Parsed(None, "none")


def _leading(clean: str) -> tuple[str | None, str]:
    exact = whole(trim(clean), _WORDS)
    if exact is not None:
        return _WORDS[exact], "exact"
    start = len(clean) - len(clean.lstrip(" \n.,:;!?()[]{}<>'-–—"))
    first = _ANSWERS.match(clean, start)
    if first is None or has_alternative(clean, first, _ANSWERS):
        return None, "none"
    return _WORDS[index(first)], "leading"


def _elsewhere(clean: str, text: str) -> tuple[str | None, str]:
    statement = final_statement(clean, _ANSWERS)
    if statement is not None:
        return (None if statement.name is None else _WORDS[statement.name]), statement.rule
    field = _json_field(text)
    if field is not None:
        return field, "json"
    found = list(_ANSWERS.finditer(clean))
    words = {_WORDS[index(match)] for match in found}
    denied = any(clean.endswith(("not ", "Not "), 0, match.start()) for match in found)
    return (words.pop(), "only") if len(words) == 1 and not denied else (None, "none")


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


def _naturalbench(text: str) -> str | None:
    first = re.search(r"\b(yes|no)\b", text, re.IGNORECASE)
    return first[1].lower() if first else None


def _vlmeval(text: str) -> str | None:
    found = set(without_punctuation(text.lower()).split()) & set(_WORDS)
    return found.pop() if len(found) == 1 else None


def _pope(text: str) -> str:
    tokens = text.split(".")[0].replace(",", "").split(" ")
    return "no" if {"No", "not", "no"} & set(tokens) else "yes"


_LITERAL = {"naturalbench": _naturalbench, "vlmeval": _vlmeval, "pope": _pope}
