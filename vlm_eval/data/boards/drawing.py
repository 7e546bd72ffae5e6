"""The published geometry of the VLM-Fix drawings, at three times the final size.

A drawing is a ground (background, grid, empty holes) and at most one mark a cell: a disc or a
letter. Sizes and colours are those of the paper's code (Alam 2026, App. A; github.com/maveryn/
vlm-fix). All coordinates are pixels of the enlarged picture.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Literal, TypeAlias

from PIL import Image, ImageDraw, ImageFont

from vlm_eval.data.boards.games import GAMES

Style: TypeAlias = Literal["canonical", "checkerboard", "glyph"]
Color: TypeAlias = tuple[int, int, int]

SCALE = 3
SIZE = {"tictactoe": 384, "reversi": 480, "connect4": 448, "dots_boxes": 480}
"""Side of the finished picture in pixels."""

_WHITE, _BLACK = (255, 255, 255), (0, 0, 0)
_CHECKER_BACKGROUND, _CHECKER_FRAME = (246, 239, 229), (84, 62, 44)
_CHECKER_SQUARES = ((240, 217, 181), (181, 136, 99))
_FONT = "DejaVuSans-Bold.ttf"
_UNITS_PER_EM = 2048
_SMALLEST_FONT, _FONT_STEP = 8, 2


@dataclass(frozen=True)
class Mark:
    """What a cell holds: the disc of a player, or a letter at a font size."""

    disc: int = 0
    letter: str = ""
    font: int = 0


class Canvas:
    """An enlarged picture with a square grid of cells.

    Parameters
    ----------
    game
        Whose size and number of cells.
    margin
        From the picture's edge to the grid's, as a share of the picture.
    background
        Colour of the whole picture.
    """

    def __init__(self, game: str, margin: float, background: Color) -> None:
        self.side, self.cells = SCALE * SIZE[game], GAMES[game].size
        self.near = int(margin * self.side)
        self.far = self.side - self.near
        self.cell = (self.side - 2 * self.near) / self.cells
        self.image = Image.new("RGB", (self.side, self.side), background)
        self.draw = ImageDraw.Draw(self.image)

    def edge(self, index: int) -> int:
        """Return where the grid line of an index lies, to the nearest pixel."""
        return round(self.near + index * self.cell)

    def frame(self, color: Color, width: int, inside: Color) -> None:
        """Draw the grid's outer rectangle."""
        box = (self.near, self.near, self.far, self.far)
        self.draw.rectangle(box, fill=inside, outline=color, width=width)

    def lines(self, color: Color, width: int, *, inner: bool) -> None:
        """Draw the grid lines; only those between cells if `inner`."""
        for i in range(1, self.cells) if inner else range(self.cells + 1):
            at = self.edge(i)
            self.draw.line((at, self.near, at, self.far), fill=color, width=width)
            self.draw.line((self.near, at, self.far, at), fill=color, width=width)

    def checkerboard(self, frame: int) -> None:
        """Draw the squares, with a frame of that width around them."""
        low, high = self.near - frame, self.far + frame
        self.draw.rectangle((low, low, high, high), fill=_CHECKER_FRAME)
        for r in range(self.cells):
            for c in range(self.cells):
                box = (self.edge(c), self.edge(r), self.edge(c + 1), self.edge(r + 1))
                self.draw.rectangle(box, fill=_CHECKER_SQUARES[(r + c) % 2])

    def disc(self, row: int, column: int, inset: float, fill: Color, outline: Color) -> None:
        """Draw a disc that leaves a share of the cell free on each side."""
        gap = self.cell * inset
        left, top = self.near + column * self.cell, self.near + row * self.cell
        right, bottom = self.near + (column + 1) * self.cell, self.near + (row + 1) * self.cell
        box = (left + gap, top + gap, right - gap, bottom - gap)
        self.draw.ellipse(box, fill=fill, outline=outline, width=3)

    def letter(self, row: int, column: int, letter: str, size: int, color: Color) -> None:
        """Draw a letter in the middle of a cell.

        Pillow's own centring rounds half the letter's advance to a pixel, but takes the unhinted
        advance where the Raqm library is found and the hinted one where it is not, which moves
        some letters by a pixel. Here it is always the former, in FreeType's 26.6 fixed point:
        ``units * size / 32`` is the advance in 64ths of a pixel.
        """
        units = _font(_UNITS_PER_EM).getlength(letter)
        advance = math.floor(units * size / (_UNITS_PER_EM / 64) + 0.5)
        half = (advance // 2 + 32) // 64
        x = self.near + (column + 0.5) * self.cell
        y = self.near + (row + 0.5) * self.cell
        self.draw.text((x - half, y), letter, fill=color, font=_font(size), anchor="lm")


@cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    with resources.as_file(resources.files("vlm_eval") / "assets" / "fonts" / _FONT) as path:
        return ImageFont.truetype(str(path), size, layout_engine=ImageFont.Layout.BASIC)


@cache
def fitted_size(letter: str, start: int, side: float) -> int:
    """Return the largest size, going down from a start in twos, at which a letter fits a square."""
    for size in range(start, _SMALLEST_FONT, -_FONT_STEP):
        left, top, right, bottom = _font(size).getbbox(letter)
        if right - left <= side and bottom - top <= side:
            return size
    return _SMALLEST_FONT


def marks(game: str, style: Style, labels: tuple[str, str]) -> tuple[Mark, Mark]:
    """Return the marks of the two players: letters where the style shows letters, else discs."""
    side, start = _letter_room(game, style)
    if not side:
        return Mark(disc=1), Mark(disc=2)
    # In Dots and Boxes the first player's letter decides the size of both.
    fitted = (labels[0], labels[0]) if game == "dots_boxes" else labels
    one, two = (fitted_size(letter, start, side) for letter in fitted)
    return Mark(letter=labels[0], font=one), Mark(letter=labels[1], font=two)


@cache
def _letter_room(game: str, style: Style) -> tuple[float, int]:
    """Return the side of the square that a letter must fit, and the font size to start from.

    A side of 0 says that the style draws discs.
    """
    cell = ground(game, style).cell
    if game == "tictactoe":
        side = cell - 2 * int((0.20 if style == "checkerboard" else 0.22) * cell)
        return side, int(1.25 * side)
    if game == "dots_boxes":
        return 0.46 * cell, int(1.6 * (0.46 * cell))
    if style != "glyph":
        return 0, 0
    side = cell - 2 * (int(0.18 * cell) if game == "reversi" else 0.20 * cell)
    return side, int(1.20 * side)


def ground(game: str, style: Style) -> Canvas:
    """Return the empty board."""
    return _GROUND[game](style)


def put(canvas: Canvas, game: str, style: Style, cell: tuple[int, int], mark: Mark) -> None:
    """Draw a mark in the cell of a row and a column."""
    row, column = cell
    if mark.letter:
        color = _BLACK
        if game == "tictactoe" and style == "checkerboard":
            color = (246, 246, 246) if (row + column) % 2 else (24, 24, 24)
        canvas.letter(row, column, mark.letter, mark.font, color)
    elif game == "reversi":
        fill = (18, 18, 18) if mark.disc == 1 else (250, 250, 250)
        canvas.disc(row, column, 0.18, fill, (30, 30, 30))
    else:
        fill = (218, 45, 54) if mark.disc == 1 else (245, 212, 65)
        canvas.disc(row, column, 0.14, fill, _hole(style)[1])


def _tictactoe(style: Style) -> Canvas:
    if style == "checkerboard":
        canvas = Canvas("tictactoe", 0.11, _CHECKER_BACKGROUND)
        canvas.checkerboard(canvas.side // 96)
    else:
        canvas = Canvas("tictactoe", 0.12, _WHITE)
        canvas.lines((20, 20, 20), canvas.side // 80, inner=True)
    return canvas


def _reversi(style: Style) -> Canvas:
    if style == "checkerboard":
        canvas = Canvas("reversi", 0.08, _CHECKER_BACKGROUND)
        canvas.checkerboard(canvas.side // 120)
        return canvas
    glyph = style == "glyph"
    inside, ink = (_WHITE, (24, 24, 24)) if glyph else ((22, 118, 58), (12, 45, 24))
    canvas = Canvas("reversi", 0.08, inside)
    canvas.frame(ink, 6, inside)
    canvas.lines(ink, 6, inner=False)
    return canvas


def _connect4(style: Style) -> Canvas:
    if style == "glyph":
        canvas = Canvas("connect4", 0.10, _WHITE)
        canvas.frame((28, 28, 28), canvas.side // 180, _WHITE)
        canvas.lines((28, 28, 28), 6, inner=True)
        return canvas
    if style == "checkerboard":
        canvas = Canvas("connect4", 0.08, _CHECKER_BACKGROUND)
        canvas.checkerboard(canvas.side // 120)
    else:
        canvas = Canvas("connect4", 0.08, (245, 247, 255))
        box = (canvas.near, canvas.near, canvas.far, canvas.far)
        canvas.draw.rounded_rectangle(box, radius=canvas.side // 24, fill=(44, 90, 201))
    empty, outline = _hole(style)
    for row in range(canvas.cells):
        for column in range(canvas.cells):
            canvas.disc(row, column, 0.14, empty, outline)
    return canvas


def _hole(style: Style) -> tuple[Color, Color]:
    """Return the colours of an empty Connect Four hole and of every disc's outline."""
    if style == "checkerboard":
        return (242, 242, 242), (52, 52, 52)
    return (235, 239, 255), (42, 62, 122)


def _dots_boxes(style: Style) -> Canvas:
    checker = style == "checkerboard"
    canvas = Canvas("dots_boxes", 0.12, _CHECKER_BACKGROUND if checker else _WHITE)
    if checker:
        canvas.checkerboard(canvas.side // 200)
    canvas.lines((92, 72, 52) if checker else (145, 145, 145), 6, inner=False)
    radius = round(0.07 * canvas.cell)
    for row in range(canvas.cells + 1):
        for column in range(canvas.cells + 1):
            x, y = canvas.near + column * canvas.cell, canvas.near + row * canvas.cell
            box = (x - radius, y - radius, x + radius, y + radius)
            canvas.draw.ellipse(box, fill=(18, 18, 18))
    return canvas


_GROUND: dict[str, Callable[[Style], Canvas]] = {
    "tictactoe": _tictactoe,
    "reversi": _reversi,
    "connect4": _connect4,
    "dots_boxes": _dots_boxes,
}
