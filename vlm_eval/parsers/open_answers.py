"""Answers that are not chosen from a list: the whole text, in the form in which it is compared.

These parsers find no answer within a sentence; they say what a text is *as* an answer, so that two
answers can be equal. Where the task has choices the answer is the choice of that form.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Literal

from vlm_eval.core.options import configurable
from vlm_eval.core.text import spans_without_reasoning, without_reasoning
from vlm_eval.core.types import Parsed, Span
from vlm_eval.data.answers.forms import FORMS, lower
from vlm_eval.data.answers.mmmu import candidates
from vlm_eval.data.answers.numbers import spelled
from vlm_eval.data.answers.vqa import Variant
from vlm_eval.parsers.letter import Letter
from vlm_eval.parsers.places import Traced

NOTHING = Parsed(None, "none")


@configurable
class VqaAnswer:
    """The answer as the VQA challenges compare it; none if nothing is left of it.

    Attributes
    ----------
    variant
        ``vqav2`` (VQAv2, OK-VQA, VizWiz) or ``textvqa``.
    """

    variant: Variant = "vqav2"

    def __call__(self, text: str, choices: Sequence[str]) -> Parsed:
        """Return the normalised answer, rule ``normalised``."""
        return whole_text(text, choices, FORMS[self.variant], "normalised")


@configurable
class ShortAnswer:
    """The whole answer as a short text; none if nothing is left of it.

    Attributes
    ----------
    form
        ``lower``: lower case without a final period (RealWorldQA). ``words``: without any
        punctuation too (GQA).
    """

    form: Literal["lower", "words"] = "lower"

    def __call__(self, text: str, choices: Sequence[str]) -> Parsed:
        """Return the text in that form, rule ``text``."""
        return whole_text(text, choices, FORMS[self.form], "text")


@configurable
class RealWorldQa:
    """RealWorldQA: a letter where the question has lettered options, a short text otherwise.

    Attributes
    ----------
    labels
        The letters of the sample's options; empty: it has none.
    """

    labels: tuple[str, ...] = ()

    def __call__(self, text: str, choices: Sequence[str]) -> Parsed:
        """Return a letter as ``letter`` (policy ``ranked``) finds it, or the text in lower case."""
        if self.labels:
            found = Letter(policy="ranked")(text, self.labels)
            return found if not choices or found.answer in choices else NOTHING
        return whole_text(text, choices, lower, "text")


@configurable
class MmmuOpen:
    """MMMU's open questions: the key phrases and the numbers in them, as one text.

    The scorer ``mmmu_open`` compares the same candidates with the gold answer.
    """

    def __call__(self, text: str, choices: Sequence[str]) -> Parsed:
        """Return the phrases joined by ``; ``, rule ``phrases``; none of an empty text."""
        # The phrases stand in several places.
        return replace(whole_text(text, choices, _phrases, "phrases"), place=None)


def _phrases(text: str) -> str:
    found = candidates(text)
    if len(found.phrases) == len(found.numbers) == 1:
        return spelled(min(found.numbers))
    return "; ".join(found.phrases)


def whole_text(text: str, choices: Sequence[str], form: Callable[[str], str], rule: str) -> Parsed:
    """Return a text, less its reasoning, in a form; or the one choice that has the same form.

    What was read is all of it, in one piece unless reasoning stands within.
    """
    answer = form(without_reasoning(text))
    if not answer:
        return NOTHING
    if not choices:
        return Parsed(answer, rule, partial(_whole, text))
    same = [choice for choice in choices if form(choice) == answer]
    return Parsed(same[0], rule, partial(_whole, text)) if len(same) == 1 else NOTHING


def _whole(text: str) -> Span | None:
    pieces = [(a, b) for a, b in spans_without_reasoning(text) if text[a:b].strip()]
    return Traced.raw(text).keep(pieces).whole() if len(pieces) == 1 else None
