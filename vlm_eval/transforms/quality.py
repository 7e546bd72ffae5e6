"""How much of an image a transform left: the two numbers logged beside each degraded image."""

from __future__ import annotations

import math

import numpy as np
from PIL import Image


def psnr(image: Image.Image, reference: Image.Image) -> float | None:
    """Return the peak signal-to-noise ratio of an RGB image in dB, over all pixels and channels.

    ``10 log10(255**2 / mean squared difference)``: infinite for equal images, None for images of
    different sizes, whose pixels do not correspond.
    """
    if image.size != reference.size:
        return None
    difference = np.asarray(image, np.float64) - np.asarray(reference, np.float64)
    error = float(np.mean(difference**2))
    return 10 * math.log10(255**2 / error) if error else math.inf


def laplacian_variance(image: Image.Image) -> float:
    """Return the variance of an RGB image's Laplacian, a measure of sharpness (0 for one colour).

    Luma of ITU-R 601, four-neighbour Laplacian, border reflected without repeating its edge pixel:
    what ``cv2.Laplacian(grey, cv2.CV_64F).var()`` computes. In squared grey levels of 0 to 255.
    """
    grey = np.pad(np.asarray(image.convert("L"), np.float64), 1, mode="reflect")
    middle = grey[1:-1, 1:-1]
    around = grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:]
    return float(np.var(around - 4 * middle))
