"""Drawn street scenes with exact masks: the embedded stand-in for Cityscapes.

Each scene is 224 x 224 px and shows some of twelve things in places of their own; its label map
holds label ids. Nothing of Cityscapes is in them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from PIL import Image

from vlm_eval.core.hashing import derive_rng, digest
from vlm_eval.data.cityscapes.labels import BY_NAME
from vlm_eval.data.pen import Colour, Frame, Pen, shade
from vlm_eval.data.scenes.street import DARK, GLASS, KINDS, PAINTS, SIZE, Drawer

VERSION = 1
CITIES = ("drawnburg", "inkstadt")
"""Scenes are dealt to these by turns; neither is a city of Cityscapes."""

_ID = {name: label.id for name, label in BY_NAME.items()}


def _truck(pen: Pen, rng: np.random.Generator, label: int) -> None:
    pen.box(0.02, 0.1, 0.68, 0.88, shade(rng, (215, 210, 200)), label)
    cab = shade(rng, PAINTS[rng.integers(len(PAINTS))])
    pen.box(0.7, 0.34, 0.98, 0.88, cab, label)
    pen.box(0.78, 0.42, 0.96, 0.6, GLASS, label)
    for x in (0.2, 0.48, 0.84):
        pen.disc(x, 0.89, 0.1, DARK, label)


def _tram(pen: Pen, rng: np.random.Generator, label: int) -> None:
    pen.line([(0.5, 0.12), (0.4, 0.02), (0.6, 0.02)], DARK, 0.03, label)
    pen.box(0.0, 0.12, 1.0, 0.92, shade(rng, (230, 200, 60)), label)
    for x in (0.06, 0.3, 0.54, 0.78):
        pen.box(x, 0.22, x + 0.16, 0.52, GLASS, label)
    pen.box(0.0, 0.92, 1.0, 0.99, DARK, label)


def _motorcycle(pen: Pen, rng: np.random.Generator, label: int) -> None:
    for x in (0.22, 0.78):
        pen.disc(x, 0.8, 0.19, DARK, label)
    paint = shade(rng, PAINTS[rng.integers(len(PAINTS))])
    pen.poly([(0.22, 0.76), (0.34, 0.5), (0.7, 0.48), (0.78, 0.76), (0.5, 0.86)], paint, label)
    pen.line([(0.68, 0.5), (0.76, 0.34), (0.86, 0.34)], DARK, 0.06, label)


def _rider(pen: Pen, rng: np.random.Generator, label: int) -> None:
    """Draw a bicycle, and someone on it: two classes in one drawing."""
    KINDS["bicycle"].draw(pen, rng, _ID["bicycle"])
    skin = shade(rng, ((235, 195, 165), (140, 95, 65))[rng.integers(2)])
    coat = shade(rng, PAINTS[rng.integers(len(PAINTS))])
    pen.poly([(0.36, 0.46), (0.5, 0.48), (0.66, 0.2), (0.52, 0.14)], coat, label)
    pen.line([(0.42, 0.46), (0.54, 0.6), (0.5, 0.76)], DARK, 0.09, label)
    pen.line([(0.6, 0.24), (0.74, 0.36)], coat, 0.07, label)
    pen.disc(0.62, 0.07, 0.09, skin, label)


def _traffic_light(pen: Pen, rng: np.random.Generator, label: int) -> None:
    pen.box(0.47, 0.45, 0.53, 1.0, (60, 60, 60), _ID["pole"])
    pen.box(0.34, 0.0, 0.66, 0.5, (35, 35, 35), label)
    red = bool(rng.integers(2))
    pen.disc(0.5, 0.13, 0.1, (250, 40, 40) if red else (80, 25, 25), label)
    pen.disc(0.5, 0.37, 0.1, (25, 70, 30) if red else (60, 235, 90), label)


def _traffic_sign(pen: Pen, rng: np.random.Generator, label: int) -> None:
    pen.box(0.47, 0.4, 0.53, 1.0, (120, 120, 125), _ID["pole"])
    if rng.integers(2):
        pen.poly([(0.5, 0.0), (0.78, 0.48), (0.22, 0.48)], (220, 30, 30), label)
        pen.poly([(0.5, 0.14), (0.66, 0.42), (0.34, 0.42)], (250, 250, 250), label)
    else:
        pen.disc(0.5, 0.24, 0.24, (35, 80, 190), label)
        pen.box(0.46, 0.1, 0.54, 0.38, (250, 250, 250), label)


@dataclass(frozen=True)
class _Thing:
    """A drawable thing: its class, drawer, row and size in shares of the canvas."""

    name: str
    draw: Drawer
    near: bool
    size: float


def _street(kind: str, name: str, near: bool, size: float) -> _Thing:
    return _Thing(name, KINDS[kind].draw, near, size)


THINGS: tuple[_Thing, ...] = (
    _street("car", "car", True, 0.2),
    _street("bus", "bus", True, 0.2),
    _Thing("truck", _truck, True, 0.2),
    _Thing("motorcycle", _motorcycle, True, 0.16),
    _street("bicycle", "bicycle", True, 0.16),
    _Thing("rider", _rider, True, 0.2),
    _Thing("train", _tram, False, 0.18),
    _street("person", "person", False, 0.18),
    _street("tree", "vegetation", False, 0.24),
    _Thing("traffic light", _traffic_light, False, 0.24),
    _Thing("traffic sign", _traffic_sign, False, 0.22),
    _street("person", "person", False, 0.18),
)


@dataclass(frozen=True)
class Scene:
    """A scene: which of :data:`THINGS` it shows, and the seed that fixes everything else."""

    index: int
    things: tuple[int, ...]
    seed: int

    @property
    def city(self) -> str:
        """The made-up city that the scene is filed under."""
        return CITIES[self.index % len(CITIES)]

    @property
    def id(self) -> str:
        """Its file name in the official pattern: ``drawnburg_000000_000019``."""
        return f"{self.city}_{self.index // len(CITIES):06d}_000019"

    @property
    def key(self) -> str:
        """A digest that determines the pixels."""
        return digest(["cityscapes-drawn", VERSION, list(self.things), self.seed])


def sample_scene(seed: int, index: int) -> Scene:
    """Return scene number ``index`` of a seed: an empty street, a crowded one, or between."""
    rng = derive_rng(seed, "cityscapes-drawn", index)
    density = rng.uniform(0.05, 0.65)
    shown = tuple(i for i in range(len(THINGS)) if rng.random() < density)
    return Scene(index, shown, int(rng.integers(2**31)))


def draw_scene(scene: Scene) -> tuple[Image.Image, Image.Image]:
    """Draw a scene.

    Returns
    -------
    image, labels
        RGB image and mode-L map of label ids, both ``SIZE`` x ``SIZE`` px.
    """
    rng = np.random.default_rng(scene.seed)
    horizon = rng.uniform(0.4, 0.46)
    pen = Pen(SIZE, shade(rng, (165, 205, 240)), _ID["sky"])
    _backdrop(pen, rng, horizon)
    for near in (False, True):
        row = [i for i, thing in enumerate(THINGS) if thing.near == near]
        for slot, i in enumerate(rng.permutation(row).tolist()):
            x = (slot + 0.5 + rng.uniform(-0.1, 0.1)) / len(row)
            y = (0.9 if near else 0.62) - rng.uniform(0, 0.05)
            size, mirror = THINGS[i].size * rng.uniform(0.85, 1.1), bool(rng.integers(2))
            if i in scene.things:
                pen.frame = Frame(x, y, size, mirror)
                # A stream of its own, so that adding a thing changes no other.
                paint = np.random.default_rng([scene.seed, i])
                THINGS[i].draw(pen, paint, _ID[THINGS[i].name])
    pen.frame = Frame()
    pen.poly([(0.1, 1), (0.3, 0.95), (0.7, 0.95), (0.9, 1)], (40, 42, 48), _ID["ego vehicle"])
    return pen.image, pen.labels


_BACKS: Mapping[str, Colour] = {
    "wall": (150, 140, 130), "fence": (120, 95, 70), "terrain": (125, 165, 90),
}  # fmt: skip


def _backdrop(pen: Pen, rng: np.random.Generator, horizon: float) -> None:
    x = 0.0
    while x < 1.0:
        width, height = rng.uniform(0.1, 0.22), rng.uniform(0.08, 0.28)
        facade = ((170, 150, 140), (150, 155, 165), (185, 170, 150))[rng.integers(3)]
        pen.box(x, horizon - height, x + width, horizon, shade(rng, facade), _ID["building"])
        x += width
    pen.box(0, horizon, 1, 1, shade(rng, (190, 185, 180), 8), _ID["sidewalk"])
    name = ("wall", "fence", "terrain", "")[rng.integers(4)]
    if name:
        side = (0.0, 0.28) if rng.integers(2) else (0.72, 1.0)
        pen.box(side[0], horizon, side[1], horizon + 0.05, shade(rng, _BACKS[name]), _ID[name])
    asphalt = shade(rng, (88, 88, 92), 8)
    pen.poly([(0.32, horizon), (0.68, horizon), (1.05, 1), (-0.05, 1)], asphalt, _ID["road"])
    for i in range(4):
        y = horizon + (1 - horizon) * (i + 0.2) / 4
        line = [(0.5, y), (0.5, y + (1 - horizon) * 0.09)]
        pen.line(line, (240, 240, 240), 0.012, _ID["road"])
