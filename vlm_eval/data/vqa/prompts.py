"""The words around a question: the data set's own, VLMEvalKit's, and the open regimes.

A prompt is made in two halves, because pictures are interleaved with the first and, in the data
sets' own words, with the second: the question, and what follows it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from vlm_eval.data.vqa.benchmarks import Benchmark
from vlm_eval.data.vqa.item import IMAGE_MARK, Item

Style: TypeAlias = Literal["own", "vlmevalkit", "open", "open_options"]

# VLMEvalKit at e8e78f05, its Qwen2-VL templates (spec A2.2, B3).
SELECT = "Please select the correct answer from the options above."
OPTIONS_ASIDE = "Options (for your reference; answer freely):"
OWN_WORDS = "Provide the best answer in your own words."
CONCISELY = "Please answer the question concisely."


@dataclass(frozen=True)
class Prompt:
    """A prompt: texts with pictures between them.

    Attributes
    ----------
    chunks
        One text more than there are pictures; texts may be empty.
    pictures
        Numbers of the pictures, in the order shown.
    """

    chunks: tuple[str, ...]
    pictures: tuple[int, ...]


def prompt(item: Item, words: Benchmark, style: Style) -> Prompt:
    """Return the prompt of a question in a style.

    Where pictures are interleaved, ``own`` puts each where the question or an option first names
    it, the other styles where the question does; those that are not named follow the question (spec
    B3). Elsewhere the pictures come first.
    """
    if style == "own" or (style == "vlmevalkit" and item.kind in ("number", "open")):
        before, question, rest = _own(item, words)
        return _interleave(item, before + question, rest, rest_too=True)
    question = item.question if item.stem is None else item.stem
    if item.kind == "yes_no" and style == "vlmevalkit":
        return _interleave(item, question, " Please answer yes or no.", rest_too=False)
    hint = f"Hint: {item.hint}\n" if item.hint else ""
    return _interleave(item, f"{hint}Question: {question}", _regime(item, style), rest_too=False)


def _own(item: Item, words: Benchmark) -> tuple[str, str, str]:
    before = words.preface.format(letters=", ".join(item.letters))
    before += words.context.format(hint=item.hint) if item.hint else ""
    laid_out = words.listed and bool(item.options)
    question = item.stem if laid_out and item.stem is not None else item.question
    if words.capitalise:
        question = question.capitalize()
    options = words.lead + _lines(item) if laid_out else ""
    return before, question, options + words.suffix.get(item.kind, "")


def _regime(item: Item, style: Style) -> str:
    if style == "open" or (style == "open_options" and not item.options):
        return f"\n{CONCISELY}"
    if style == "open_options":
        return f"\n{OPTIONS_ASIDE}{_lines(item)}\n{OWN_WORDS}"
    return f"\nOptions:{_lines(item)}\n{SELECT}" if item.options else f"\n{SELECT}"


def _lines(item: Item) -> str:
    pairs = zip(item.letters, item.options, strict=True)
    return "".join(f"\n{letter}. {text}" for letter, text in pairs)


def _interleave(item: Item, question: str, rest: str, *, rest_too: bool) -> Prompt:
    if not item.interleaved:
        return Prompt((*("",) * len(item.images), question + rest), tuple(sorted(item.images)))
    scope = question + rest if rest_too else question
    named = {int(number) for number in IMAGE_MARK.findall(scope)}
    unnamed = [number for number in item.images if number not in named]
    question += "".join(f"<image {number}>" for number in unnamed)
    chunks, pictures = _split(question + rest if rest_too else question, set(item.images))
    return Prompt((*chunks[:-1], chunks[-1] + ("" if rest_too else rest)), pictures)


def _split(text: str, known: set[int]) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """Cut a text at the first mention of each picture; later mentions stay text."""
    chunks: list[str] = []
    pictures: list[int] = []
    start = 0
    for mark in IMAGE_MARK.finditer(text):
        number = int(mark[1])
        if number in known and number not in pictures:
            chunks.append(text[start : mark.start()])
            pictures.append(number)
            start = mark.end()
    return (*chunks, text[start:]), tuple(pictures)
