"""Drawn pairs of one scene in two cultural contexts: eight themes of buildings, meals and dress.

Labels name a place where the drawn object is at home; neither side is right or wrong.
Nothing here is from MiSCHiEF.
"""

from __future__ import annotations

from vlm_eval.data.pairs.safety import BLUE, DARK, GREEN, RED, SKIN, WHITE, WOOD, YELLOW, Theme
from vlm_eval.data.pen import Colour, Pen

SAND: Colour = (205, 165, 105)
STONE: Colour = (190, 185, 175)


def _meal(pen: Pen, other: bool) -> None:
    pen.box(0.0, 0.35, 1.0, 1.0, WOOD)
    pen.disc(0.42, 0.66, 0.26, WHITE)
    pen.disc(0.42, 0.66, 0.17, (225, 215, 200))
    if other:
        pen.box(0.8, 0.4, 0.84, 0.94, (220, 222, 228))
        for x in (0.74, 0.82, 0.9):
            pen.box(x - 0.02, 0.36, x + 0.02, 0.56, (220, 222, 228))
        pen.box(0.72, 0.54, 0.92, 0.6, (220, 222, 228))
    else:
        for x in (0.78, 0.88):
            pen.line([(x, 0.38), (x + 0.04, 0.96)], RED, 0.04)


def _shrine(pen: Pen, other: bool) -> None:
    pen.oval(0.5, 1.02, 0.6, 0.2, GREEN)
    if other:
        pen.box(0.3, 0.5, 0.7, 0.88, STONE)
        pen.poly([(0.26, 0.52), (0.5, 0.26), (0.74, 0.52)], (120, 70, 60))
        pen.box(0.47, 0.02, 0.53, 0.3, DARK)
        pen.box(0.4, 0.08, 0.6, 0.14, DARK)
        pen.box(0.44, 0.66, 0.56, 0.88, DARK)
    else:
        for i, width in enumerate((0.2, 0.3, 0.4)):
            y = 0.12 + i * 0.26
            pen.poly([(0.5 - width, y + 0.14), (0.5, y - 0.06), (0.5 + width, y + 0.14)], RED)
            pen.box(0.5 - width * 0.6, y + 0.14, 0.5 + width * 0.6, y + 0.24, (240, 225, 200))


def _street(pen: Pen, other: bool) -> None:
    pen.line([(0.0, 0.2), (1.0, 0.2)], DARK, 0.02)
    for i, x in enumerate((0.18, 0.5, 0.82)):
        if other:
            paint = (YELLOW, GREEN, BLUE)[i]
            pen.box(x - 0.13, 0.22, x + 0.13, 0.56, paint)
            for hole in (-0.06, 0.06):
                pen.disc(x + hole, 0.36, 0.035, WHITE)
            pen.poly([(x - 0.13, 0.56), (x, 0.68), (x + 0.13, 0.56)], paint)
        else:
            pen.oval(x, 0.44, 0.13, 0.18, RED)
            pen.box(x - 0.06, 0.24, x + 0.06, 0.29, YELLOW)
            pen.box(x - 0.02, 0.6, x + 0.02, 0.76, YELLOW)


def _dress(pen: Pen, other: bool) -> None:
    pen.disc(0.5, 0.16, 0.13, SKIN)
    if other:
        pen.box(0.36, 0.3, 0.64, 0.56, WHITE)
        pen.poly([(0.34, 0.56), (0.66, 0.56), (0.74, 0.82), (0.26, 0.82)], RED)
        for x in (0.38, 0.5, 0.62):
            pen.box(x - 0.015, 0.56, x + 0.015, 0.82, GREEN)
        pen.box(0.28, 0.66, 0.72, 0.7, GREEN)
        for x in (0.42, 0.58):
            pen.box(x - 0.03, 0.82, x + 0.03, 1.0, SKIN)
    else:
        pen.poly([(0.4, 0.3), (0.6, 0.3), (0.7, 1.0), (0.3, 1.0)], (90, 60, 160))
        for side in (-1, 1):
            tip = 0.5 + side * 0.34
            pen.poly([(0.5, 0.3), (tip, 0.36), (tip, 0.66), (0.5 + side * 0.1, 0.5)], (90, 60, 160))
        pen.box(0.36, 0.54, 0.64, 0.66, YELLOW)


def _boat(pen: Pen, other: bool) -> None:
    pen.box(0.0, 0.62, 1.0, 1.0, (50, 130, 200))
    if other:
        pen.poly([(0.06, 0.68), (0.94, 0.68), (0.8, 0.84), (0.2, 0.84)], RED)
        pen.disc(0.9, 0.46, 0.14, GREEN)
        pen.disc(0.95, 0.42, 0.03, WHITE)
        pen.line([(0.84, 0.68), (0.88, 0.5)], GREEN, 0.1)
        pen.line([(0.08, 0.7), (0.02, 0.44)], GREEN, 0.06)
    else:
        pen.poly(
            [(0.0, 0.5), (0.14, 0.7), (0.86, 0.7), (1.0, 0.5), (0.84, 0.84), (0.16, 0.84)], DARK
        )
        pen.disc(0.7, 0.3, 0.08, SKIN)
        pen.box(0.64, 0.38, 0.76, 0.7, WHITE)
        pen.line([(0.56, 0.2), (0.9, 0.96)], WOOD, 0.03)


def _house(pen: Pen, other: bool) -> None:
    if other:
        for i in range(4):
            pen.box(0.16, 0.52 + i * 0.12, 0.84, 0.62 + i * 0.12, WOOD)
        pen.poly([(0.06, 0.54), (0.5, 0.08), (0.94, 0.54)], (245, 248, 252))
        pen.box(0.44, 0.74, 0.58, 1.0, DARK)
    else:
        pen.box(0.2, 0.6, 0.8, 1.0, SAND)
        pen.oval(0.5, 0.58, 0.44, 0.36, (190, 150, 60))
        pen.box(0.2, 0.66, 0.8, 0.94, SAND)
        pen.oval(0.5, 0.92, 0.1, 0.2, DARK)


def _bread(pen: Pen, other: bool) -> None:
    pen.box(0.0, 0.7, 1.0, 1.0, (225, 225, 230))
    if other:
        pen.line([(0.12, 0.66), (0.88, 0.3)], (205, 145, 70), 0.2)
        for i in range(4):
            x = 0.24 + i * 0.16
            pen.line([(x, 0.54 - i * 0.075), (x + 0.07, 0.62 - i * 0.075)], (250, 225, 170), 0.03)
    else:
        for y in (0.62, 0.52, 0.42):
            pen.oval(0.5, y, 0.4, 0.12, (225, 180, 110))
            pen.oval(0.5, y - 0.02, 0.3, 0.07, (245, 215, 160))
        for x in (0.36, 0.52, 0.64):
            pen.disc(x, 0.4, 0.03, (150, 95, 50))


def _animal(pen: Pen, other: bool) -> None:
    coat = (235, 230, 220) if other else SAND
    pen.oval(0.42, 0.56, 0.28, 0.15, coat)
    for x in (0.24, 0.36, 0.5, 0.62):
        pen.box(x - 0.025, 0.6, x + 0.025, 1.0, coat)
    if other:
        pen.box(0.6, 0.12, 0.74, 0.56, coat)
        pen.box(0.62, 0.08, 0.9, 0.24, coat)
        pen.box(0.26, 0.42, 0.56, 0.58, RED)
    else:
        pen.disc(0.4, 0.38, 0.15, SAND)
        pen.line([(0.66, 0.58), (0.78, 0.6), (0.84, 0.3)], SAND, 0.09)
        pen.oval(0.9, 0.28, 0.11, 0.07, SAND)


THEMES: tuple[Theme, ...] = (
    Theme("meal", "A table is set with {}", ("chopsticks", "a fork"), ("Japan", "Italy"), _meal),
    Theme("worship", "A {} stands on a hill", ("pagoda", "church"), ("China", "Spain"), _shrine),
    Theme(
        "festival",
        "Paper {} hang over a street",
        ("lanterns", "flags"),
        ("China", "Mexico"),
        _street,
    ),
    Theme("dress", "A dancer wears a {}", ("kimono", "kilt"), ("Japan", "Scotland"), _dress),
    Theme("water", "A {} crosses the water", ("gondola", "dragon boat"), ("Italy", "China"), _boat),
    Theme(
        "home", "A family lives in a {}", ("round hut", "log cabin"), ("Kenya", "Norway"), _house
    ),
    Theme("bread", "A baker sells {}", ("flatbread", "baguettes"), ("India", "France"), _bread),
    Theme("animal", "A {} carries the load", ("camel", "llama"), ("Egypt", "Peru"), _animal),
)
