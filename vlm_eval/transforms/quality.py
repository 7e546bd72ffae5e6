"""How much of an image a transform left: numbers logged beside each degraded image."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image

_HALF = 5  # of the window of the structural similarity, without its middle


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


def ssim(image: Image.Image, reference: Image.Image) -> float | None:
    """Return the mean structural similarity of two RGB images, at most 1.

    Wang et al. 2004 (*IEEE TIP* 13), as published: luma of ITU-R 601, Gaussian windows of 11 x 11
    pixels with sigma 1.5 that lie within the image, K1 = 0.01, K2 = 0.03, L = 255. None for images
    of different sizes, or less than 11 pixels wide or high.
    """
    if image.size != reference.size or min(image.size) < 2 * _HALF + 1:
        return None
    from scipy.ndimage import gaussian_filter

    def mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
        smooth: NDArray[np.float64] = gaussian_filter(values, 1.5, radius=_HALF)
        return smooth[_HALF:-_HALF, _HALF:-_HALF]

    x, y = (np.asarray(one.convert("L"), np.float64) for one in (image, reference))
    mean_x, mean_y = mean(x), mean(y)
    var_x, var_y = mean(x * x) - mean_x**2, mean(y * y) - mean_y**2
    both = mean(x * y) - mean_x * mean_y
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    luminance = (2 * mean_x * mean_y + c1) / (mean_x**2 + mean_y**2 + c1)
    structure = (2 * both + c2) / (var_x + var_y + c2)
    return float(np.mean(luminance * structure))


def laplacian_variance(image: Image.Image) -> float:
    """Return the variance of an RGB image's Laplacian, a measure of sharpness (0 for one colour).

    Luma of ITU-R 601, four-neighbour Laplacian, border reflected without repeating its edge pixel:
    what ``cv2.Laplacian(grey, cv2.CV_64F).var()`` computes. In squared grey levels of 0 to 255.
    """
    grey = np.pad(np.asarray(image.convert("L"), np.float64), 1, mode="reflect")
    middle = grey[1:-1, 1:-1]
    around = grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:]
    return float(np.var(around - 4 * middle))
