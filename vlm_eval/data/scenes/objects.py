"""Drawn scenes of COCO-like objects with exact ground truth: names, colours, boxes and masks.

The embedded stand-in for data sets built on COCO images. Objects stand in cells of a 3 x 3 grid, so
that none hides another or is cut off, and belong to places (a street, a park, a kitchen, a living
room), so that some are more frequent than others and some often occur together.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from PIL import Image

from vlm_eval.core.hashing import derive_rng, digest
from vlm_eval.core.types import ImageRef
from vlm_eval.data.pen import Colour, Frame, Pen, shade
from vlm_eval.data.scenes.things import PAINTS, THINGS

SIZE = 224
VERSION = 1
GRID = 3
NAMES: tuple[str, ...] = tuple(THINGS)
"""All object names, COCO classes in COCO's order."""

Box = tuple[int, int, int, int]
"""Left, top, right, bottom in px; right and bottom lie just outside."""


@dataclass(frozen=True)
class Place:
    """What is found at a place, the likelier the earlier, and the colour of what is behind it."""

    names: tuple[str, ...]
    paper: Colour


PLACES: Mapping[str, Place] = {
    "street": Place(
        ("person", "car", "traffic light", "bicycle", "bus", "stop sign", "umbrella", "bench"),
        (200, 205, 210),
    ),
    "park": Place(
        ("person", "bench", "kite", "bicycle", "umbrella", "boat", "cat", "bottle", "apple"),
        (185, 220, 175),
    ),
    "kitchen": Place(
        ("cup", "person", "chair", "bottle", "apple", "pizza", "banana", "orange", "clock", "vase"),
        (245, 230, 205),
    ),
    "living room": Place(
        ("chair", "person", "tv", "book", "cat", "vase", "clock", "cup", "bottle"),
        (220, 210, 230),
    ),
}


@dataclass(frozen=True)
class Item:
    """One object of a scene.

    Attributes
    ----------
    name
        Its class, one of :data:`NAMES`.
    colour
        The name of its paint: ``red``, ``blue``, ...
    row, column
        Its cell of the 3 x 3 grid, from the top left, each 0 to 2.
    """

    name: str
    colour: str
    row: int
    column: int


@dataclass(frozen=True)
class Objects:
    """A scene: where it is, its objects from the top left, and the seed of the rest."""

    place: str
    items: tuple[Item, ...]
    seed: int

    @property
    def names(self) -> tuple[str, ...]:
        """The classes present, each once, in COCO's order."""
        present = {item.name for item in self.items}
        return tuple(name for name in NAMES if name in present)

    @property
    def counts(self) -> dict[str, int]:
        """How many objects there are of each class present."""
        return dict(Counter(item.name for item in self.items))


def sample_objects(seed: int, index: int) -> Objects:
    """Return scene number ``index`` of a seed: 3 to 6 classes, 3 to 9 objects.

    A class is there once or, with probability 1/4 each, two or three times, as long as there are
    cells. Four classes in five are those of the place.
    """
    rng = derive_rng(seed, "objects", index)
    place = list(PLACES)[int(rng.integers(len(PLACES)))]
    wanted = int(rng.integers(3, 7))
    names = _classes(place, wanted, rng)
    cells = [divmod(int(cell), GRID) for cell in rng.permutation(GRID * GRID)]
    items: list[Item] = []
    for position, name in enumerate(names):
        free = len(cells) - len(items) - (len(names) - position - 1)
        count = min(free, int(rng.choice([1, 1, 2, 3])))
        for _ in range(count):
            row, column = cells[len(items)]
            paints = THINGS[name].paints
            items.append(Item(name, paints[int(rng.integers(len(paints)))], row, column))
    ordered = tuple(sorted(items, key=lambda item: (item.row, item.column)))
    return Objects(place, ordered, int(rng.integers(2**31)))


def _classes(place: str, wanted: int, rng: np.random.Generator) -> list[str]:
    """Draw distinct classes, those that come first at the place more often."""
    home = PLACES[place].names
    weight = {name: 0.8 / (home.index(name) + 1) if name in home else 0.0 for name in NAMES}
    scale = sum(weight.values()) / 0.8
    foreign = 0.2 / (len(NAMES) - len(home))
    share = np.array([weight[name] / scale or foreign for name in NAMES])
    drawn = rng.choice(len(NAMES), size=wanted, replace=False, p=share / share.sum())
    return [NAMES[int(number)] for number in drawn]


def draw_objects(objects: Objects) -> Image.Image:
    """Return the picture of a scene, RGB, ``SIZE`` x ``SIZE`` px."""
    return _draw(objects)[0].image


def object_labels(objects: Objects) -> Image.Image:
    """Return the mode-L map of what covers each pixel: 0 nothing, else ``NAMES`` index plus 1."""
    return _draw(objects)[0].labels


def object_boxes(objects: Objects) -> tuple[Box, ...]:
    """Return the tight box of each item, in the order of ``objects.items``."""
    return _draw(objects)[1]


def objects_image(objects: Objects) -> ImageRef:
    """Return the lazily drawn picture of a scene."""
    items = [[item.name, item.colour, item.row, item.column] for item in objects.items]
    key = digest(["objects", VERSION, objects.place, items, objects.seed])
    return ImageRef(key, lambda: draw_objects(objects), f"objects {objects.seed}")


def _draw(objects: Objects) -> tuple[Pen, tuple[Box, ...]]:
    rng = np.random.default_rng(objects.seed)
    pen = Pen(SIZE, shade(rng, PLACES[objects.place].paper, 8))
    ground = shade(rng, PLACES[objects.place].paper, 30)
    pen.box(0, rng.uniform(0.55, 0.75), 1, 1, ground)
    boxes = [_draw_item(pen, item, objects.seed) for item in objects.items]
    return pen, tuple(boxes)


def _draw_item(pen: Pen, item: Item, seed: int) -> Box:
    # A stream of its own, so that adding an object changes no other.
    rng = np.random.default_rng([seed, item.row * GRID + item.column])
    size = rng.uniform(0.25, 0.31)
    slack = (1 / GRID - size) / 2 - 0.005
    x = (item.column + 0.5) / GRID + rng.uniform(-slack, slack)
    y = (item.row + 0.5) / GRID + size / 2 + rng.uniform(-slack, slack)
    pen.frame = Frame(x, y, size, bool(rng.integers(2)))
    label = NAMES.index(item.name) + 1
    THINGS[item.name].draw(pen, shade(rng, PAINTS[item.colour], 12), label)
    pen.frame = Frame()
    cell = np.linspace(0, SIZE, GRID + 1).round().astype(int)
    left, top = int(cell[item.column]), int(cell[item.row])
    right, bottom = int(cell[item.column + 1]), int(cell[item.row + 1])
    box = pen.labels.crop((left, top, right, bottom)).getbbox()
    if box is None:
        raise AssertionError(f"{item.name} covers no pixel of its cell")
    return left + box[0], top + box[1], left + box[2], top + box[3]
