"""Text on a white box in the middle of the image: the overlays of arXiv 2602.06652.

Geometry and colours are those of the paper's code, as the project's specification records them. The
font is bundled and the layout engine fixed, so that the pixels do not depend on the machine.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Annotated, Literal

from PIL import Image, ImageDraw, ImageFont
from pydantic import AfterValidator

from vlm_eval.core.hashing import derive_rng
from vlm_eval.core.options import configurable
from vlm_eval.transforms.colours import COLOURS, Colour

PADDING = 4  # pixels between the text and the edge of its box
RED: Colour = (255, 0, 0)
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
SHORTEST, LONGEST = 6, 12  # characters of a random text, before it is cut to fit
MAX_TEXT = 200  # characters
_FONT = Path(__file__).parents[1] / "assets" / "fonts" / "DejaVuSans.ttf"


def _one_line(text: str) -> str:
    line = " ".join(text.split())
    if not line or len(line) > MAX_TEXT:
        raise ValueError(f"the text must have 1 to {MAX_TEXT} characters")
    return line


@configurable
class TextOverlay:
    """Write a phrase on the image, or one of its two controls in a box of the same size.

    The font is DejaVu Sans of ``max(14, height // 32)`` pixels. The phrase's bounding box, as
    Pillow measures it, lies in the middle of the image; the white box is 4 pixels larger on each
    side. What does not fit the image is cut off.

    Attributes
    ----------
    text
        The phrase, 1 to 200 characters; line breaks become spaces. It fixes the box for every kind.
    kind
        ``semantic``: the phrase, red on white. ``random``: 6 to 12 letters and digits, cut from the
        right until they are no wider than the phrase; other ones for each image and phrase.
        ``empty``: the box alone, the control for what the box hides.
    """

    text: Annotated[str, AfterValidator(_one_line)]
    kind: Literal["semantic", "random", "empty"] = "semantic"

    @property
    def uses_seed(self) -> bool:
        """Whether the text is random."""
        return self.kind == "random"

    def __call__(self, image: Image.Image, seed: int) -> Image.Image:
        """Return the image with the box on it."""
        font = _font(max(14, image.height // 32))
        left, top, right, bottom = _bounds(self.text, font)
        box = Image.new(
            "RGB", (right - left + 2 * PADDING, bottom - top + 2 * PADDING), COLOURS["white"]
        )
        if self.kind == "semantic":
            _write(box, self.text, font)
        elif self.kind == "random":
            _write(box, random_text(seed, self.text, font), font)
        result = image.copy()
        result.paste(box, ((image.width - box.width) // 2, (image.height - box.height) // 2))
        return result


def random_text(seed: int, phrase: str, font: ImageFont.FreeTypeFont) -> str:
    """Return random capitals and digits that are no wider in a font than the phrase."""
    rng = derive_rng(seed, phrase)
    length = int(rng.integers(SHORTEST, LONGEST + 1))
    text = "".join(ALPHABET[i] for i in rng.integers(len(ALPHABET), size=length).tolist())
    while text and _width(text, font) > _width(phrase, font):
        text = text[:-1]
    return text


def _write(box: Image.Image, text: str, font: ImageFont.FreeTypeFont) -> None:
    """Write a text in the middle of a box."""
    left, top, right, bottom = _bounds(text, font)
    x, y = (box.width - (right - left)) // 2, (box.height - (bottom - top)) // 2
    ImageDraw.Draw(box).text((x - left, y - top), text, fill=RED, font=font)


def _bounds(text: str, font: ImageFont.FreeTypeFont) -> tuple[int, int, int, int]:
    left, top, right, bottom = font.getbbox(text)
    return int(left), int(top), int(right), int(bottom)


def _width(text: str, font: ImageFont.FreeTypeFont) -> int:
    left, _, right, _ = _bounds(text, font)
    return right - left


@lru_cache(maxsize=8)
def _font(size: int) -> ImageFont.FreeTypeFont:
    # The basic engine is always there; Raqm, which Pillow prefers, places letters its own way.
    return ImageFont.truetype(_FONT, size, layout_engine=ImageFont.Layout.BASIC)
