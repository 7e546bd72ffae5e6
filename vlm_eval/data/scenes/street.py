"""A drawn street with exact class masks: the embedded stand-in for driving scenes.

A scene holds any subset of six objects, each with a place of its own so that none hides another.
Class ids are those of Cityscapes (``labels.py`` of mcordts/cityscapesScripts).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from PIL import Image

from vlm_eval.core.hashing import derive_rng
from vlm_eval.data.pen import Colour, Frame, Pen, shade

SIZE = 224
ROAD, SIDEWALK, BUILDING, SKY = 7, 8, 11, 23
DARK: Colour = (30, 30, 35)
GLASS: Colour = (190, 225, 240)
PAINTS: tuple[Colour, ...] = (
    (200, 40, 40), (40, 70, 190), (235, 235, 235), (230, 190, 40), (50, 130, 70),
)  # fmt: skip


def _car(pen: Pen, rng: np.random.Generator, label: int) -> None:
    paint = shade(rng, PAINTS[rng.integers(len(PAINTS))])
    pen.box(0.02, 0.62, 0.98, 0.9, paint, label)
    pen.poly([(0.18, 0.62), (0.3, 0.4), (0.7, 0.4), (0.84, 0.62)], paint, label)
    pen.poly([(0.27, 0.62), (0.35, 0.46), (0.65, 0.46), (0.74, 0.62)], GLASS, label)
    for x in (0.24, 0.76):
        pen.disc(x, 0.9, 0.1, DARK, label)


def _bus(pen: Pen, rng: np.random.Generator, label: int) -> None:
    pen.box(0.02, 0.05, 0.98, 0.92, shade(rng, PAINTS[rng.integers(len(PAINTS))]), label)
    for x in (0.08, 0.39, 0.7):
        pen.box(x, 0.16, x + 0.22, 0.46, GLASS, label)
    for x in (0.24, 0.76):
        pen.disc(x, 0.91, 0.1, DARK, label)


def _person(pen: Pen, rng: np.random.Generator, label: int) -> None:
    skin = shade(rng, ((235, 195, 165), (140, 95, 65))[rng.integers(2)])
    pen.disc(0.5, 0.12, 0.11, skin, label)
    pen.box(0.36, 0.24, 0.64, 0.64, shade(rng, PAINTS[rng.integers(len(PAINTS))]), label)
    for x in (0.43, 0.57):
        pen.line([(x, 0.64), (x + (x - 0.5), 1.0)], DARK, 0.1, label)


def _bicycle(pen: Pen, rng: np.random.Generator, label: int) -> None:
    for x in (0.24, 0.76):
        pen.ring(x, 0.76, 0.22, DARK, 0.05, label)
    paint = shade(rng, PAINTS[rng.integers(len(PAINTS))])
    pen.line([(0.24, 0.76), (0.42, 0.46), (0.7, 0.46), (0.76, 0.76)], paint, 0.06, label)
    pen.line([(0.42, 0.46), (0.52, 0.76), (0.7, 0.46)], paint, 0.06, label)
    pen.line([(0.66, 0.36), (0.8, 0.36)], DARK, 0.06, label)


def _tree(pen: Pen, rng: np.random.Generator, label: int) -> None:
    pen.box(0.44, 0.5, 0.56, 1.0, (110, 75, 45), label)
    pen.oval(0.5, 0.34, 0.3, 0.34, shade(rng, (50, 140, 60)), label)


def _traffic_light(pen: Pen, rng: np.random.Generator, label: int) -> None:
    pen.box(0.46, 0.45, 0.54, 1.0, (60, 60, 60), label)
    pen.box(0.34, 0.0, 0.66, 0.5, (35, 35, 35), label)
    red = bool(rng.integers(2))
    pen.disc(0.5, 0.13, 0.1, (250, 40, 40) if red else (80, 25, 25), label)
    pen.disc(0.5, 0.37, 0.1, (25, 70, 30) if red else (60, 235, 90), label)


Drawer = Callable[[Pen, np.random.Generator, int], None]


@dataclass(frozen=True)
class Kind:
    """A drawable object: its Cityscapes class id, drawer, row and size in shares of the canvas."""

    label: int
    draw: Drawer
    near: bool
    size: float


KINDS: Mapping[str, Kind] = {
    "car": Kind(26, _car, True, 0.3),
    "bus": Kind(28, _bus, True, 0.3),
    "bicycle": Kind(33, _bicycle, True, 0.26),
    "person": Kind(24, _person, False, 0.3),
    "tree": Kind(21, _tree, False, 0.36),
    "traffic light": Kind(19, _traffic_light, False, 0.34),
}


@dataclass(frozen=True)
class Street:
    """A scene: which objects it shows, and the seed that fixes everything else."""

    objects: tuple[str, ...]
    seed: int


def sample_street(seed: int, index: int) -> Street:
    """Return scene number ``index`` of a seed: each object is present with probability 1/2."""
    rng = derive_rng(seed, "street", index)
    present = tuple(name for name in KINDS if rng.random() < 0.5)
    return Street(present, int(rng.integers(2**31)))


def draw_street(street: Street) -> tuple[Image.Image, Image.Image]:
    """Draw a scene.

    Returns
    -------
    image, labels
        RGB image and mode-L map of Cityscapes class ids, both ``SIZE`` x ``SIZE`` px.
    """
    rng = np.random.default_rng(street.seed)
    horizon = rng.uniform(0.36, 0.44)
    pen = Pen(SIZE, shade(rng, (165, 205, 240)), SKY)
    _backdrop(pen, rng, horizon)
    for near in (False, True):
        names = [name for name, kind in KINDS.items() if kind.near == near]
        for slot, name in enumerate(rng.permutation(names)):
            x = (slot + 0.5 + rng.uniform(-0.1, 0.1)) / len(names)
            y = (0.97 if near else 0.66) - rng.uniform(0, 0.03)
            size = KINDS[name].size * rng.uniform(0.92, 1.05)
            mirror = bool(rng.integers(2))
            if name in street.objects:
                pen.frame = Frame(x, y, size, mirror)
                # A stream of its own, so that adding an object changes no other.
                paint = np.random.default_rng([street.seed, KINDS[name].label])
                KINDS[name].draw(pen, paint, KINDS[name].label)
    return pen.image, pen.labels


def _backdrop(pen: Pen, rng: np.random.Generator, horizon: float) -> None:
    x = 0.0
    while x < 1.0:
        width, height = rng.uniform(0.1, 0.22), rng.uniform(0.08, 0.28)
        wall = ((170, 150, 140), (150, 155, 165), (185, 170, 150))[rng.integers(3)]
        pen.box(x, horizon - height, x + width, horizon, shade(rng, wall), BUILDING)
        x += width
    pen.box(0, horizon, 1, 1, shade(rng, (190, 185, 180), 8), SIDEWALK)
    asphalt = shade(rng, (88, 88, 92), 8)
    pen.poly([(0.3, horizon), (0.7, horizon), (1.05, 1), (-0.05, 1)], asphalt, ROAD)
    for i in range(4):
        y = horizon + (1 - horizon) * (i + 0.2) / 4
        pen.line([(0.5, y), (0.5, y + (1 - horizon) * 0.09)], (240, 240, 240), 0.012, ROAD)
