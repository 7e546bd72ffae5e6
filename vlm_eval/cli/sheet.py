"""A contact sheet: pictures in a grid, each with a label below."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

TILE, MARGIN, COLUMNS = 320, 16, 4  # pixels, pixels, tiles a row
FONT_SIZE, LINE, CHARACTERS = 15, 20, 34  # pixels, pixels, characters a line of a label
PAPER, INK, FRAME = (255, 255, 255), (20, 20, 20), (190, 190, 190)


def contact_sheet(
    pictures: Sequence[tuple[str, Image.Image]], *, tile: int = TILE, columns: int = COLUMNS
) -> Image.Image:
    """Return one RGB image of all pictures, shrunk where they exceed a tile.

    Parameters
    ----------
    pictures
        Label and RGB image of each, one or more, in reading order.
    tile
        Longer side of the largest picture, in pixels.
    columns
        Tiles a row.
    """
    font = ImageFont.truetype(
        Path(__file__).parents[1] / "assets" / "fonts" / "DejaVuSans-Bold.ttf", FONT_SIZE
    )
    labels = [textwrap.wrap(label, CHARACTERS * tile // TILE) or [""] for label, _ in pictures]
    tiles = [picture.copy() for _, picture in pictures]
    for small in tiles:
        small.thumbnail((tile, tile), Image.Resampling.LANCZOS)
    columns = min(columns, len(pictures))
    heights = [small.height + LINE * len(lines) for small, lines in zip(tiles, labels, strict=True)]
    rows = [max(heights[i : i + columns]) + 2 * MARGIN for i in range(0, len(heights), columns)]
    width = tile + MARGIN
    sheet = Image.new("RGB", (columns * width + MARGIN, sum(rows) + MARGIN), PAPER)
    draw = ImageDraw.Draw(sheet)
    for i, (small, lines) in enumerate(zip(tiles, labels, strict=True)):
        left, top = MARGIN + (i % columns) * width, MARGIN + sum(rows[: i // columns])
        sheet.paste(small, (left, top))
        draw.rectangle((left - 1, top - 1, left + small.width, top + small.height), outline=FRAME)
        for row, line in enumerate(lines):
            draw.text((left, top + small.height + 4 + row * LINE), line, fill=INK, font=font)
    return sheet
