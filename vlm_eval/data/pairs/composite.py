"""Two images as one picture, side by side and numbered, for models that take one image."""

from __future__ import annotations

from functools import cache
from importlib import resources

from PIL import Image, ImageDraw, ImageFont

from vlm_eval.core.hashing import digest
from vlm_eval.core.types import ImageRef

VERSION = 1
LABELS = ("1", "2")
LABEL_SHARE = 0.1
"""Height of the label strip, in shares of the images' height."""
GAP_SHARE = 0.05
"""Width of the gap between the images, in shares of their height."""


def side_by_side(left: ImageRef, right: ImageRef) -> ImageRef:
    """Return a reference to the composite, which is made when it is looked at."""

    def load() -> Image.Image:
        return compose(left.load(), right.load())

    key = digest(["side by side", VERSION, left.key, right.key])
    return ImageRef(key, load, f"{left.label} | {right.label}")


def compose(left: Image.Image, right: Image.Image) -> Image.Image:
    """Return two RGB images on white, the number 1 above the left one and 2 above the right one.

    Both get the larger of their heights (bicubic, sides in proportion), so that the smaller file is
    not the smaller picture.
    """
    height = max(left.height, right.height)
    images = [_to_height(image, height) for image in (left, right)]
    strip, gap = max(12, round(LABEL_SHARE * height)), max(4, round(GAP_SHARE * height))
    width = sum(image.width for image in images) + gap
    page = Image.new("RGB", (width, strip + height), "white")
    draw = ImageDraw.Draw(page)
    x = 0
    for image, label in zip(images, LABELS, strict=True):
        centre = (x + image.width / 2, strip / 2)
        draw.text(centre, label, fill="black", font=_font(round(0.8 * strip)), anchor="mm")
        page.paste(image, (x, strip))
        x += image.width + gap
    return page


def _to_height(image: Image.Image, height: int) -> Image.Image:
    if image.height == height:
        return image
    width = max(1, round(image.width * height / image.height))
    return image.resize((width, height), Image.Resampling.BICUBIC)


@cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    fonts = resources.files("vlm_eval") / "assets" / "fonts"
    with resources.as_file(fonts / "DejaVuSans-Bold.ttf") as path:
        return ImageFont.truetype(str(path), size, layout_engine=ImageFont.Layout.BASIC)
