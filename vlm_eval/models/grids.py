"""Image features on their grid, where it is known.

The features are those that replace the image tokens, after the projector. Their number and the
prepared image tell the grid of most architectures; where an image was cut into tiles it is known
only if the whole image comes first.
"""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from vlm_eval.models.forward import VisionMemo
from vlm_eval.models.images import RECENT, Unit
from vlm_eval.models.inputs import Encoded
from vlm_eval.models.lru import Lru


class Grids:
    """The grids of images.

    Parameters
    ----------
    vision
        Where their features come from.
    config
        The model's configuration.
    """

    def __init__(self, vision: VisionMemo, config: Any) -> None:
        self._vision = vision
        patch = getattr(getattr(config, "vision_config", None), "patch_size", None)
        self._patch = patch if isinstance(patch, int) else None
        self._made: Lru[tuple[Any, ...], NDArray[np.float32] | str] = Lru(RECENT)

    def of(self, encoded: Encoded) -> list[NDArray[np.float32]] | str:
        """Return the grid of each image of a request, or why there is none.

        Shape (frames, rows, columns, width) each. Requests about one image get the same array,
        which is read-only.
        """
        units = encoded.images.units
        if len(units) != len(encoded.request.images):
            return "the tokens of its images cannot be told apart"
        grids = [self._made.get(unit.key, functools.partial(self._grid, unit)) for unit in units]
        faults = [grid for grid in grids if isinstance(grid, str)]
        return faults[0] if faults else [grid for grid in grids if not isinstance(grid, str)]

    def _grid(self, unit: Unit) -> NDArray[np.float32] | str:
        tokens = self._vision.tokens(unit)
        shape = self._shape(unit, len(tokens))
        if isinstance(shape, str):
            return shape
        vectors = tokens[: math.prod(shape)].float().cpu().numpy()
        grid: NDArray[np.float32] = vectors.reshape(*shape, -1).copy()
        grid.flags.writeable = False
        return grid

    def _shape(self, unit: Unit, count: int) -> tuple[int, int, int] | str:
        """Return frames, rows and columns of an image with some number of tokens."""
        patches, pixels = unit.tensors.get("image_grid_thw"), unit.tensors.get("pixel_values")
        if patches is not None and len(patches) == 1:
            frames, rows, columns = patches[0].tolist()
            return _scaled(rows, columns, count // frames, frames)
        if not isinstance(pixels, Tensor):
            return "the size of its prepared image is not known"
        tiles, (height, width) = math.prod(pixels.shape[:-3]), pixels.shape[-2:]
        if pixels.ndim == 5 and "image_sizes" in unit.tensors and self._patch is not None:
            # LLaVA-NeXT and LLaVA-OneVision: the whole image, then tiles with ends of lines.
            whole = height // self._patch, width // self._patch
            return (1, *whole) if math.prod(whole) <= count else _no_grid(count)
        if tiles > 1:
            return f"its image is cut into {tiles} tiles"
        return _scaled(height, width, count)


def _scaled(height: int, width: int, count: int, frames: int = 1) -> tuple[int, int, int] | str:
    """Return the grid of a number of cells that has the shape of a larger one."""
    rows = math.isqrt(count * height // width)
    columns = count // rows if rows else 0
    fits = rows * columns == count and rows * width == columns * height
    return (frames, rows, columns) if fits else _no_grid(count)


def _no_grid(count: int) -> str:
    return f"its {count} image tokens are no grid in the shape of the image"
