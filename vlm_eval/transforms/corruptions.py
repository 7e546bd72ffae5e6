"""Perceptual degradation: motion blur, low light and occlusion, sensor noise and compression.

The first three are those of arXiv 2601.08355, Table 1, with three severities each. What the table
leaves open (border, rounding, noise, position and colour) is the project's own choice; docs/
transforms.md says which is which.
"""

from __future__ import annotations

import io
import math
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydantic import Field, model_validator

from vlm_eval.core.errors import DataError
from vlm_eval.core.options import configurable
from vlm_eval.transforms.colours import COLOURS, mean_colour
from vlm_eval.transforms.severity import Kernel, Severity, resolve

JPEG_SIDE = 65_500  # pixels; libjpeg writes no longer side
STRETCH = (0.3, 3.3)  # of Random Erasing (Zhong et al. 2020)


@configurable
class MotionBlur:
    """Linear horizontal motion: each pixel becomes the mean of ``kernel`` pixels of its row.

    The border is reflected without repeating its edge pixel. A mean of an odd number of whole
    numbers is never halfway between two, so that rounding is exact everywhere.

    Attributes
    ----------
    kernel
        Length of the motion in pixels of the image as stored; odd, 1 to 1023. 1 changes nothing.
    severity
        1, 2 or 3 in place of the kernel: 7, 15, 25 (arXiv 2601.08355, Table 1).
    """

    uses_seed: ClassVar[bool] = False
    severities: ClassVar[Mapping[int, Mapping[str, float]]] = {
        1: {"kernel": 7},
        2: {"kernel": 15},
        3: {"kernel": 25},
    }

    severity: Severity = None
    kernel: Kernel

    @model_validator(mode="before")
    @classmethod
    def _by_severity(cls, given: Any) -> Any:
        return resolve(given, cls.severities)

    def __call__(self, image: Image.Image, seed: int) -> Image.Image:  # noqa: ARG002
        """Return the blurred image."""
        reach = self.kernel // 2
        padded = np.pad(np.asarray(image), ((0, 0), (reach + 1, reach), (0, 0)), mode="reflect")
        total = np.cumsum(padded, axis=1, dtype=np.int64)
        sums = total[:, self.kernel :] - total[:, : -self.kernel]
        return Image.fromarray(np.rint(sums / self.kernel).astype(np.uint8))


@configurable
class LowLight:
    """Darken by a gamma curve, then add the Gaussian noise of a sensor.

    With values v in 0 to 1, the result is ``clip(v ** gamma + sigma * z, 0, 1)``, where z is one
    standard normal field an image: all severities of an image share it, scaled.

    Attributes
    ----------
    gamma
        Exponent, 1 to 10; above 1 darkens.
    sigma
        Standard deviation of the noise, 0 to 1, in shares of the full scale.
    severity
        1, 2 or 3 in place of both: gamma 1.6, 2.2, 3.0 (arXiv 2601.08355, Table 1) with sigma 0.01,
        0.02, 0.03 (the project's choice for the table's "mild", "moderate" and "stronger").
    """

    uses_seed: ClassVar[bool] = True
    severities: ClassVar[Mapping[int, Mapping[str, float]]] = {
        1: {"gamma": 1.6, "sigma": 0.01},
        2: {"gamma": 2.2, "sigma": 0.02},
        3: {"gamma": 3.0, "sigma": 0.03},
    }

    severity: Severity = None
    gamma: Annotated[float, Field(ge=1, le=10)]
    sigma: Annotated[float, Field(ge=0, le=1)]

    @model_validator(mode="before")
    @classmethod
    def _by_severity(cls, given: Any) -> Any:
        return resolve(given, cls.severities)

    def __call__(self, image: Image.Image, seed: int) -> Image.Image:
        """Return the dark image."""
        # 256 powers by the C library, and not millions by whatever the processor offers.
        curve = np.array([math.pow(level / 255, self.gamma) for level in range(256)])
        return _with_noise(curve[np.asarray(image)], self.sigma, seed)


@configurable
class GaussianNoise:
    """Add independent Gaussian noise to every pixel and channel.

    Attributes
    ----------
    sigma
        Standard deviation, 0 to 1, in shares of the full scale (0.1 is 25.5 of 255).
    """

    uses_seed: ClassVar[bool] = True

    sigma: Annotated[float, Field(ge=0, le=1)]

    def __call__(self, image: Image.Image, seed: int) -> Image.Image:
        """Return the noisy image."""
        return _with_noise(np.asarray(image) / 255, self.sigma, seed)


def _with_noise(values: NDArray[np.float64], sigma: float, seed: int) -> Image.Image:
    """Return values of 0 to 1, shape (height, width, 3), plus noise, as an image."""
    noise = np.random.Generator(np.random.PCG64(seed)).standard_normal(values.shape)
    noise *= sigma
    noise += values
    return Image.fromarray(np.rint(np.clip(noise, 0, 1) * 255).astype(np.uint8))


@configurable
class Occlusion:
    """Hide one rectangle at a random place.

    Place and shape are drawn once an image: the rectangles of all areas (with the aspect
    ``random``, up to 0.3) share them and lie in one another.

    Attributes
    ----------
    area
        Share of the image to hide, 0 to 1. Sides are rounded to whole pixels: from 224 pixels a
        side the share is exact to 0.003, from 512 to 0.001.
    fill
        Colour of the rectangle: black, the image's mean colour, or uniform noise.
    aspect
        Proportions: ``image``, those of the image; ``random``, those stretched by a factor from
        0.3 to 3.3, log-uniform, as far as the rectangle fits.
    severity
        1, 2 or 3 in place of the area: 0.08, 0.15, 0.25 (arXiv 2601.08355, Table 1).
    """

    uses_seed: ClassVar[bool] = True
    severities: ClassVar[Mapping[int, Mapping[str, float]]] = {
        1: {"area": 0.08},
        2: {"area": 0.15},
        3: {"area": 0.25},
    }

    severity: Severity = None
    area: Annotated[float, Field(ge=0, le=1)]
    fill: Literal["black", "mean", "noise"] = "black"
    aspect: Literal["image", "random"] = "image"

    @model_validator(mode="before")
    @classmethod
    def _by_severity(cls, given: Any) -> Any:
        return resolve(given, cls.severities)

    def __call__(self, image: Image.Image, seed: int) -> Image.Image:
        """Return the image with the rectangle on it."""
        rng = np.random.Generator(np.random.PCG64(seed))
        u, v = rng.random(2).tolist()
        shares = self._shares(rng)
        width, height = (
            round(share * side) for share, side in zip(shares, image.size, strict=True)
        )
        # Rounded down, and not to the nearest even, so that the rectangles are nested to the pixel.
        left, top = int(u * (image.width - width)), int(v * (image.height - height))
        rows, columns = slice(top, top + height), slice(left, left + width)
        pixels = np.array(image)
        if self.fill == "noise":
            pixels[rows, columns] = rng.integers(0, 256, pixels.shape, np.uint8)[rows, columns]
        else:
            colour = mean_colour(image) if self.fill == "mean" else COLOURS["black"]
            pixels[rows, columns] = colour
        return Image.fromarray(pixels)

    def _shares(self, rng: np.random.Generator) -> tuple[float, float]:
        """Return the rectangle's width and height in shares of the image's."""
        side = math.sqrt(self.area)
        if self.aspect == "image":
            return side, side
        low, high = STRETCH
        stretch = math.sqrt(math.exp(rng.uniform(math.log(low), math.log(high))))
        stretch = min(max(stretch, side), 1 / side) if side else stretch
        return side * stretch, side / stretch


@configurable
class Jpeg:
    """Compress as JPEG (4:2:0 chroma, standard tables) and decompress.

    Attributes
    ----------
    quality
        libjpeg's quality, 1 (worst) to 100.
    """

    uses_seed: ClassVar[bool] = False

    quality: Annotated[int, Field(ge=1, le=100)]

    def __call__(self, image: Image.Image, seed: int) -> Image.Image:  # noqa: ARG002
        """Return the image after the lossy round trip.

        Raises
        ------
        DataError
            If a side is longer than JPEG allows, 65,500 pixels.
        """
        if max(image.size) > JPEG_SIDE:
            raise DataError(f"a side is longer than JPEG's {JPEG_SIDE:,} pixels", hint="scale it")
        file = io.BytesIO()
        image.save(file, "JPEG", quality=self.quality, subsampling="4:2:0")
        with Image.open(file, formats=["JPEG"]) as decoded:
            return decoded.convert("RGB")
