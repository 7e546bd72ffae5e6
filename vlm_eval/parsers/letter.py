"""Lettered and numbered options: (A), B., Option A, Image 1, First, or the option's own words."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

from vlm_eval.core.options import configurable
from vlm_eval.core.types import Parsed
from vlm_eval.parsers.label import parsed
from vlm_eval.parsers.letter_cues import contended, lone, ranked
from vlm_eval.parsers.places import Step, place
from vlm_eval.parsers.text import (
    Name,
    final_statement,
    index,
    names_pattern,
    negated,
    normalise,
    only_name,
    trim,
    trimmed,
)

_ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth")
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_NOUN = r"(?:option|choice|caption|image|picture|photo|letter|number|description|candidate|answer)"
_THING = r"(?:one|option|choice|caption|image|picture|photo|description|sentence|statement)"


@configurable
class Letter:
    """The one option that a text gives as its answer, by mark or text, if it is plain.

    The choices are the marks as the prompt shows them. Where they are A, B, ... or 1, 2, ... or
    First, Second, ... in order, the other two series name the same options.

    Six rules, the first that fires, on the text that :func:`text.normalise` returns.

    ``exact``: the whole answer is an option's mark ("A", "(1)", "Image 2", "the first one"); if it
    is several marks and nothing else ("A B") there is no answer.
    ``answer`` and ``boxed``: the last explicit statement names one. ``leading``: the answer begins
    with a mark set off as one: ``(A)``, ``A.``, ``A)``, ``A:``, ``Option A.``, ``Image 1 better``.
    ``only``: one mark, so set off, occurs anywhere and is not negated. ``lone``: one option's
    letter is mentioned and no other's, at the end or before a period, colon or bracket.
    ``restated``: the answer holds the text of exactly one option. ``none``: anything else; a bare
    letter or number inside a sentence is never a mark, so the article "A" is not the option A.

    Attributes
    ----------
    texts
        The text of each option in order, for ``restated``; empty: that rule does not apply. An
        answer that is one of these texts as a whole is that option before any other rule but its
        own mark: "2" may be the text of B.
    policy
        ``strict``: the rules above, which refuse where two options contend. ``ranked``: after
        ``exact``, the cues of :mod:`vlm_eval.parsers.letter_cues` in descending confidence, the
        last mention within one; then ``restated``. For the multiple-choice benchmarks, whose
        published extractors rank too.
    """

    texts: tuple[str, ...] = ()
    policy: Literal["strict", "ranked"] = "strict"

    def __call__(self, text: str, choices: Sequence[str]) -> Parsed:
        """Return the choice; see the class for the rules."""
        clean = _BRACKETED.sub(lambda match: match[0].upper(), normalise(text))
        forms = _forms([trim(choice) or choice for choice in choices])
        whole = self._whole(trim(clean), choices)
        if whole is not None:
            return Parsed(choices[whole], "restated", place(text, trimmed(clean)))
        exact = _exact(trim(clean), forms)
        if exact is not None:
            return Parsed(choices[exact], "exact", place(text, trimmed(clean)))
        if _is_list(clean, choices):
            return Parsed(None, "none")
        if self.policy == "ranked":
            return self._ranked(text, clean, choices)
        return self._strict(text, _DISCOURSE.sub("", clean), choices, names_pattern(forms))

    def _strict(
        self, text: str, clean: str, choices: Sequence[str], names: re.Pattern[str]
    ) -> Parsed:
        statement = final_statement(clean, names)
        if statement is not None:
            return parsed(text, statement.name, choices, statement.rule, _UNDISCOURSED)
        leading = _leading(clean, names)
        if leading is not None:
            return parsed(text, leading, choices, "leading", _UNDISCOURSED)
        marks = [match for match in names.finditer(clean) if _set_off(clean, match)]
        if marks:
            return parsed(text, _only(clean, marks, names), choices, "only", _UNDISCOURSED)
        alone = lone(clean, choices)
        if alone is not None:
            return parsed(text, alone, choices, "lone", _UNDISCOURSED)
        restated = self._restated(clean, len(choices))
        return parsed(text, restated, choices, "restated", _UNDISCOURSED, *_FLATTENED)

    def _ranked(self, text: str, clean: str, choices: Sequence[str]) -> Parsed:
        found = ranked(clean, choices)
        if found is not None:
            return parsed(text, found.name, choices, found.cue)
        restated = self._restated(clean, len(choices))
        return parsed(text, restated, choices, "restated", *_FLATTENED)

    def _whole(self, said: str, choices: Sequence[str]) -> int | None:
        """Return the one option that the answer is the text of: "2" may be B's, not the second."""
        if said.casefold() in (trim(choice).casefold() for choice in choices):
            return None
        texts = [_flat(trim(normalise(text))) for text in self.texts[: len(choices)]]
        same = [i for i, text in enumerate(texts) if text.casefold() == _flat(said).casefold()]
        return same[0] if len(same) == 1 and texts[same[0]] else None

    def _restated(self, clean: str, options: int) -> Name | None:
        texts = [[_flat(trim(normalise(text)))] for text in self.texts[:options]]
        return only_name(_flat(clean), names_pattern(texts))


# An answer that is a mark alone, before and after its punctuation is trimmed: "(A)", "Option (A)".
_EXACT = re.compile(
    rf"(?:the )?(?:{_NOUN} )?[(\[]?(?P<mark>\w+)[)\]]?|(?:the )?(?P<ordinal>\w+) {_THING}",
    re.IGNORECASE,
)
_BRACKETED = re.compile(r"\([a-z]\)")
# "First, I look at ..." is no answer.
_DISCOURSE = re.compile(rf"\b(?:{'|'.join(word.title() for word in _ORDINALS)}),")
_UNDISCOURSED: Step = (_DISCOURSE, "")
# What `_flat` does.
_FLATTENED: tuple[Step, ...] = ((re.compile(r"\s+"), " "), (re.compile(r"\A | \Z"), ""))


def _forms(choices: Sequence[str]) -> list[list[str]]:
    """Return all spellings of each option: the other series and ordinals where order is certain."""
    count = len(choices)
    numbers = [str(i + 1) for i in range(count)]
    series = (numbers, list(_LETTERS[:count].lower()), list(_ORDINALS[:count]))
    if [choice.casefold() for choice in choices] not in series:
        return [[choice] for choice in choices]
    return [
        [number, *_LETTERS[i : i + 1], *_ORDINALS[i : i + 1]] for i, number in enumerate(numbers)
    ]


def _exact(text: str, forms: Sequence[Sequence[str]]) -> int | None:
    match = _EXACT.fullmatch(text)
    spoken = [text] if match is None else [match["mark"] or match["ordinal"], text]
    for i, known in enumerate(forms):
        if any(form.casefold() == said.casefold() for form in known for said in spoken):
            return i
    return None


_BETWEEN = frozenset({"and", "or", "vs", "versus"})


def _is_list(text: str, choices: Sequence[str]) -> bool:
    """Return whether a text is several marks and nothing else, such as "A B" or "(A) vs (B)"."""
    said = {word.casefold() for word in re.findall(r"\w+", text)} - _BETWEEN
    return len(said) > 1 and said <= {trim(choice).casefold() for choice in choices}


_LEAD = re.compile(rf"[ :>-]*(?:the )?(?:(?P<noun>{_NOUN}) )?(?P<bracket>[(\[])?", re.IGNORECASE)
_END = r"(?:[.):\]!](?!\w)| ?\n| ?$| [-–—] )"
_CLAIM = r"(?: (?:because|since|better|best)\b| is (?:the )?(?:correct|right|best|better|answer)\b)"
_AFTER = {
    "bracket": re.compile(r"[)\]]"),
    "noun": re.compile(rf"{_END}|,(?!\w)|{_CLAIM}"),
    "ordinal": re.compile(rf"{_END}| {_THING}(?:{_END}|,|{_CLAIM})", re.IGNORECASE),
    "bare": re.compile(rf"{_END}|,(?!\w)| (?:because|since)\b"),
}


def _leading(text: str, names: re.Pattern[str]) -> Name | None:
    first = _mark_at(text, 0, names)
    if first is None or negated(text, first) or contended(text, first, names):
        return None
    # A list of the options, or of numbered steps, begins with a mark but is no answer.
    for line in re.finditer(r"\n", text):
        other = _mark_at(text, line.end(), names)
        if other is not None and index(other) != index(first):
            return None
    return Name.of(first)


def _mark_at(text: str, start: int, names: re.Pattern[str]) -> re.Match[str] | None:
    lead = _LEAD.match(text, start)
    assert lead is not None  # it matches the empty text
    name = names.match(text, lead.end())
    if name is None:
        return None
    if lead["bracket"]:
        kind = "bracket"
    elif name[0].casefold() in _ORDINALS:
        kind = "ordinal"
    else:
        kind = "noun" if lead["noun"] else "bare"
    return name if _AFTER[kind].match(text, name.end()) else None


_BEFORE = re.compile(rf"\b{_NOUN} [(\[]?$", re.IGNORECASE)
_THING_AFTER = re.compile(rf" {_THING}\b", re.IGNORECASE)


def _set_off(text: str, match: re.Match[str]) -> bool:
    """Return whether a name is marked as an option: (A), option A, the first image."""
    if match[0].casefold() in _ORDINALS:
        return _THING_AFTER.match(text, match.end()) is not None
    bracketed = text[match.start() - 1 : match.start()] in ("(", "[") and text[
        match.end() : match.end() + 1
    ] in (")", "]")
    return bracketed or bool(_BEFORE.search(text[max(0, match.start() - 14) : match.start()]))


def _only(text: str, marks: Sequence[re.Match[str]], names: re.Pattern[str]) -> Name | None:
    if len({index(mark) for mark in marks}) > 1:
        return None
    if any(negated(text, mark) or contended(text, mark, names) for mark in marks):
        return None
    return Name.of(marks[0])


def _flat(text: str) -> str:
    return " ".join(text.split())
