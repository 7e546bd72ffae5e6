"""Drawings of everyday things, under their COCO class names.

Each is drawn inside the unit square of the pen's frame, in one paint and a few fixed colours, and
marks what it covers on the label map.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from vlm_eval.data.pen import Colour, Pen

PAINTS: Mapping[str, Colour] = {
    "red": (205, 45, 45), "orange": (240, 140, 30), "yellow": (240, 205, 50),
    "green": (60, 150, 70), "blue": (50, 90, 200), "purple": (130, 70, 170),
    "brown": (140, 90, 50), "black": (40, 40, 45), "white": (240, 240, 235),
}  # fmt: skip
DARK: Colour = (35, 35, 40)
METAL: Colour = (165, 170, 180)
GLASS: Colour = (190, 225, 240)
SKIN: Colour = (225, 175, 140)
LEAF: Colour = (60, 140, 60)


def _person(pen: Pen, paint: Colour, label: int) -> None:
    pen.disc(0.5, 0.14, 0.12, SKIN, label)
    pen.box(0.34, 0.27, 0.66, 0.64, paint, label)
    for x in (0.42, 0.58):
        pen.box(x - 0.06, 0.64, x + 0.06, 0.99, DARK, label)


def _car(pen: Pen, paint: Colour, label: int) -> None:
    pen.box(0.03, 0.56, 0.97, 0.84, paint, label)
    pen.poly([(0.18, 0.57), (0.3, 0.32), (0.7, 0.32), (0.84, 0.57)], paint, label)
    pen.poly([(0.27, 0.56), (0.35, 0.38), (0.65, 0.38), (0.74, 0.56)], GLASS, label)
    for x in (0.24, 0.76):
        pen.disc(x, 0.84, 0.11, DARK, label)


def _bus(pen: Pen, paint: Colour, label: int) -> None:
    pen.box(0.02, 0.12, 0.98, 0.86, paint, label)
    for x in (0.08, 0.39, 0.7):
        pen.box(x, 0.22, x + 0.22, 0.5, GLASS, label)
    for x in (0.24, 0.76):
        pen.disc(x, 0.86, 0.1, DARK, label)


def _bicycle(pen: Pen, paint: Colour, label: int) -> None:
    for x in (0.24, 0.76):
        pen.ring(x, 0.72, 0.21, DARK, 0.05, label)
    pen.line([(0.24, 0.72), (0.42, 0.42), (0.7, 0.42), (0.76, 0.72)], paint, 0.06, label)
    pen.line([(0.42, 0.42), (0.52, 0.72), (0.7, 0.42)], paint, 0.06, label)
    pen.line([(0.66, 0.32), (0.82, 0.32)], DARK, 0.06, label)


def _traffic_light(pen: Pen, paint: Colour, label: int) -> None:
    pen.box(0.46, 0.6, 0.54, 0.99, METAL, label)
    pen.box(0.33, 0.02, 0.67, 0.64, paint, label)
    for y, light in ((0.13, "red"), (0.33, "yellow"), (0.53, "green")):
        pen.disc(0.5, y, 0.08, PAINTS[light], label)


def _stop_sign(pen: Pen, paint: Colour, label: int) -> None:
    pen.box(0.47, 0.55, 0.53, 0.99, METAL, label)
    a, b = 0.16, 0.38
    edge = [(-a, -b), (a, -b), (b, -a), (b, a), (a, b), (-a, b), (-b, a), (-b, -a)]
    pen.poly([(0.5 + x, 0.4 + y) for x, y in edge], paint, label)
    pen.box(0.22, 0.34, 0.78, 0.46, PAINTS["white"], label)


def _boat(pen: Pen, paint: Colour, label: int) -> None:
    pen.poly([(0.05, 0.7), (0.95, 0.7), (0.8, 0.92), (0.2, 0.92)], paint, label)
    pen.box(0.48, 0.08, 0.52, 0.7, DARK, label)
    pen.poly([(0.54, 0.12), (0.54, 0.64), (0.9, 0.64)], (250, 250, 245), label)


def _bench(pen: Pen, paint: Colour, label: int) -> None:
    for y in (0.3, 0.42, 0.6):
        pen.box(0.03, y, 0.97, y + 0.09, paint, label)
    for x in (0.12, 0.82):
        pen.box(x, 0.3, x + 0.06, 0.92, DARK, label)


def _umbrella(pen: Pen, paint: Colour, label: int) -> None:
    pen.box(0.48, 0.4, 0.52, 0.92, DARK, label)
    pen.line([(0.5, 0.92), (0.6, 0.96), (0.64, 0.86)], DARK, 0.04, label)
    pen.poly(
        [(0.03, 0.46), (0.16, 0.24), (0.34, 0.11), (0.5, 0.07), (0.66, 0.11), (0.84, 0.24),
         (0.97, 0.46), (0.74, 0.4), (0.5, 0.46), (0.26, 0.4)], paint, label,
    )  # fmt: skip


def _kite(pen: Pen, paint: Colour, label: int) -> None:
    pen.poly([(0.5, 0.02), (0.82, 0.34), (0.5, 0.72), (0.18, 0.34)], paint, label)
    pen.line([(0.5, 0.02), (0.5, 0.72)], DARK, 0.02, label)
    pen.line([(0.18, 0.34), (0.82, 0.34)], DARK, 0.02, label)
    pen.line([(0.5, 0.72), (0.58, 0.82), (0.46, 0.9), (0.54, 0.98)], DARK, 0.03, label)


def _cat(pen: Pen, paint: Colour, label: int) -> None:
    pen.line([(0.66, 0.9), (0.9, 0.84), (0.9, 0.56)], paint, 0.07, label)
    pen.oval(0.5, 0.74, 0.24, 0.24, paint, label)
    pen.disc(0.5, 0.36, 0.22, paint, label)
    for side in (-1, 1):
        x = 0.5 + side * 0.2
        pen.poly([(x, 0.06), (x, 0.34), (x - side * 0.16, 0.2)], paint, label)
        pen.disc(0.5 + side * 0.09, 0.34, 0.035, LEAF, label)


def _chair(pen: Pen, paint: Colour, label: int) -> None:
    pen.box(0.24, 0.04, 0.34, 0.98, paint, label)
    pen.box(0.24, 0.1, 0.62, 0.34, paint, label)
    pen.box(0.24, 0.52, 0.8, 0.62, paint, label)
    pen.box(0.7, 0.6, 0.8, 0.98, paint, label)


def _tv(pen: Pen, paint: Colour, label: int) -> None:
    pen.box(0.03, 0.14, 0.97, 0.76, paint, label)
    pen.box(0.09, 0.2, 0.91, 0.7, (90, 160, 210), label)
    pen.box(0.44, 0.76, 0.56, 0.86, paint, label)
    pen.box(0.28, 0.85, 0.72, 0.91, paint, label)


def _clock(pen: Pen, paint: Colour, label: int) -> None:
    pen.disc(0.5, 0.5, 0.44, paint, label)
    pen.disc(0.5, 0.5, 0.36, (250, 250, 245), label)
    pen.line([(0.5, 0.5), (0.5, 0.22)], DARK, 0.05, label)
    pen.line([(0.5, 0.5), (0.68, 0.6)], DARK, 0.06, label)


def _book(pen: Pen, paint: Colour, label: int) -> None:
    pen.box(0.04, 0.26, 0.96, 0.86, paint, label)
    for x in (0.08, 0.52):
        pen.box(x, 0.22, x + 0.4, 0.8, (250, 246, 230), label)
        for y in (0.34, 0.46, 0.58, 0.7):
            pen.box(x + 0.05, y, x + 0.35, y + 0.03, METAL, label)


def _vase(pen: Pen, paint: Colour, label: int) -> None:
    for x, tip in ((0.44, 0.28), (0.5, 0.5), (0.56, 0.72)):
        pen.line([(x, 0.5), (tip, 0.16)], LEAF, 0.04, label)
        pen.disc(tip, 0.13, 0.1, (235, 120, 170), label)
    pen.poly([(0.34, 0.44), (0.66, 0.44), (0.58, 0.58), (0.42, 0.58)], paint, label)
    pen.oval(0.5, 0.76, 0.22, 0.22, paint, label)


def _cup(pen: Pen, paint: Colour, label: int) -> None:
    pen.ring(0.74, 0.54, 0.19, paint, 0.07, label)
    pen.poly([(0.12, 0.24), (0.74, 0.24), (0.68, 0.88), (0.18, 0.88)], paint, label)
    pen.oval(0.43, 0.25, 0.31, 0.07, (90, 60, 40), label)


def _bottle(pen: Pen, paint: Colour, label: int) -> None:
    pen.box(0.34, 0.36, 0.66, 0.98, paint, label)
    pen.poly([(0.34, 0.37), (0.66, 0.37), (0.56, 0.22), (0.44, 0.22)], paint, label)
    pen.box(0.44, 0.06, 0.56, 0.24, paint, label)
    pen.box(0.42, 0.02, 0.58, 0.09, DARK, label)
    pen.box(0.34, 0.54, 0.66, 0.78, (245, 240, 225), label)


def _apple(pen: Pen, paint: Colour, label: int) -> None:
    pen.line([(0.5, 0.34), (0.55, 0.1)], PAINTS["brown"], 0.05, label)
    pen.oval(0.68, 0.17, 0.13, 0.06, LEAF, label)
    for x in (0.37, 0.63):
        pen.oval(x, 0.6, 0.29, 0.33, paint, label)


def _orange(pen: Pen, paint: Colour, label: int) -> None:
    pen.disc(0.5, 0.54, 0.38, paint, label)
    pen.disc(0.5, 0.2, 0.05, LEAF, label)
    for x, y in ((0.36, 0.5), (0.56, 0.44), (0.46, 0.68), (0.66, 0.62)):
        pen.disc(x, y, 0.02, (200, 105, 15), label)


def _banana(pen: Pen, paint: Colour, label: int) -> None:
    pen.poly(
        [(0.08, 0.24), (0.18, 0.5), (0.42, 0.66), (0.72, 0.62), (0.94, 0.4), (0.9, 0.64),
         (0.68, 0.86), (0.36, 0.88), (0.12, 0.66), (0.03, 0.28)], paint, label,
    )  # fmt: skip
    pen.box(0.02, 0.2, 0.1, 0.3, DARK, label)


def _pizza(pen: Pen, paint: Colour, label: int) -> None:
    pen.disc(0.5, 0.5, 0.45, (200, 140, 75), label)
    pen.disc(0.5, 0.5, 0.38, paint, label)
    for x, y in ((0.36, 0.36), (0.62, 0.32), (0.5, 0.54), (0.32, 0.64), (0.68, 0.62)):
        pen.disc(x, y, 0.08, PAINTS["red"], label)


@dataclass(frozen=True)
class Thing:
    """How a class is drawn, and in which paints (names of :data:`PAINTS`)."""

    draw: Callable[[Pen, Colour, int], None]
    paints: tuple[str, ...]


_VIVID = ("red", "blue", "green", "purple")
THINGS: Mapping[str, Thing] = {
    "person": Thing(_person, _VIVID),
    "bicycle": Thing(_bicycle, _VIVID),
    "car": Thing(_car, (*_VIVID, "white")),
    "bus": Thing(_bus, ("red", "blue", "yellow")),
    "boat": Thing(_boat, ("red", "blue", "brown")),
    "traffic light": Thing(_traffic_light, ("black",)),
    "stop sign": Thing(_stop_sign, ("red",)),
    "bench": Thing(_bench, ("brown", "green")),
    "cat": Thing(_cat, ("black", "orange", "white")),
    "umbrella": Thing(_umbrella, (*_VIVID, "yellow")),
    "kite": Thing(_kite, (*_VIVID, "yellow")),
    "bottle": Thing(_bottle, ("green", "blue", "brown")),
    "cup": Thing(_cup, (*_VIVID, "white")),
    "banana": Thing(_banana, ("yellow",)),
    "apple": Thing(_apple, ("red", "green")),
    "orange": Thing(_orange, ("orange",)),
    "pizza": Thing(_pizza, ("yellow",)),
    "chair": Thing(_chair, ("brown", "red", "blue")),
    "tv": Thing(_tv, ("black",)),
    "book": Thing(_book, _VIVID),
    "clock": Thing(_clock, ("black", "red", "blue")),
    "vase": Thing(_vase, ("blue", "purple", "white")),
}
"""Twenty-two of COCO's eighty classes, in COCO's order; label ``i + 1`` is the ``i``-th."""
