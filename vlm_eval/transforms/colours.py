"""The colours that transforms fill with."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from PIL import Image

Colour = tuple[int, int, int]
COLOURS: Mapping[str, Colour] = {
    "black": (0, 0, 0), "gray": (127, 127, 127), "white": (255, 255, 255),
}  # fmt: skip


def mean_colour(image: Image.Image) -> Colour:
    """Return an RGB image's mean, channel by channel, to the nearest of 0 to 255."""
    pixels = np.asarray(image)
    total = pixels.sum(axis=(0, 1), dtype=np.int64)  # exact, whatever the order of summation
    red, green, blue = np.rint(total / (pixels.shape[0] * pixels.shape[1])).astype(int).tolist()
    return red, green, blue
