r"""The published extraction rules of VLMBias questions, literally.

The questions ask for "a number in curly brackets, e.g., {9}". There are no options; where a task
has some, what is found counts if it is one of them. Our own strict parser of the same answers is
:class:`vlm_eval.parsers.number.Number`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from vlm_eval.core.options import configurable
from vlm_eval.core.types import Parsed

_RULES = (
    ("boxed", re.compile(r"\\boxed\s*\{\s*(-?\d+)\s*\}", re.IGNORECASE)),
    ("braces", re.compile(r"\{\s*(-?\d+)\s*\}")),
    ("answer", re.compile(r"answer\s*[:=]\s*(-?\d+)", re.IGNORECASE)),
    ("last_integer", re.compile(r"(-?\d+)")),
)


@configurable
class VlmBias:
    r"""The extraction rules of VLM-Fix (arXiv 2604.12119, section 5) for VLMBias.

    Four rules, the first that fires, each taking its last match: ``boxed``, an integer in
    ``\boxed{}``; ``braces``, an integer in braces; ``answer``, an integer right after "answer:" or
    "answer="; ``last_integer``, any integer, even a piece of ``3.5`` (5) or ``1,234`` (234). A
    hyphen before a digit is a sign. Number words are not understood. What is found is returned as
    written: ``05`` is not 5.
    """

    def __call__(self, text: str, choices: Sequence[str]) -> Parsed:
        """Return the integer; see the class for the rules."""
        for rule, pattern in _RULES:
            found = None
            for found in pattern.finditer(text):  # noqa: B007 - the last is wanted
                pass
            if found is not None:
                return _among(Parsed(found[1], rule, found.span(1)), choices)
        return Parsed(None, "none")


@configurable
class LmmsVlmBias:
    """What lmms-eval compares (task ``vlms_are_biased``): *all* digits of the answer, joined.

    ``2 and 3`` is 23, which stands in no one place and has no span. An answer without digits is
    itself, stripped of braces and lower-cased.
    """

    def __call__(self, text: str, choices: Sequence[str]) -> Parsed:
        """Return the digits; see the class."""
        runs = list(re.finditer(r"[0-9]+", text))
        if runs:
            digits = "".join(run[0] for run in runs)
            span = runs[0].span() if len(runs) == 1 else None
            return _among(Parsed(digits, "digits", span), choices)
        bare = text.strip().lower().strip("{}").strip()
        if not bare:
            return Parsed(None, "none")
        inner = text.strip().strip("{}").strip()
        start = text.index(inner)
        return _among(Parsed(bare, "text", (start, start + len(inner))), choices)


def _among(parsed: Parsed, choices: Sequence[str]) -> Parsed:
    return parsed if not choices or parsed.answer in choices else Parsed(None, "none")
