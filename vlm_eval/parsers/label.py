"""The project's own parser of labels: it never guesses."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from vlm_eval.core.options import configurable
from vlm_eval.core.types import Parsed
from vlm_eval.parsers.places import Step, place
from vlm_eval.parsers.text import (
    Name,
    final_statement,
    names_pattern,
    normalise,
    only_name,
    trim,
    trimmed,
)


@configurable
class Label:
    r"""The one label that a text gives as its answer, if it is plain.

    Four rules, the first that fires, on the text that :func:`text.normalise` returns.
    ``exact``: the whole answer is a label. ``answer`` and ``boxed``: the last explicit statement
    ("answer: X", "the answer is X", ``\boxed{X}``) names one label. ``only``: one label is
    mentioned as a whole word, and never negated. ``none``: anything else; in particular two labels,
    a negated one, or an explicit answer that is no label.
    """

    def __call__(self, text: str, choices: Sequence[str]) -> Parsed:
        """Return the label; see the class for the rules."""
        clean = normalise(text)
        labels, names = _read(tuple(choices))
        exact = whole(trim(clean), labels)
        if exact is not None:
            return Parsed(choices[exact], "exact", place(text, trimmed(clean)))
        statement = final_statement(clean, names)
        if statement is not None:
            return parsed(text, statement.name, choices, statement.rule)
        return parsed(text, only_name(clean, names), choices, "only")


@lru_cache(maxsize=1024)
def _read(choices: tuple[str, ...]) -> tuple[tuple[str, ...], re.Pattern[str]]:
    """Return the labels as the parser reads them, and the pattern of their names."""
    labels = tuple(trim(normalise(choice)) or choice for choice in choices)
    return labels, names_pattern([[label] for label in labels])


def whole(text: str, labels: Sequence[str]) -> int | None:
    """Return which label the text is: as spelled, or the one that it is but for case."""
    if text in labels:
        return labels.index(text)
    folded = [i for i, label in enumerate(labels) if label.casefold() == text.casefold()]
    return folded[0] if len(folded) == 1 else None


def parsed(
    text: str, name: Name | None, choices: Sequence[str], rule: str, *further: Step
) -> Parsed:
    """Return the answer of a rule that found a name, or nothing where it found none.

    The name's place is in the normalised ``text``, after ``further`` steps
    (:func:`vlm_eval.parsers.places.place`).
    """
    if name is None:
        return Parsed(None, "none")
    return Parsed(choices[name.number], rule, place(text, name.span, *further))
