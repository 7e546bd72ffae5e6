"""Yes or no as four published evaluators of POPE read it, and as this project does.

The published ones are kept literally, faults included, because POPE numbers in papers depend on
them: docs/parsers.md shows where they disagree. All return the choice that is spelled yes or no.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from vlm_eval.core.options import configurable
from vlm_eval.core.types import Parsed
from vlm_eval.parsers.places import Traced, place
from vlm_eval.parsers.text import normalise
from vlm_eval.parsers.yes_no import YesNo, spelled

_WORD = re.compile(r"\w+(?:['-]\w+)*")
_NEGATIONS = frozenset({"no", "not", "none", "cannot"})
# Both words as alternatives: "Yes or no", "yes/no".
_OFFERED = re.compile(r"\W*(?:yes(?: or | ?/ ?)no|no(?: or | ?/ ?)yes)\b", re.IGNORECASE)


@configurable
class Pope:
    """The official evaluator (AoiDragon/POPE): yes unless the first sentence says no.

    No if ``No``, ``no`` or ``not`` is a token of what stands before the first period, commas
    removed, split at single blanks; *yes in every other case*: an empty answer, ``NO`` and
    ``There isn't a dog.`` are yes. It never finds nothing.
    """

    def __call__(self, text: str, choices: Sequence[str]) -> Parsed:
        """Return the choice; none only where the choices have no such word."""
        return YesNo(policy="pope")(text, choices)


@configurable
class RePope:
    """RePOPE's own scorer (YanNeu/RePOPE): yes if "yes" occurs, else no if "no" does, else none.

    Occurs means anywhere in the lower-cased text, inside words too: ``Not sure`` and ``I cannot
    see one.`` are no, ``There isn't a dog.`` is none.
    """

    def __call__(self, text: str, choices: Sequence[str]) -> Parsed:
        """Return the choice."""
        low = text.lower()
        word = next((word for word in ("yes", "no") if word in low), None)
        if word is None:
            return Parsed(None, "none")
        at = low.index(word)
        return spelled(choices, word, "repope", Traced.raw(text).lower().span(at, at + len(word)))


@configurable
class LmmsPope:
    """lmms-eval's POPE task: the stripped, lower-cased text must *be* yes or no.

    ``yes.`` is neither.
    """

    def __call__(self, text: str, choices: Sequence[str]) -> Parsed:
        """Return the choice."""
        return spelled(choices, text.lower().strip(), "lmms_pope", Traced.raw(text).whole())


@configurable
class VlmEvalKitYesNo:
    """VLMEvalKit's ``YOrN_Extraction``: the one of the words yes and no that occurs.

    Words are split at blanks after the VQA punctuation pass; none if both occur or neither.
    """

    def __call__(self, text: str, choices: Sequence[str]) -> Parsed:
        """Return the choice."""
        found = YesNo(policy="vlmeval")(text, choices)
        return found if found.answer is None else replace(found, rule="vlmevalkit_yes_no")


@configurable
class PopeCanonical:
    """How this project reads an answer to a presence question.

    After the cleaning that all strict parsers share (reasoning removed, Unicode NFKC, Markdown and
    quotation marks stripped), in any case: (1) ``leading``: the first word is yes or no, unless the
    other is offered beside it ("Yes or no"); (2) ``only``: of the words yes on one hand and no,
    not, ...n't, none and cannot on the other, only one kind occurs; (3) none. Words are whole:
    "no-one" and "nothing" are not "no".
    """

    def __call__(self, text: str, choices: Sequence[str]) -> Parsed:
        """Return the choice."""
        clean = normalise(text)
        words = [(match[0].lower(), match.span()) for match in _WORD.finditer(clean)]
        first = words[0][0] if words else ""
        if first in ("yes", "no") and not _OFFERED.match(clean):
            return spelled(choices, first, "leading", place(text, words[0][1]))
        said = [(meaning, span) for word, span in words if (meaning := _meaning(word))]
        if len({meaning for meaning, _ in said}) != 1:
            return Parsed(None, "none")
        return spelled(choices, said[0][0], "only", place(text, said[0][1]))


def _meaning(word: str) -> str | None:
    if word == "yes":
        return "yes"
    return "no" if word in _NEGATIONS or word.endswith("n't") else None
