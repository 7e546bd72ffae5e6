"""At which size a vision tower reads each image, as told by what the image processor made of it.

Told by shapes and keys, never by a model's name: a grid of patches gives the size of each image,
one array of pixels an image gives the size of all. A processor that cuts an image into tiles, or
that fills it up, shows the tower something else than the image at one size; then nothing is said.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

from torch import Tensor

from vlm_eval.models.images import Tensors

Sizes: TypeAlias = tuple[tuple[int, int] | None, ...]
"""(width, height) in pixels for each image, None where it is not known."""


def sizes_read(tensors: Tensors, count: int, processor: Any) -> Sizes | None:
    """Return the size at which each of some images is read, None if it is known of none.

    What is read at that size is the whole image, stretched to it, or (where the processor says
    ``do_center_crop``) as much of its middle as has that shape.

    Parameters
    ----------
    tensors
        What the image processor made of them.
    count
        How many they are.
    processor
        The image processor.
    """
    pixels = tensors.get("pixel_values")
    if pixels is None or not all(isinstance(value, Tensor) for value in tensors.values()):
        return None
    kind = tensors.keys()
    if kind == {"pixel_values", "image_grid_thw"}:
        return _of_grids(pixels, tensors["image_grid_thw"], count, processor)
    if pixels.ndim != 4 or len(pixels) != count or not _cropped_to_size(processor):
        return None
    height, width = pixels.shape[2:]
    if kind == {"pixel_values", "image_sizes"}:  # filled up to the largest of the list
        return _known([(w, h) if w <= width and h <= height else None
                       for h, w in tensors["image_sizes"].tolist()])  # fmt: skip
    if kind == {"pixel_values"} and not getattr(processor, "do_pad", None):
        return ((width, height),) * count
    return None


def _of_grids(pixels: Tensor, grids: Tensor, count: int, processor: Any) -> Sizes | None:
    patch, frames = (getattr(processor, f"{name}patch_size", None) for name in ("", "temporal_"))
    if not isinstance(patch, int) or pixels[0].numel() != 3 * patch * patch * (frames or 1):
        return None
    if grids.shape != (count, 3):
        return None
    return tuple((patch * width, patch * height) for _, height, width in grids.tolist())


def _cropped_to_size(processor: Any) -> bool:
    """Say whether nothing is cropped, or a square as high or wide as the resized image."""
    if not getattr(processor, "do_center_crop", None):
        return True
    side = dict(processor.size or {}).get("shortest_edge")
    crop = dict(processor.crop_size or {})
    resized = bool(getattr(processor, "do_resize", None)) and side is not None
    return resized and crop.get("height") == crop.get("width") == side


def _known(sizes: Sequence[tuple[int, int] | None]) -> Sizes | None:
    return tuple(sizes) if any(size is not None for size in sizes) else None
