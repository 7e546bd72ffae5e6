"""Where the pixels are: shifts, borders, sizes, turns.

Sizes follow the perturbation families of arXiv 2602.06652 (its code, as the project's
specification records it); every resize is Pillow's bicubic one, which widens its kernel when it
shrinks.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import numpy as np
from PIL import Image, ImageOps
from pydantic import Field

from vlm_eval.core.options import configurable
from vlm_eval.transforms.colours import COLOURS

Offset = Annotated[int, Field(ge=-65_535, le=65_535)]


def _resize(image: Image.Image, width: float, height: float) -> Image.Image:
    """Resize to the nearest whole number of pixels, at least one each way."""
    size = max(1, round(width)), max(1, round(height))
    return image.resize(size, Image.Resampling.BICUBIC)


@configurable
class Translate:
    """Shift the content; what leaves on one side comes back on the other. The size stays.

    Attributes
    ----------
    dx
        Pixels to the right; negative to the left.
    dy
        Pixels down; negative up.
    """

    uses_seed: ClassVar[bool] = False

    dx: Offset
    dy: Offset = 0

    def __call__(self, image: Image.Image, seed: int) -> Image.Image:  # noqa: ARG002
        """Return the shifted image."""
        return Image.fromarray(np.roll(np.asarray(image), (self.dy, self.dx), axis=(0, 1)))


@configurable
class PadCrop:
    """Add a black border or cut one off; the canvas grows or shrinks by twice the border.

    Attributes
    ----------
    pixels
        Width of the border on each of the four sides, in pixels: positive adds, negative cuts.
        A cut that would leave nothing is not made: the result is a copy.
    """

    uses_seed: ClassVar[bool] = False

    pixels: Annotated[int, Field(ge=-4096, le=4096)]

    def __call__(self, image: Image.Image, seed: int) -> Image.Image:  # noqa: ARG002
        """Return the padded or cropped image."""
        if self.pixels >= 0:
            return ImageOps.expand(image, self.pixels, COLOURS["black"])
        if min(image.size) <= 2 * -self.pixels:
            return image.copy()
        return ImageOps.crop(image, -self.pixels)


@configurable
class Scale:
    """Resize both sides by a factor (bicubic).

    Attributes
    ----------
    factor
        New side over old side, above 0 and at most 8; sides are rounded, and at least 1 pixel.
    restore
        Resize back to the first size afterwards. False is what the paper's code does, true what its
        text says.
    """

    uses_seed: ClassVar[bool] = False

    factor: Annotated[float, Field(gt=0, le=8)]
    restore: bool = False

    def __call__(self, image: Image.Image, seed: int) -> Image.Image:  # noqa: ARG002
        """Return the resized image."""
        scaled = _resize(image, self.factor * image.width, self.factor * image.height)
        return _resize(scaled, *image.size) if self.restore else scaled


@configurable
class ScalePad:
    """Shrink (bicubic) and paste in the middle of a canvas of the first size.

    Attributes
    ----------
    factor
        New side over old side, above 0 and at most 1.
    fill
        Colour of the canvas.
    """

    uses_seed: ClassVar[bool] = False

    factor: Annotated[float, Field(gt=0, le=1)]
    fill: Literal["black", "white"] = "black"

    def __call__(self, image: Image.Image, seed: int) -> Image.Image:  # noqa: ARG002
        """Return the canvas; an odd pixel of margin goes right and below."""
        scaled = _resize(image, self.factor * image.width, self.factor * image.height)
        canvas = Image.new("RGB", image.size, COLOURS[self.fill])
        offset = (image.width - scaled.width) // 2, (image.height - scaled.height) // 2
        canvas.paste(scaled, offset)
        return canvas


@configurable
class Rotate:
    """Turn about the centre (bicubic).

    Attributes
    ----------
    degrees
        Angle, -360 to 360; positive turns counter-clockwise.
    fill
        Colour of the corners that the turn lays bare.
    expand
        Enlarge the canvas so that nothing is cut off; otherwise the size stays.
    """

    uses_seed: ClassVar[bool] = False

    degrees: Annotated[float, Field(ge=-360, le=360)]
    fill: Literal["black", "white"] = "white"
    expand: bool = True

    def __call__(self, image: Image.Image, seed: int) -> Image.Image:  # noqa: ARG002
        """Return the turned image."""
        return image.rotate(
            self.degrees,
            Image.Resampling.BICUBIC,
            expand=self.expand,
            fillcolor=COLOURS[self.fill],
        )


@configurable
class Flip:
    """Exchange top and bottom."""

    uses_seed: ClassVar[bool] = False

    def __call__(self, image: Image.Image, seed: int) -> Image.Image:  # noqa: ARG002
        """Return the flipped image."""
        return ImageOps.flip(image)


@configurable
class Downscale:
    """Lower the resolution: every new pixel is the mean of the square that it covers.

    Attributes
    ----------
    factor
        Side of that square in old pixels, 1 to 64: 2 halves both sides. New sides are rounded, and
        at least 1 pixel. 1 changes nothing.
    """

    uses_seed: ClassVar[bool] = False

    factor: Annotated[float, Field(ge=1, le=64)]

    def __call__(self, image: Image.Image, seed: int) -> Image.Image:  # noqa: ARG002
        """Return the smaller image."""
        size = max(1, round(image.width / self.factor)), max(1, round(image.height / self.factor))
        return image.resize(size, Image.Resampling.BOX)


@configurable
class MaxSide:
    """Shrink an image whose longer side exceeds a limit (bicubic); leave others as they are.

    Attributes
    ----------
    pixels
        The longest side allowed, 1 or more.
    """

    uses_seed: ClassVar[bool] = False

    pixels: Annotated[int, Field(ge=1)] = 1024

    def __call__(self, image: Image.Image, seed: int) -> Image.Image:  # noqa: ARG002
        """Return the image with its longer side at most ``pixels``, in the same proportions."""
        longest = max(image.size)
        if longest <= self.pixels:
            return image.copy()
        return _resize(image, *(side * self.pixels / longest for side in image.size))
