"""A lexicon: the terms of each class, and phrases that look like terms and are none."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any, TypeAlias

from vlm_eval.core.errors import DataError, did_you_mean
from vlm_eval.data.lexicon.chair import read_as_one
from vlm_eval.data.lexicon.words import Word, joined, words

Phrase: TypeAlias = tuple[str, ...]

SHIPPED = {"cityscapes": ("vlm_eval.data.cityscapes", "lexicon.json")}
"""Lexicons by name: the package and the file that holds each."""

_PLURALS = {
    "man": "men", "child": "children", "fe": "ves", "f": "ves", "mouse": "mice", "goose": "geese",
}  # fmt: skip
"""Endings of words, and of their irregular plurals."""


@dataclass(frozen=True)
class Match:
    """A term in a text.

    Attributes
    ----------
    name
        The class; None for a phrase that is no mention (``pedestrian crossing``, ``vehicle``).
    term
        The term as the lexicon spells it.
    first, last
        Indexes of its first and its last word.
    """

    name: str | None
    term: str
    first: int
    last: int


@dataclass(frozen=True)
class Lexicon:
    """Terms of classes. Terms match in singular and plural, blanks and hyphens alike.

    Attributes
    ----------
    classes
        Terms of each class.
    ignored
        Phrases that use up their words and mention nothing: masks and hypernyms.
    implies
        Further classes that a term's being there implies: a cyclist has a bicycle.
    """

    classes: Mapping[str, tuple[str, ...]]
    ignored: tuple[str, ...] = ()
    implies: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @cached_property
    def _phrases(self) -> dict[Phrase, tuple[str | None, str]]:
        known: dict[Phrase, tuple[str | None, str]] = {}
        entries: list[tuple[str | None, str]] = [(None, term) for term in self.ignored]
        entries += [(name, term) for name, terms in self.classes.items() for term in terms]
        for name, term in entries:
            for phrase in _forms(term):
                known.setdefault(phrase, (name, term))
        return known

    @cached_property
    def _lengths(self) -> dict[str, list[int]]:
        """Lengths of the phrases that begin with a word, the longest first."""
        found: dict[str, set[int]] = {}
        for phrase in self._phrases:
            found.setdefault(phrase[0], set()).add(len(phrase))
        return {word: sorted(lengths, reverse=True) for word, lengths in found.items()}

    def find(self, folded: str, tokens: list[Word]) -> Iterator[Match]:
        """Yield the terms of a folded text from left to right, the longest at each place.

        A word that one term has used up begins no other: ``road sign`` is no road.
        """
        at = 0
        while at < len(tokens):
            match = self._longest(folded, tokens, at)
            if match is None:
                at += 1
                continue
            yield match
            at = match.last + 1

    def _longest(self, folded: str, tokens: list[Word], at: int) -> Match | None:
        for length in self._lengths.get(tokens[at].text, ()):
            part = tokens[at : at + length]
            entry = self._phrases.get(tuple(word.text for word in part))
            whole = all(joined(folded, *pair) for pair in itertools.pairwise(part))
            if entry and whole and len(part) == length:
                return Match(*entry, at, at + length - 1)
        return None

    def named(self, key: str) -> str | None:
        """Return the class that a text names and adds nothing to, as ``traffic_light`` does."""
        folded = key.lower().replace("_", " ")
        tokens = words(folded)
        match = self._longest(folded, tokens, 0) if tokens else None
        whole = match is not None and match.last == len(tokens) - 1
        return match.name if match and whole else None


def _forms(term: str) -> Iterator[Phrase]:
    """Yield a term's words, and those with the last one in the plural."""
    phrase = tuple(word.text for word in words(term.lower()))
    yield phrase
    head, last = phrase[:-1], phrase[-1]
    yield (*head, last + "s")
    if last.endswith(("s", "x", "z", "ch", "sh")):
        yield (*head, last + "es")
    if last.endswith("y"):
        yield (*head, last[:-1] + "ies")
    for end, plural in _PLURALS.items():
        if last.endswith(end):
            yield (*head, last.removesuffix(end) + plural)


@lru_cache(maxsize=16)
def load_lexicon(name: str) -> Lexicon:
    """Return a shipped lexicon, or that of a file.

    Parameters
    ----------
    name
        ``cityscapes``; or a ``.json`` file with ``classes`` (terms by class) and, if wanted,
        ``mask_phrases``, ``hypernyms_never_counted`` and ``implies``; or a ``.txt`` file with one
        class a line, its name and its synonyms between commas, as CHAIR's ``synonyms.txt`` has it;
        to these the word pairs of CHAIR's code are added (:mod:`vlm_eval.data.lexicon.chair`).

    Raises
    ------
    DataError
        If there is no such lexicon, or it cannot be used: no classes, an empty term, a term of two
        classes, a class name with a comma.
    """
    if name in SHIPPED:
        package, file = SHIPPED[name]
        return _from_json(files(package).joinpath(file).read_text(encoding="utf-8"), name)
    path = Path(name)
    if path.suffix not in (".json", ".txt"):
        raise DataError(f"unknown lexicon {name!r}", hint=did_you_mean(name, SHIPPED))
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        raise DataError(f"the lexicon cannot be read ({error})", where=name) from error
    return _from_json(text, name) if path.suffix == ".json" else _from_lines(text, name)


def _from_json(text: str, where: str) -> Lexicon:
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DataError(f"not JSON: {error}", where=where) from error
    if not isinstance(content, dict) or not isinstance(content.get("classes"), dict):
        raise DataError("a lexicon has the key 'classes'", where=where)
    ignored = [
        *_terms(content.get("mask_phrases", []), where),
        *_terms(content.get("hypernyms_never_counted", []), where),
    ]
    classes = {name: _terms(terms, where) for name, terms in content["classes"].items()}
    implies = content.get("implies", {})
    if not isinstance(implies, dict):
        raise DataError("'implies' is no mapping from terms to classes", where=where)
    more = {term: _terms(names, where) for term, names in implies.items()}
    return _checked(Lexicon(classes, tuple(ignored), more), where)


def _from_lines(text: str, where: str) -> Lexicon:
    classes: dict[str, tuple[str, ...]] = {}
    for line in filter(str.strip, text.splitlines()):
        terms = [term.strip() for term in line.split(",")]
        classes[terms[0]] = tuple(dict.fromkeys(term for term in terms if term))
    pairs = list(read_as_one(classes))
    more = {name: tuple(pair for pair, owner in pairs if owner == name) for name in classes}
    ignored = tuple(pair for pair, owner in pairs if owner is None)
    whole = {name: terms + more[name] for name, terms in classes.items()}
    return _checked(Lexicon(whole, ignored), where)


def _terms(given: Any, where: str) -> tuple[str, ...]:
    if not isinstance(given, list) or not all(isinstance(term, str) for term in given):
        raise DataError(f"{given!r} is no list of terms", where=where)
    return tuple(given)


def _checked(lexicon: Lexicon, where: str) -> Lexicon:
    if not lexicon.classes:
        raise DataError("the lexicon has no classes", where=where)
    owners: dict[Phrase, str] = {}
    for name, terms in lexicon.classes.items():
        if not name.strip() or "," in name:
            raise DataError(f"a class cannot be named {name!r}", where=where)
        for term in terms:
            phrase = tuple(word.text for word in words(term.lower()))
            if not phrase:
                raise DataError(f"{name!r} has the term {term!r}, without a word", where=where)
            other = owners.setdefault(phrase, name)
            if other != name:
                raise DataError(f"the term {term!r} is both {other!r} and {name!r}", where=where)
    _check_known(lexicon.implies.values(), lexicon, where)
    return lexicon


def _check_known(implied: Iterable[tuple[str, ...]], lexicon: Lexicon, where: str) -> None:
    for names in implied:
        for name in names:
            if name not in lexicon.classes:
                hint = did_you_mean(name, lexicon.classes)
                raise DataError(f"'implies' names no class {name!r}", where=where, hint=hint)
