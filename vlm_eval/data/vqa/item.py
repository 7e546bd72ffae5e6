"""A question about pictures in the one form that all benchmarks are brought to."""

from __future__ import annotations

import re
import string
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias

from vlm_eval.core.types import ImageRef

Kind: TypeAlias = Literal["mcq", "yes_no", "number", "open"]
YES_NO = ("Yes", "No")
IMAGE_MARK = re.compile(r"<image (\d+)>")


class UnaskableError(Exception):
    """A row that cannot be asked as published; the text completes "N questions ...".

    It is dropped and counted, never mended by a guess.
    """


@dataclass(frozen=True)
class Item:
    """A question.

    Attributes
    ----------
    id
        Stable and unique in the benchmark.
    question
        The text as published.
    images
        The pictures by number, from 1.
    kind
        ``mcq`` (a letter), ``yes_no``, ``number`` or ``open``: what an answer looks like.
    gold
        The right answer in the form that a parser gives: a letter, ``Yes`` or ``No``, or text.
    answers
        All answers that count, as published; ten of annotators in the VQA family.
    options
        Texts of the options of ``mcq`` in order, where they are known.
    letters
        Their letters, from A; those of `options` where these are known.
    stem
        The question without the options, where `question` holds them.
    spans
        Where the option texts stand in `question`, if they do.
    hint
        Context that the data set gives beside the question.
    groups
        Other columns by our name: category, subcategory, topic, group, ...
    interleaved
        Whether ``<image k>`` in the texts stands for picture k; otherwise it is only text, and the
        pictures come first.
    """

    id: str
    question: str
    images: Mapping[int, ImageRef]
    kind: Kind
    gold: str
    answers: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    letters: tuple[str, ...] = ()
    stem: str | None = None
    spans: tuple[tuple[int, int], ...] = ()
    hint: str = ""
    groups: Mapping[str, str | None] = field(default_factory=dict)
    interleaved: bool = False

    @property
    def choices(self) -> tuple[str, ...]:
        """The possible answers: the letters, Yes and No, or none where the answer is free."""
        return {"mcq": self.letters, "yes_no": YES_NO}.get(self.kind, ())

    @property
    def answer(self) -> str:
        """The right answer as text: the right option's, where options have texts."""
        if self.kind == "mcq" and self.options:
            return self.options[self.letters.index(self.gold)]
        return self.gold

    def shifted(self, by: int) -> Item:
        """Return the same question with position p showing option (p + by) mod n.

        A question without options, or whose option texts are not known, is returned as it is.
        """
        count = len(self.options)
        if self.kind != "mcq" or not count or by % count == 0:
            return self
        options = tuple(self.options[(place + by) % count] for place in range(count))
        gold = self.letters[(self.letters.index(self.gold) - by) % count]
        question = self.question
        for (start, end), text in reversed(list(zip(self.spans, options, strict=False))):
            question = question[:start] + text + question[end:]
        return replace(self, question=question, options=options, gold=gold, spans=())


def letters(count: int) -> tuple[str, ...]:
    """Return the first letters of the alphabet, as many as there are options."""
    return tuple(string.ascii_uppercase[:count])


def check(item: Item) -> Item:
    """Return the item if it can be asked.

    Raises
    ------
    UnaskableError
        If it has no image or no question, names an image it does not have, has fewer than two
        options, an empty one or two alike, or its right answer is none of the choices.
    """
    texts = [text.strip() for text in item.options]
    named = {int(number) for number in IMAGE_MARK.findall(item.question + " ".join(item.options))}
    faults = {
        "have no image": not item.images,
        "have no text": not item.question.strip(),
        "name an image that is not there": item.interleaved and not named <= set(item.images),
        "have an empty option": not all(texts),
        "have two options with one text": len(set(texts)) < len(texts),
        "have fewer than two options": item.kind == "mcq" and len(item.letters) < 2,
        "have no right answer": not item.gold.strip(),
        "have a right answer that is no option": (
            bool(item.choices) and item.gold not in item.choices
        ),
    }
    for reason, found in faults.items():
        if found:
            raise UnaskableError(reason)
    return item
