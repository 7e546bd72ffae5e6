r"""Spatial frequencies of an image: radius, bands of radii, and the energy in each band.

The spectrum is centred: frequency zero (DC, the mean of the image) lies at row H // 2 and column
W // 2 of ``fftshift(fft2(image))``, and the radius r of a frequency is its distance from there, in
pixels of the spectrum. With P = |F|² of one channel in [0, 1], r_max the largest radius, and B
bands between B + 1 edges::

    log          edges = geomspace(1, r_max + 1, B + 1) - 1
    equal        edges = linspace(0, r_max, B + 1)
    percentile   edges = the 0, 100/B, ..., 100 percentiles of r over all frequencies
    E_b          = mean of P over edge_b <= r < edge_{b+1}, then over the channels

The first band holds DC, and the last one its upper edge. Radial scheme of the code of "Same Answer,
Different Representations" (arXiv 2602.06652), whose default is ``log`` with three bands.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

FloatArray: TypeAlias = NDArray[np.float64]
BoolArray: TypeAlias = NDArray[np.bool_]
Scheme: TypeAlias = Literal["log", "equal", "percentile"]


def radius(height: int, width: int) -> FloatArray:
    """Return the distance of each frequency of the centred spectrum from DC.

    Returns
    -------
    array
        Shape (height, width), in pixels, 0 at DC.
    """
    rows = np.arange(height, dtype=np.float64) - height // 2
    columns = np.arange(width, dtype=np.float64) - width // 2
    return np.hypot(rows[:, None], columns[None, :])


def relative_radius(height: int, width: int) -> FloatArray:
    """Return :func:`radius` over its largest value, in [0, 1]; 0 of an image of one pixel."""
    found = radius(height, width)
    largest = float(found.max())
    return found / largest if largest else found


def low_mask(height: int, width: int, cutoff: float) -> BoolArray:
    """Return which frequencies of the centred spectrum lie at or below a cutoff.

    Parameters
    ----------
    height, width
        Size of the image in pixels.
    cutoff
        In [0, 1], of the largest radius: 1 keeps all, 0 keeps DC alone.

    Returns
    -------
    array
        Shape (height, width). Its complement is the high-pass mask.
    """
    kept: BoolArray = relative_radius(height, width) <= cutoff
    return kept


def band_edges(height: int, width: int, scheme: Scheme = "log", bands: int = 3) -> FloatArray:
    """Return the radii that separate the bands, in pixels.

    Parameters
    ----------
    height, width
        Size of the image in pixels.
    scheme
        ``log`` (the published default), ``equal`` or ``percentile``; see the module.
    bands
        How many bands, 1 or more.

    Returns
    -------
    array
        Shape (bands + 1,), rising from 0 to the largest radius.
    """
    radii = radius(height, width)
    largest = float(radii.max())
    if scheme == "percentile":
        edges = np.percentile(radii, np.linspace(0, 100, bands + 1))
    elif scheme == "equal":
        edges = np.linspace(0, largest, bands + 1)
    else:
        edges = np.geomspace(1, largest + 1, bands + 1) - 1
    edges[0], edges[-1] = 0.0, largest  # exactly, so that rounding loses no frequency
    return np.asarray(edges, dtype=np.float64)


def band_index(height: int, width: int, scheme: Scheme = "log", bands: int = 3) -> NDArray[np.intp]:
    """Return the band of each frequency of the centred spectrum, from 0.

    Returns
    -------
    array
        Shape (height, width). A band of a very small image may have no frequency.
    """
    inner = band_edges(height, width, scheme, bands)[1:-1]
    return np.digitize(radius(height, width), inner)


def spectrum(pixels: FloatArray) -> NDArray[np.complex128]:
    """Return the centred spectrum of each channel, shape (height, width, channels)."""
    return np.fft.fftshift(np.fft.fft2(pixels, axes=(0, 1)), axes=(0, 1))


def unit_pixels(image: Image.Image, size: tuple[int, int] | None = None) -> FloatArray:
    """Return an image's pixels in [0, 1], shape (height, width, 3).

    Parameters
    ----------
    image
        Read as RGB.
    size
        (width, height) to resize to first, bicubically; absent or the same, nothing is resized.
    """
    found = image.convert("RGB")
    if size is not None and size != found.size:
        found = found.resize(size, Image.Resampling.BICUBIC)
    return np.asarray(found, dtype=np.float64) / 255


def band_energies(
    image: Image.Image | FloatArray,
    scheme: Scheme = "log",
    bands: int = 3,
    size: tuple[int, int] | None = None,
) -> FloatArray:
    """Return the mean power in each band, averaged over the channels.

    Parameters
    ----------
    image
        An image, or pixels in [0, 1] of shape (height, width, channels).
    scheme, bands
        As for :func:`band_edges`.
    size
        (width, height) that an image is resized to first, bicubically: that of the clean image
        which it is compared with.

    Returns
    -------
    array
        Shape (bands,), lowest first; NaN for a band without a frequency.
    """
    pixels = unit_pixels(image, size) if isinstance(image, Image.Image) else image
    power = (np.abs(spectrum(pixels)) ** 2).mean(axis=2)
    height, width = power.shape
    index = band_index(height, width, scheme, bands).ravel()
    counts = np.bincount(index, minlength=bands)
    sums = np.bincount(index, weights=power.ravel(), minlength=bands)
    energies = np.full(bands, np.nan)
    np.divide(sums, counts, out=energies, where=counts > 0)
    return energies
