"""The two noise-floor controls, and the blur of the decay papers with its terminal levels."""

from __future__ import annotations

import io
from typing import Annotated, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydantic import Field

from vlm_eval.core.options import configurable
from vlm_eval.transforms.colours import COLOURS, mean_colour
from vlm_eval.transforms.severity import Kernel


@configurable
class Identity:
    """The same pixels: a control that shows how much asking again changes, if at all."""

    uses_seed: ClassVar[bool] = False

    def __call__(self, image: Image.Image, seed: int) -> Image.Image:  # noqa: ARG002
        """Return a copy."""
        return image.copy()


@configurable
class Reencode:
    """The same pixels through a PNG file and back: a placebo for transforms that re-encode."""

    uses_seed: ClassVar[bool] = False

    def __call__(self, image: Image.Image, seed: int) -> Image.Image:  # noqa: ARG002
        """Return the image after a lossless round trip."""
        file = io.BytesIO()
        image.save(file, "PNG")
        with Image.open(file, formats=["PNG"]) as decoded:
            return decoded.convert("RGB")


@configurable
class GaussianBlur:
    """Gaussian blur named by its kernel size, as OpenCV's ``GaussianBlur(image, (k, k), 0)`` is.

    The standard deviation is ``0.3 * ((k - 1) / 2 - 1) + 0.8`` pixels, the kernel is cut at ``k``
    pixels and normalised, the border is reflected without repeating its edge pixel, and the sum is
    rounded once, to the nearest even where it ties. (OpenCV itself rounds in fixed point, so its
    pixels differ by up to 2 of 255, and has fixed taps for k of 7 and less, where they differ by up
    to 6.) Decay operator of arXiv 2606.06890, as specified in the project's reading of it.

    Attributes
    ----------
    kernel
        Side of the square kernel in pixels; odd, 1 to 1023. 1 changes nothing, in either space.
    space
        What the kernel's pixels are of: the image as stored (native), or the image at ``reference``
        pixels on its longer side (normalized), so that one level hides equally much of a thumbnail
        and of a photograph. Then the kernel is ``round(kernel * longer side / reference)``, the
        next odd number if that is even.
    reference
        Longer side in pixels for which a normalized kernel is meant, 1 or more.
    """

    uses_seed: ClassVar[bool] = False

    kernel: Kernel
    space: Literal["native", "normalized"] = "native"
    reference: Annotated[int, Field(ge=1)] = 512

    @property
    def sigma(self) -> float:
        """The standard deviation in pixels, before any normalization."""
        return sigma_of(self.kernel)

    @property
    def taps(self) -> NDArray[np.float64]:
        """The kernel's weights, shape (kernel,), with sum 1, before any normalization."""
        return gaussian_taps(self.kernel)

    def effective(self, size: tuple[int, int]) -> int:
        """Return the side of the kernel in pixels of an image of a size, (width, height)."""
        if self.space == "native" or self.kernel == 1:
            return self.kernel
        return round(self.kernel * max(size) / self.reference) | 1

    def __call__(self, image: Image.Image, seed: int) -> Image.Image:  # noqa: ARG002
        """Return the blurred image."""
        from scipy.ndimage import correlate1d

        taps = gaussian_taps(self.effective(image.size))
        if len(taps) == 1:
            return image.copy()
        blurred = np.array(image)
        for channel in range(blurred.shape[2]):  # one at a time: float64 is eight times the memory
            plane = blurred[:, :, channel].astype(np.float64)
            for axis in (0, 1):
                plane = correlate1d(plane, taps, axis=axis, mode="mirror")
            blurred[:, :, channel] = np.rint(plane)
        return Image.fromarray(blurred)


def sigma_of(kernel: int) -> float:
    """Return the standard deviation in pixels of a kernel of a size, by OpenCV's rule."""
    return 0.3 * ((kernel - 1) * 0.5 - 1) + 0.8


def gaussian_taps(kernel: int) -> NDArray[np.float64]:
    """Return the weights of a kernel of a size, shape (kernel,), with sum 1."""
    offsets = np.arange(kernel) - kernel // 2
    weights = np.exp(-((offsets / sigma_of(kernel)) ** 2) / 2)
    taps: NDArray[np.float64] = weights / weights.sum()
    return taps


@configurable
class Fill:
    """An image of one colour and the same size: nothing left to see.

    Attributes
    ----------
    colour
        ``mean``: the image's own mean, the limit of ever wider blur. ``gray``: (127, 127, 127).
        ``white``, ``black``.
    """

    uses_seed: ClassVar[bool] = False

    colour: Literal["mean", "gray", "white", "black"]

    def __call__(self, image: Image.Image, seed: int) -> Image.Image:  # noqa: ARG002
        """Return the blank image."""
        colour = mean_colour(image) if self.colour == "mean" else COLOURS[self.colour]
        return Image.new("RGB", image.size, colour)
