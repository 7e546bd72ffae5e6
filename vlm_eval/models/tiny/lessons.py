"""What the embedded model is asked in training: the tasks' own templates, and stepping stones.

A lesson is the parts of one user turn and the answer. The prompts of the boards come from the
benchmark's own module, those of the pairs and streets repeat the task files' templates (a test
holds them together).
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vlm_eval.data.boards.games import GAMES
from vlm_eval.data.boards.prompts import (
    Mode,
    Order,
    Question,
    Rule,
    Target,
    Variant,
    answer,
    prompt,
)
from vlm_eval.data.pairs.synthetic import SKIES, THEMES, Pair
from vlm_eval.data.scenes.street import KINDS, Street

IMAGE = "\0image"


@dataclass(frozen=True)
class Lesson:
    """A question with its answer.

    Attributes
    ----------
    parts
        Texts and :data:`IMAGE` marks in order.
    answer
        What to say.
    tag
        What skill it tests, for the monitor.
    sides
        Which pictures of the item the marks stand for; boards and streets have only picture 0.
    """

    parts: tuple[str, ...]
    answer: str
    tag: str
    sides: tuple[int, ...] = (0,)


@dataclass(frozen=True)
class Syllabus:
    """What may be asked at a stage of the training.

    Attributes
    ----------
    rules, targets
        Of the boards' prompts.
    law
        Whether to ask about the rule alone, the stepping stone to reading it.
    """

    rules: tuple[Rule, ...] = ("standard",)
    targets: tuple[Target, ...] = ("winner", "loser")
    law: bool = False
    orders: tuple[Order, ...] = field(default=("image_first", "text_first"))


def in_order(order: Order, text: str) -> tuple[str, ...]:
    """Return the parts of a one-image question."""
    return (IMAGE, text) if order == "image_first" else (text, IMAGE)


def board_lesson(
    game: str, winner: int, rule: Rule, target: Target, order: Order, variant: Variant = "base"
) -> Lesson:
    """Return the benchmark's question about a board."""
    question = Question(rule, target, order, variant)
    labels = GAMES[game].labels
    text = prompt(game, 0, question, labels)
    said = answer(winner, question, labels)
    tag = f"{game} {rule} {target}" if variant == "base" else f"{game} {variant}"
    return Lesson(in_order(order, text), said, tag)


def law_lesson(game: str, rule: Rule, order: Order) -> Lesson:
    """Return a question about the rule alone, which the board cannot answer."""
    text = prompt(game, 0, Question(rule), GAMES[game].labels).split(" Who is the ")[0]
    holds = {"tictactoe": "3 in a row", "connect4": "4 in a row", "reversi": "more pieces"}
    asked = f"Does the player with {holds.get(game, 'more boxes')} win? Please answer Yes or No."
    said = "Yes" if rule == "standard" else "No"
    return Lesson(in_order(order, f"{text} {asked}"), said, f"{game} law")


def board_lessons(
    game: str, winner: int, syllabus: Syllabus, rng: random.Random, count: int
) -> list[Lesson]:
    """Return ``count`` questions about a board: mostly who wins, at times the stepping stones."""
    out = []
    for number in range(count):
        rule, target = rng.choice(syllabus.rules), rng.choice(syllabus.targets)
        order = rng.choice(syllabus.orders)
        draw = rng.random()
        if number and draw < 0.35:
            out.append(board_lesson(game, winner, rule, target, order, "descriptive"))
        elif number and draw < 0.6 and syllabus.law:
            out.append(law_lesson(game, rule, order))
        else:
            out.append(board_lesson(game, winner, rule, target, order))
    return out


def street_lessons(street: Street, rng: random.Random, count: int) -> list[Lesson]:
    """Return presence questions about distinct objects."""
    return [
        Lesson(
            (IMAGE, f"Is there a {name} in the image? Please answer Yes or No."),
            "Yes" if name in street.objects else "No",
            "street presence",
        )
        for name in rng.sample(list(KINDS), count)
    ]


def match_lesson(pair: Pair, image: int, caption: int) -> Lesson:
    """Return the confirm or reject question about an image and a caption."""
    text = f'Does this image match the caption: "{pair.caption(caption)}"? Please answer Yes or No.'
    said = "Yes" if image == caption else "No"
    return Lesson((IMAGE, text), said, f"{pair.subset} match", (image,))


def caption_lesson(pair: Pair, image: int, swapped: bool) -> Lesson:
    """Return the image-to-caption question in one of the two option orders."""
    first, second = (1, 0) if swapped else (0, 1)
    text = (
        "Which caption best describes the image?\n"
        f"(A) {pair.caption(first)}\n(B) {pair.caption(second)}\n"
        "Please output the letter corresponding to the correct option."
    )
    said = "A" if image == first else "B"
    return Lesson((IMAGE, text), said, f"{pair.subset} i2c", (image,))


def choose_image_lesson(pair: Pair, caption: int, swapped: bool) -> Lesson:
    """Return the caption-to-image question in one of the two image orders."""
    sides = (1, 0) if swapped else (0, 1)
    text = f'Which image better matches the caption: "{pair.caption(caption)}"? Answer 1 or 2.'
    parts = ("Image 1: ", IMAGE, " Image 2: ", IMAGE, "\n" + text)
    return Lesson(parts, str(sides.index(caption) + 1), f"{pair.subset} c2i", sides)


def fill_lesson(pair: Pair, image: int, swapped: bool) -> Lesson:
    """Return the stepping stone to captions: which of the two words fits the image."""
    theme = THEMES[pair.subset][pair.theme]
    fillings = theme.fillings[::-1] if swapped else theme.fillings
    gap = theme.caption.format("_")
    text = f"{gap} {pair.sky}. Answer with only {fillings[0]} or {fillings[1]}."
    return Lesson((IMAGE, text), theme.fillings[image], f"{pair.subset} fill", (image,))


def letter_lesson(pair: Pair, image: int, swapped: bool) -> Lesson:
    """Return the stepping stone to letters: the two words alone as options."""
    first, second = (1, 0) if swapped else (0, 1)
    theme = THEMES[pair.subset][pair.theme]
    text = (
        f"{theme.caption.format('_')} {pair.sky}.\n"
        f"(A) {theme.fillings[first]}\n(B) {theme.fillings[second]}\n"
        "Please output the letter corresponding to the correct option."
    )
    said = "A" if image == first else "B"
    return Lesson((IMAGE, text), said, f"{pair.subset} letter", (image,))


def word_lesson(pair: Pair, image: int, word: int) -> Lesson:
    """Return the stepping stone to confirming: does this one word fit."""
    theme = THEMES[pair.subset][pair.theme]
    gap = theme.caption.format("_")
    text = f"{gap} {pair.sky}. Is it {theme.fillings[word]}? Please answer Yes or No."
    said = "Yes" if image == word else "No"
    return Lesson((IMAGE, text), said, f"{pair.subset} word", (image,))


def pair_lessons(pair: Pair, image: int, rng: random.Random) -> list[Lesson]:
    """Return the questions about one picture of a pair: the tasks' own, and the stepping stones."""
    lessons = [
        caption_lesson(pair, image, False),
        caption_lesson(pair, image, True),
        match_lesson(pair, image, 0),
        match_lesson(pair, image, 1),
        word_lesson(pair, image, rng.randrange(2)),
        letter_lesson(pair, image, rng.random() < 0.5),
        fill_lesson(pair, image, rng.random() < 0.5),
    ]
    if rng.random() < 0.3:
        lessons.append(choose_image_lesson(pair, image, rng.random() < 0.5))
    return lessons


def corpus() -> Iterator[str]:
    """Yield the texts that the tokenizer is fitted on: every template of every task."""
    rules: tuple[Rule, ...] = ("standard", "inverse")
    targets: tuple[Target, ...] = ("winner", "loser")
    variants: tuple[Variant, ...] = ("base", "alias", "semalias", "descriptive")
    modes: tuple[Mode, ...] = ("direct", "cot")
    for game, rule in product(GAMES, rules):
        for target, variant, mode, state in product(targets, variants, modes, range(8)):
            question = Question(rule, target, "image_first", variant, mode)
            yield prompt(game, state, question, GAMES[game].labels)
        yield from law_lesson(game, rule, "text_first").parts * 20
    rng = random.Random(0)
    for subset, sky in product(THEMES, SKIES):
        for theme in range(len(THEMES[subset])):
            for lesson in pair_lessons(Pair(subset, theme, sky, 0), 0, rng) * 4:
                yield from lesson.parts
    for name in KINDS:
        yield from [f"Is there a {name} in the image? Please answer Yes or No."] * 20
    answers = [label for game in GAMES.values() for label in game.labels]
    yield from [*answers, "user\n", "assistant\n", "system\n", "Yes", "No", "1", "2"] * 40


class Encoder:
    """Turns lessons into token ids with the chat template, each text once.

    Parameters
    ----------
    tokenizer
        The checkpoint's tokenizer.
    image_tokens
        Tokens that one image takes.
    """

    def __init__(self, tokenizer: Any, image_tokens: int) -> None:
        self.tokenizer, self.image_tokens = tokenizer, image_tokens
        self._known: dict[tuple[tuple[str, ...], str], tuple[list[int], int]] = {}

    def __call__(self, lesson: Lesson) -> tuple[list[int], int]:
        """Return the ids of question and answer, and how many of them the answer takes."""
        key = (lesson.parts, lesson.answer)
        if key not in self._known:
            content = [
                {"type": "image"} if part == IMAGE else {"type": "text", "text": part}
                for part in lesson.parts
            ]
            text = self.tokenizer.apply_chat_template(
                [{"role": "user", "content": content}], tokenize=False, add_generation_prompt=True
            )
            pad = "<|image_pad|>"
            text = text.replace(pad, pad * self.image_tokens)
            asked = self.tokenizer(text, add_special_tokens=False)["input_ids"]
            said = self.tokenizer(f"{lesson.answer}<|im_end|>", add_special_tokens=False)
            self._known[key] = (asked + said["input_ids"], len(said["input_ids"]))
        return self._known[key]


def pad_rows(rows: Sequence[Sequence[int]], value: int) -> NDArray[np.int64]:
    """Return rows as one array, padded on the right."""
    out = np.full((len(rows), max(map(len, rows))), value, np.int64)
    for index, row in enumerate(rows):
        out[index, : len(row)] = row
    return out
