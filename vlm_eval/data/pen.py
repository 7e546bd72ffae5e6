"""A pen for drawn scenes: shapes in shares of the canvas, on an image and on its label map at once.

The embedded stand-ins for data sets that are not at hand are drawn with it. Every stroke may carry
a class id, so that the segmentation mask is exact by construction.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

Colour = tuple[int, int, int]
Point = tuple[float, float]


@dataclass(frozen=True)
class Frame:
    """Where a drawing lies on the canvas: its coordinates are scaled, shifted and maybe mirrored.

    Attributes
    ----------
    x, y
        Where the drawing's centre bottom (0.5, 1.0) goes, in shares of the canvas.
    scale
        Size of the drawing's unit square, in shares of the canvas.
    mirror
        Whether left and right are exchanged.
    """

    x: float = 0.5
    y: float = 1.0
    scale: float = 1.0
    mirror: bool = False

    def place(self, point: Point) -> Point:
        """Return the canvas coordinates of a point of the drawing."""
        across = (0.5 - point[0]) if self.mirror else (point[0] - 0.5)
        return self.x + across * self.scale, self.y + (point[1] - 1.0) * self.scale


class Pen:
    """Draws on an RGB image and, where a label is given, on a label map of the same size.

    Parameters
    ----------
    size
        Width and height in px.
    paper
        Background colour.
    label
        Class id of the background, 0 to 255.
    """

    def __init__(self, size: int, paper: Colour, label: int = 0) -> None:
        self.size = size
        self.image = Image.new("RGB", (size, size), paper)
        self.labels = Image.new("L", (size, size), label)
        self._draw, self._mark = ImageDraw.Draw(self.image), ImageDraw.Draw(self.labels)
        self.frame = Frame()

    def _px(self, points: Sequence[Point]) -> list[Point]:
        return [(x * self.size, y * self.size) for x, y in map(self.frame.place, points)]

    def _box(self, x0: float, y0: float, x1: float, y1: float) -> tuple[float, float, float, float]:
        (a, b), (c, d) = self._px([(x0, y0), (x1, y1)])
        return min(a, c), min(b, d), max(a, c), max(b, d)

    def box(
        self, x0: float, y0: float, x1: float, y1: float, colour: Colour, label: int | None = None
    ) -> None:
        """Fill a rectangle given by two opposite corners."""
        self._draw.rectangle(self._box(x0, y0, x1, y1), fill=colour)
        if label is not None:
            self._mark.rectangle(self._box(x0, y0, x1, y1), fill=label)

    def oval(
        self, x: float, y: float, rx: float, ry: float, colour: Colour, label: int | None = None
    ) -> None:
        """Fill an ellipse given by centre and radii."""
        box = self._box(x - rx, y - ry, x + rx, y + ry)
        self._draw.ellipse(box, fill=colour)
        if label is not None:
            self._mark.ellipse(box, fill=label)

    def disc(self, x: float, y: float, r: float, colour: Colour, label: int | None = None) -> None:
        """Fill a circle."""
        self.oval(x, y, r, r, colour, label)

    def poly(self, points: Sequence[Point], colour: Colour, label: int | None = None) -> None:
        """Fill a polygon."""
        self._draw.polygon(self._px(points), fill=colour)
        if label is not None:
            self._mark.polygon(self._px(points), fill=label)

    def line(
        self, points: Sequence[Point], colour: Colour, width: float = 0.02, label: int | None = None
    ) -> None:
        """Draw connected segments; ``width`` in the drawing's units, at least 1 px."""
        px = max(1, round(width * self.frame.scale * self.size))
        self._draw.line(self._px(points), fill=colour, width=px, joint="curve")
        if label is not None:
            self._mark.line(self._px(points), fill=label, width=px, joint="curve")

    def ring(
        self, x: float, y: float, r: float, colour: Colour, width: float, label: int | None = None
    ) -> None:
        """Draw the outline of a circle; ``width`` as for :meth:`line`."""
        px = max(1, round(width * self.frame.scale * self.size))
        box = self._box(x - r, y - r, x + r, y + r)
        self._draw.ellipse(box, outline=colour, width=px)
        if label is not None:
            self._mark.ellipse(box, outline=label, width=px)


def shade(rng: np.random.Generator, colour: Colour, by: int = 14) -> Colour:
    """Return the colour with each channel moved by at most ``by``, within 0 to 255."""
    moved = np.clip(np.asarray(colour) + rng.integers(-by, by + 1, 3), 0, 255)
    return int(moved[0]), int(moved[1]), int(moved[2])
