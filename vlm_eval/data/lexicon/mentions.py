"""The classes that a text mentions, in the two profiles."""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal, NamedTuple, TypeAlias

from vlm_eval.core.text import without_reasoning
from vlm_eval.data.lexicon.lexicon import Lexicon
from vlm_eval.data.lexicon.negation import affirmed
from vlm_eval.data.lexicon.structure import segments
from vlm_eval.data.lexicon.words import fold, words

Profile: TypeAlias = Literal["literal", "robust"]

NOTHING = "none"
"""The answer that mentions no class."""


class Mention(NamedTuple):
    """A class that is mentioned, and the term that mentions it."""

    name: str
    term: str


def find_mentions(text: str, lexicon: Lexicon, profile: Profile) -> list[Mention]:
    """Return every mention of a text in its order, repetitions included.

    Parameters
    ----------
    text
        A model's answer. Reasoning between ``<think>`` tags is passed over, and what stands in
        braces is read as a dictionary.
    lexicon
        The terms.
    profile
        ``literal``: every term counts (plain keyword matching). ``robust``: a term that the text
        takes back does not (:func:`vlm_eval.data.lexicon.negation.affirmed`).
    """
    found: list[Mention] = []
    for segment in segments(without_reasoning(text), lambda key: lexicon.named(key) is not None):
        folded = fold(segment)
        tokens = words(folded)
        matches = list(lexicon.find(folded, tokens))
        if profile == "robust":
            matches = affirmed(folded, tokens, matches)
        found += [Mention(m.name, m.term) for m in matches if m.name is not None]
    return found


def closure(mentions: Collection[Mention], lexicon: Lexicon) -> frozenset[str]:
    """Return the classes mentioned and those implied: a cyclist is a rider and has a bicycle."""
    implied = {name for mention in mentions for name in lexicon.implies.get(mention.term, ())}
    return frozenset({mention.name for mention in mentions} | implied)


def as_answer(names: Collection[str]) -> str:
    """Return a set of classes as one text: sorted, with commas between; ``none`` if it is empty."""
    return ", ".join(sorted(set(names))) or NOTHING


def from_answer(answer: str) -> frozenset[str]:
    """Return the set of classes of :func:`as_answer`'s text."""
    return frozenset() if answer == NOTHING else frozenset(answer.split(", "))
