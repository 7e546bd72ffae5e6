"""The two noise-floor controls and the blur of the decay papers."""

from __future__ import annotations

import io
from typing import Annotated, ClassVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydantic import AfterValidator, Field

from vlm_eval.core.options import configurable


@configurable
class Identity:
    """The same pixels: a control that measures how much asking again changes."""

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


def _odd(kernel: int) -> int:
    if kernel % 2 == 0:
        raise ValueError("the kernel must be odd, so that it has a middle")
    return kernel


@configurable
class GaussianBlur:
    """Gaussian blur named by its kernel size, as OpenCV's ``GaussianBlur(image, (k, k), 0)`` is.

    The standard deviation is ``0.3 * ((k - 1) / 2 - 1) + 0.8`` pixels, the kernel is cut at ``k``
    pixels and normalised, the border is reflected without repeating its edge pixel, and the sum is
    rounded once, to the nearest even where it ties. (OpenCV itself has fixed taps for k of 7 and
    less and rounds in fixed point, so its pixels may differ by 2 of 255.) Decay operator of
    arXiv 2606.06890, as specified in the project's reading of it.

    Attributes
    ----------
    kernel
        Side of the square kernel in pixels of the image as stored; odd, 1 to 1023. 1 changes
        nothing.
    """

    uses_seed: ClassVar[bool] = False

    kernel: Annotated[int, Field(ge=1, le=1023), AfterValidator(_odd)]

    @property
    def sigma(self) -> float:
        """The standard deviation in pixels."""
        return 0.3 * ((self.kernel - 1) * 0.5 - 1) + 0.8

    @property
    def taps(self) -> NDArray[np.float64]:
        """The kernel's weights, shape (kernel,), with sum 1."""
        offsets = np.arange(self.kernel) - self.kernel // 2
        weights = np.exp(-((offsets / self.sigma) ** 2) / 2)
        taps: NDArray[np.float64] = weights / weights.sum()
        return taps

    def __call__(self, image: Image.Image, seed: int) -> Image.Image:  # noqa: ARG002
        """Return the blurred image."""
        from scipy.ndimage import correlate1d

        if self.kernel == 1:
            return image.copy()
        blurred = np.array(image)
        for channel in range(blurred.shape[2]):  # one at a time: float64 is eight times the memory
            plane = blurred[:, :, channel].astype(np.float64)
            for axis in (0, 1):
                plane = correlate1d(plane, self.taps, axis=axis, mode="mirror")
            blurred[:, :, channel] = np.rint(plane)
        return Image.fromarray(blurred)
