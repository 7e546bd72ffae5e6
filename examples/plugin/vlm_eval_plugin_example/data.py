"""A data source: drawn arrows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from PIL import Image, ImageDraw
from pydantic import Field

from vlm_eval.core.hashing import digest
from vlm_eval.core.options import configurable
from vlm_eval.core.types import Condition, ImageRef
from vlm_eval.data.base import Row, SourceInfo

SIZE = 96
VERSION = 1


@configurable
class Arrows:
    """Drawn arrows that point to the left or to the right, by turns.

    Attributes
    ----------
    count
        Number of arrows, 1 or more.
    embedded
        No difference: the arrows are always drawn.
    """

    count: Annotated[int, Field(ge=1)] = 8
    embedded: bool = False

    def info(self) -> SourceInfo:
        """Return the provenance; the digest covers all that decides the rows."""
        return SourceInfo(
            digest(["arrows", VERSION, self.count]),
            synthetic=True,
            notice="synthetic: drawn arrows",
        )

    def rows(self) -> Iterator[Row]:
        """Yield one row an arrow: arrow, image, points_to."""
        for number in range(self.count):
            side = ("left", "right")[number % 2]
            yield {"arrow": f"arrow-{number}", "image": _image(side, number), "points_to": side}

    def fields(self, row: Row, condition: Condition) -> Row:  # noqa: ARG002 - a source's signature
        """Return the row: nothing here depends on the condition."""
        return row


def _image(side: str, number: int) -> ImageRef:
    key = digest(["arrow", VERSION, side, number])
    return ImageRef(key, lambda: _draw(side, number), f"arrow {number}")


def _draw(side: str, number: int) -> Image.Image:
    image = Image.new("RGB", (SIZE, SIZE), "white")
    middle = SIZE // 4 + 6 * (number % 8)
    tip, tail = (12, SIZE - 12) if side == "left" else (SIZE - 12, 12)
    back = tip + (20 if side == "left" else -20)
    pen = ImageDraw.Draw(image)
    pen.line([(tail, middle), (back, middle)], fill="black", width=6)
    pen.polygon([(tip, middle), (back, middle - 12), (back, middle + 12)], fill="black")
    return image
