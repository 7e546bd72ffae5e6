"""The forms in which two short answers are compared, by name."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Literal, TypeAlias

from vlm_eval.data.answers.vqa import normalise_vqa

Form: TypeAlias = Literal["exact", "lower", "words", "vqav2", "textvqa"]


def lower(text: str) -> str:
    """Return a text in lower case, runs of blanks as one, without its final period.

    >>> lower(" 25 MPH. ")
    '25 mph'
    """
    plain = " ".join(text.lower().split())
    return plain.removesuffix(".").rstrip()


def words(text: str) -> str:
    """Return the words of a text in lower case: punctuation becomes a blank, apostrophes go.

    >>> words("To the left, I'd say.")
    'to the left id say'
    """
    return " ".join(re.findall(r"\w+", re.sub(r"['’]", "", text.lower())))


FORMS: Mapping[Form, Callable[[str], str]] = {
    "exact": str,
    "lower": lower,
    "words": words,
    "vqav2": normalise_vqa,
    "textvqa": partial(normalise_vqa, variant="textvqa"),
}
"""Each form's function. ``exact`` is the text as it is."""
