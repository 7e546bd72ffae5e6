"""Images with part of their spatial frequencies: below a cutoff, above it, or none but the mean.

A cutoff c is a radius of the centred spectrum over its largest radius (vlm_eval/data/frequency.py).
Low-pass keeps r <= c, high-pass keeps r > c and DC, so the two and the mean add up to the image::

    low_pass(c) + high_pass(c) - dc_only = image        before rounding and clipping to 0..255

Masks are sharp, so edges ring. Defined by this project: arXiv 2602.06652 says that answers need
"spectral coherence" across frequencies and gives no formula.
"""

from __future__ import annotations

from typing import Annotated, ClassVar

import numpy as np
from PIL import Image
from pydantic import Field

from vlm_eval.core.options import configurable
from vlm_eval.data.frequency import BoolArray, FloatArray, low_mask

Cutoff = Annotated[float, Field(ge=0, le=1)]

_DIGITS = 6  # A sum that is half-way between two grey levels is so on every machine.


@configurable
class LowPass:
    """The image without its fine detail: frequencies up to a cutoff, DC included.

    Attributes
    ----------
    cutoff
        Radius over the largest radius, 0 (the mean alone) to 1 (the image itself).
    """

    uses_seed: ClassVar[bool] = False

    cutoff: Cutoff

    def __call__(self, image: Image.Image, seed: int) -> Image.Image:  # noqa: ARG002
        """Return the smooth part of the image."""
        return _filtered(image, low_mask(image.height, image.width, self.cutoff))


@configurable
class HighPass:
    """The image without its coarse structure: frequencies above a cutoff, and DC.

    Attributes
    ----------
    cutoff
        Radius over the largest radius, 0 (the image itself) to 1 (the mean alone).
    """

    uses_seed: ClassVar[bool] = False

    cutoff: Cutoff

    def __call__(self, image: Image.Image, seed: int) -> Image.Image:  # noqa: ARG002
        """Return edges and textures on the image's mean colour."""
        size = image.height, image.width
        return _filtered(image, ~low_mask(*size, self.cutoff) | low_mask(*size, 0))


@configurable
class DcOnly:
    """The image's mean and no other frequency: what both passes share."""

    uses_seed: ClassVar[bool] = False

    def __call__(self, image: Image.Image, seed: int) -> Image.Image:  # noqa: ARG002
        """Return an image of one colour."""
        return _filtered(image, low_mask(image.height, image.width, 0))


def _filtered(image: Image.Image, kept: BoolArray) -> Image.Image:
    """Return the image with the kept frequencies of the centred spectrum, channel by channel."""
    pixels = np.array(image)
    mask = np.fft.ifftshift(kept)
    for channel in range(pixels.shape[2]):  # one at a time: a complex plane is 16 times the memory
        plane: FloatArray = np.fft.ifft2(np.fft.fft2(pixels[:, :, channel]) * mask).real
        pixels[:, :, channel] = np.rint(plane.round(_DIGITS)).clip(0, 255)
    return Image.fromarray(pixels)
