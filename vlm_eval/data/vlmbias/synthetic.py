"""Drawn pictures of familiar things with one part too many or too few: the embedded stand-in.

The four topics of the paper's subset, the two questions of the data set in its own words, exact
counts by construction. Nothing here is from VLMs are Biased.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from PIL import Image

from vlm_eval.core.hashing import derive_rng, digest
from vlm_eval.core.types import ImageRef
from vlm_eval.data.pen import Colour, Pen, shade
from vlm_eval.data.vlmbias.alias import ANSWER

SIZE = 224
VERSION = 1
DARK: Colour = (40, 40, 45)
WHITE: Colour = (250, 250, 250)
_PAPER: Colour = (236, 234, 226)
_PAINTS: tuple[Colour, ...] = ((178, 34, 52), (40, 70, 150), (30, 120, 70), (200, 120, 30))

Draw: TypeAlias = Callable[[Pen, int, Colour], None]


@dataclass(frozen=True)
class Thing:
    """A familiar thing: how many parts it is known to have, and how many it is drawn with.

    Attributes
    ----------
    topic, sub_topic
        As in the data set.
    known
        The count that everybody knows.
    how_many, count
        The two questions, without the sentence that asks for braces.
    draw
        Draws it with a number of parts, in a colour.
    """

    topic: str
    sub_topic: str
    known: int
    how_many: str
    count: str
    draw: Draw


def _animal(pen: Pen, legs: int, paint: Colour, *, bird: bool) -> None:
    pen.oval(0.5, 0.45, 0.24 if bird else 0.32, 0.16, paint)
    pen.disc(0.8, 0.26, 0.11, paint)
    pen.disc(0.83, 0.23, 0.02, DARK)
    pen.poly([(0.9, 0.24), (0.99, 0.28), (0.9, 0.31)], (230, 160, 40) if bird else paint)
    width = 0.3 if bird else 0.52
    for x in np.linspace(0.5 - width / 2, 0.5 + width / 2, legs).tolist():
        pen.box(x - 0.02, 0.5, x + 0.02, 0.94, paint)


def _bird(pen: Pen, legs: int, paint: Colour) -> None:
    _animal(pen, legs, paint, bird=True)


def _mammal(pen: Pen, legs: int, paint: Colour) -> None:
    _animal(pen, legs, paint, bird=False)


def _stripes(pen: Pen, count: int, paint: Colour) -> None:
    for i in range(count):
        top = 0.15 + 0.7 * i / count
        pen.box(0.05, top, 0.95, top + 0.7 / count, paint if i % 2 == 0 else WHITE)


def _stars(pen: Pen, count: int, paint: Colour) -> None:
    pen.box(0.05, 0.15, 0.95, 0.85, paint)
    for i in range(count):
        angle = 2 * math.pi * i / count
        x, y = 0.5 + 0.27 * math.cos(angle), 0.5 + 0.24 * math.sin(angle)
        pen.poly(_star(x, y, 0.09, 5), (255, 215, 60))


def _star(x: float, y: float, radius: float, points: int) -> list[tuple[float, float]]:
    corners = []
    for i in range(2 * points):
        reach = radius if i % 2 == 0 else 0.4 * radius
        angle = math.pi * (i / points - 0.5)
        corners.append((x + reach * math.cos(angle), y + reach * math.sin(angle)))
    return corners


def _grid(pen: Pen, rows: int, columns: int, paint: Colour) -> None:
    for row in range(rows):
        for column in range(columns):
            x, y = 0.1 + 0.8 * column / columns, 0.1 + 0.8 * row / rows
            fill = paint if (row + column) % 2 else WHITE
            pen.box(x, y, x + 0.8 / columns, y + 0.8 / rows, fill)


def _rows(pen: Pen, rows: int, paint: Colour) -> None:
    _grid(pen, rows, 8, paint)


def _columns(pen: Pen, columns: int, paint: Colour) -> None:
    _grid(pen, 8, columns, paint)


def _circles(pen: Pen, count: int, paint: Colour) -> None:
    radius = 0.9 / (1.4 * count + 0.6)
    for i in range(count):
        pen.ring(0.05 + radius * (1 + 1.4 * i), 0.5, 0.95 * radius, paint, 0.02)


def _points(pen: Pen, points: int, paint: Colour) -> None:
    pen.disc(0.5, 0.5, 0.44, WHITE)
    pen.poly(_star(0.5, 0.5, 0.4, points), paint)


def _shoe(pen: Pen, stripes: int, paint: Colour) -> None:
    pen.poly([(0.05, 0.2), (0.35, 0.2), (0.6, 0.5), (0.95, 0.6), (0.95, 0.8), (0.05, 0.8)], paint)
    for i in range(stripes):
        x = 0.14 + 0.4 * i / stripes
        pen.line([(x, 0.72), (x + 0.1, 0.42)], WHITE, 0.035)


THINGS: tuple[Thing, ...] = (
    Thing("Animals", "Bird", 2, "How many legs does this animal have?",
          "Count the legs of this animal.", _bird),
    Thing("Flags", "Striped flag", 9, "How many stripes are there in this flag?",
          "Count the stripes in this flag.", _stripes),
    Thing("Game Boards", "Draughts", 8, "How many rows are there on this board?",
          "Count the rows on this board.", _rows),
    Thing("Logos", "Car badge", 4,
          "How many overlapping circles are there in the logo of this car?",
          "Count the overlapping circles in the logo of this car.", _circles),
    Thing("Animals", "Mammal", 4, "How many legs does this animal have?",
          "Count the legs of this animal.", _mammal),
    Thing("Flags", "Starred flag", 6, "How many stars are there in this flag?",
          "Count the stars in this flag.", _stars),
    Thing("Game Boards", "Draughts", 8, "How many columns are there on this board?",
          "Count the columns on this board.", _columns),
    Thing("Logos", "Shoe", 3,
          "How many visible white stripes are there in the logo on the left shoe?",
          "Count the visible white stripes in the logo on the left shoe.", _shoe),
    Thing("Logos", "Star badge", 5,
          "How many points are there on the star in the logo of this car?",
          "Count the points on the star in the logo of this car.", _points),
)  # fmt: skip


def drawn(count: int, seed: int, *, originals: bool = False) -> Iterator[dict[str, Any]]:
    """Yield the two questions about each of ``count`` drawn things, with the data set's columns.

    Parameters
    ----------
    count
        Number of pictures; consecutive ones go round the things.
    seed
        Fixes every picture; picture ``i`` does not depend on ``count``.
    originals
        Whether each is followed by one with as many parts as everybody knows.

    Yields
    ------
    dict
        ID, image, image_path, topic, sub_topic, prompt, ground_truth, expected_bias,
        type_of_question, pixel.
    """
    for index in range(count):
        thing = THINGS[index % len(THINGS)]
        rng = derive_rng(seed, "vlmbias", index)
        parts = thing.known + (1 if thing.known < 5 or rng.random() < 0.5 else -1)
        yield from _asked(thing, parts, rng, f"drawn_{index:04d}")
        if originals:
            rng = derive_rng(seed, "vlmbias original", index)
            yield from _asked(thing, thing.known, rng, f"original_{index:04d}")


def _asked(
    thing: Thing, parts: int, rng: np.random.Generator, name: str
) -> Iterator[dict[str, Any]]:
    paint = _PAINTS[int(rng.integers(len(_PAINTS)))]
    image = _image(thing, parts, paint, int(rng.integers(2**31)))
    for question, text in (("Q1", thing.how_many), ("Q2", thing.count)):
        yield {
            "ID": f"{name}_{question}",
            "image": image,
            "image_path": f"{name}_px{SIZE}.png",
            "topic": thing.topic,
            "sub_topic": thing.sub_topic,
            "prompt": f"{text} {ANSWER}",
            "ground_truth": str(parts),
            "expected_bias": str(thing.known),
            "type_of_question": question,
            "pixel": SIZE,
        }


def _image(thing: Thing, parts: int, paint: Colour, seed: int) -> ImageRef:
    recipe = ["vlmbias", VERSION, thing.topic, thing.how_many, parts, list(paint), seed]

    def load() -> Image.Image:
        rng = np.random.default_rng(seed)
        pen = Pen(SIZE, shade(rng, _PAPER, 8))
        thing.draw(pen, parts, shade(rng, paint, 12))
        return pen.image

    return ImageRef(digest(recipe), load, f"{thing.sub_topic} with {parts}")
