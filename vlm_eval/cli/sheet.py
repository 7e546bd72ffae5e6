"""A contact sheet: pictures in a grid, each with a label below."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

TILE, MARGIN, COLUMNS = 320, 16, 4  # pixels, pixels, tiles a row
FONT_SIZE, LINE, CHARACTERS = 15, 20, 34  # pixels, pixels, characters a line of a label
PAPER, INK, FRAME = (255, 255, 255), (20, 20, 20), (190, 190, 190)


def contact_sheet(pictures: Sequence[tuple[str, Image.Image]]) -> Image.Image:
    """Return one RGB image of all pictures, shrunk to tiles of at most 320 x 320 pixels.

    Parameters
    ----------
    pictures
        Label and RGB image of each, one or more, in reading order.
    """
    font = ImageFont.truetype(
        Path(__file__).parents[1] / "assets" / "fonts" / "DejaVuSans-Bold.ttf", FONT_SIZE
    )
    labels = [textwrap.wrap(label, CHARACTERS) or [""] for label, _ in pictures]
    text_height = LINE * max(map(len, labels))
    columns = min(COLUMNS, len(pictures))
    rows = -(-len(pictures) // columns)
    width, height = TILE + MARGIN, TILE + text_height + 2 * MARGIN
    sheet = Image.new("RGB", (columns * width + MARGIN, rows * height + MARGIN), PAPER)
    draw = ImageDraw.Draw(sheet)
    for i, ((_, picture), lines) in enumerate(zip(pictures, labels, strict=True)):
        left, top = MARGIN + (i % columns) * width, MARGIN + (i // columns) * height
        tile = picture.copy()
        tile.thumbnail((TILE, TILE), Image.Resampling.LANCZOS)
        sheet.paste(tile, (left, top))
        draw.rectangle((left - 1, top - 1, left + tile.width, top + tile.height), outline=FRAME)
        for row, line in enumerate(lines):
            draw.text((left, top + TILE + 4 + row * LINE), line, fill=INK, font=font)
    return sheet
