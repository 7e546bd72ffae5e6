"""Which entries of a processor's image tensor are which pixels, and what values pixels may have.

Two layouts are known: pictures as they are, shape (..., 3, height, width), each of which is one
*view* (a whole image, or a tile of one); and patches in the order of Qwen2-VL and its successors,
shape (patches, 3 · frames · patch · patch). Anything else is refused, and so is a processor that
says the second and does something else.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from vlm_eval.core.errors import ModelError
from vlm_eval.core.hashing import derive_rng

CHANNELS = 3
_TOLERANCE = 1e-3  # in units of a normalised pixel


class Layout(Protocol):
    """Takes the views out of a processor's tensor, and puts them back."""

    def views(self, values: Tensor) -> list[Tensor]:
        """Return the views, of one size each. Shape (count, 3, height, width)."""
        ...

    def values(self, views: Sequence[Tensor]) -> Tensor:
        """Return the tensor that holds these views."""
        ...


@dataclass(frozen=True)
class Pictures:
    """Views as they are; ``shape`` is the tensor's."""

    shape: torch.Size

    def views(self, values: Tensor) -> list[Tensor]:
        """Return all views, which have one size."""
        return [values.reshape(-1, *self.shape[-3:])]

    def values(self, views: Sequence[Tensor]) -> Tensor:
        """Return the tensor of all views."""
        return views[0].reshape(self.shape)


@dataclass(frozen=True)
class Patches:
    """Views cut into patches, those that are merged to one token next to each other.

    The axes of an image's patches are (row of tokens, column of tokens, row in the token, column in
    the token, channel, frame, y, x); a still image is the same in every frame.

    Attributes
    ----------
    grids
        Rows and columns of patches of each image.
    patch, merge, frames
        Pixels along a patch's side, patches along a token's side, frames in a patch.
    """

    grids: tuple[tuple[int, int], ...]
    patch: int
    merge: int
    frames: int

    def views(self, values: Tensor) -> list[Tensor]:
        """Return one view an image.

        Raises
        ------
        ModelError
            If an image's frames differ: it is no still image.
        """
        parts = torch.split(values, [rows * columns for rows, columns in self.grids])
        return [self._view(part, *grid) for part, grid in zip(parts, self.grids, strict=True)]

    def _view(self, part: Tensor, rows: int, columns: int) -> Tensor:
        merge, patch = self.merge, self.patch
        cut = part.reshape(
            rows // merge, columns // merge, merge, merge, CHANNELS, self.frames, patch, patch
        )
        still = cut[:, :, :, :, :, 0]
        if not torch.equal(cut, still.unsqueeze(5).expand_as(cut)):
            raise ModelError("the frames of a patch differ, as those of no still image do")
        whole = still.permute(4, 0, 2, 5, 1, 3, 6)
        return whole.reshape(1, CHANNELS, rows * patch, columns * patch)

    def values(self, views: Sequence[Tensor]) -> Tensor:
        """Return the tensor of patches."""
        return torch.cat([self._cut(v, *g) for v, g in zip(views, self.grids, strict=True)])

    def _cut(self, view: Tensor, rows: int, columns: int) -> Tensor:
        merge, patch = self.merge, self.patch
        whole = view.reshape(CHANNELS, rows // merge, merge, patch, columns // merge, merge, patch)
        still = whole.permute(1, 4, 2, 5, 0, 3, 6).unsqueeze(5)
        cut = still.expand(*still.shape[:5], self.frames, patch, patch)
        return cut.reshape(rows * columns, CHANNELS * self.frames * patch * patch)


def layout_of(tensors: Mapping[str, Any], processor: Any) -> Layout:
    """Return the layout of what a processor made of images.

    Parameters
    ----------
    tensors
        The processor's outputs, with ``pixel_values``.
    processor
        The image processor. Of patches, it is asked to prepare a random picture of the same size,
        which must come out where the layout says.

    Raises
    ------
    ModelError
        If the layout is none of the two, or images are padded.
    """
    pixels, grid = tensors["pixel_values"], tensors.get("image_grid_thw")
    mask = tensors.get("pixel_attention_mask")
    if mask is not None and not bool(torch.as_tensor(mask).all()):
        raise ModelError("its processor pads images, whose border would be changed too")
    if grid is None and pixels.ndim >= 4 and pixels.shape[-3] == CHANNELS:
        return Pictures(pixels.shape)
    if grid is None or pixels.ndim != 2:
        shapes = {name: list(getattr(value, "shape", ())) for name, value in tensors.items()}
        raise ModelError(
            f"it is not known where the pixels are in {shapes}",
            hint="known are (..., 3, height, width), and Qwen's patches with image_grid_thw",
        )
    made = _patches(pixels, grid, processor)
    _check(made, processor)
    return made


def _patches(pixels: Tensor, grid: Tensor, processor: Any) -> Patches:
    sizes = [getattr(processor, name, None) for name in ("patch_size", "merge_size")]
    patch, merge = (size if isinstance(size, int) else 0 for size in sizes)
    frames = getattr(processor, "temporal_patch_size", 1)
    fits = (
        patch > 0
        and merge > 0
        and bool((grid[:, 0] == 1).all())
        and len(pixels) == int(grid.prod(-1).sum())
        and pixels.shape[1] == CHANNELS * frames * patch * patch
    )
    if not fits:
        raise ModelError(
            f"its {list(pixels.shape)} pixels are no patches of {patch} px in grids {grid.tolist()}"
        )
    return Patches(tuple((int(r), int(c)) for _, r, c in grid.tolist()), patch, merge, frames)


def _check(made: Patches, processor: Any) -> None:
    """Raise ModelError unless the processor lays out a random picture as ``made`` does."""
    for rows, columns in set(made.grids):
        size = (rows * made.patch, columns * made.patch, CHANNELS)
        noise = derive_rng(0, "layout", rows, columns).integers(256, size=size, dtype=np.uint8)
        told = processor(images=[Image.fromarray(noise)], return_tensors="pt")
        bounds = Bounds.of(processor)
        wanted = torch.from_numpy(noise.astype(np.float32)).permute(2, 0, 1)[None] / 255
        one = Patches(((rows, columns),), made.patch, made.merge, made.frames)
        laid = one.values([bounds.normalised(wanted)])
        found = torch.as_tensor(told["pixel_values"]).float()
        if found.shape != laid.shape or not torch.allclose(found, laid, atol=_TOLERANCE):
            raise ModelError(
                f"{type(processor).__name__} lays out patches in another order than Qwen2-VL's",
                hint="gradients of its pixels are not supported",
            )


@dataclass(frozen=True)
class Bounds:
    """How a processor maps pixels in [0, 1] to its own values, by channel: (p - mean) / std.

    Attributes
    ----------
    mean, std
        Shape (3, 1, 1).
    """

    mean: Tensor
    std: Tensor

    @classmethod
    def of(cls, processor: Any) -> Bounds:
        """Return those of an image processor."""
        plain = not getattr(processor, "do_normalize", True)
        mean = 0.0 if plain else getattr(processor, "image_mean", 0.0)
        std = 1.0 if plain else getattr(processor, "image_std", 1.0)
        # Of pixels of 0 to 255, the processor's factor brings the largest to 1, if it is applied.
        factor = getattr(processor, "rescale_factor", 1 / 255)
        top = 255 * factor if getattr(processor, "do_rescale", True) else 255.0
        shift, scale = (_channels(value) / top for value in (mean, std))
        return cls(shift, scale)

    def to(self, device: torch.device) -> Bounds:
        """Return them on a device."""
        return Bounds(self.mean.to(device), self.std.to(device))

    def normalised(self, pixels: Tensor) -> Tensor:
        """Return the processor's values of pixels in [0, 1]."""
        return (pixels - self.mean) / self.std

    @property
    def low(self) -> Tensor:
        """The values of black."""
        return self.normalised(torch.zeros_like(self.mean))

    @property
    def high(self) -> Tensor:
        """The values of white."""
        return self.normalised(torch.ones_like(self.mean))

    def check(self, views: Sequence[Tensor]) -> None:
        """Raise ModelError if a view has values that no pixel has."""
        for view in views:
            over = (view - self.high).max().item()
            under = (self.low - view).max().item()
            if not math.isfinite(over + under) or max(over, under) > _TOLERANCE:
                raise ModelError(
                    "its prepared images have values that no pixel has, "
                    f"by {max(over, under):.3g} of the processor's units",
                    hint="image_mean, image_std and rescale_factor do not say how it normalises",
                )


def _channels(value: Any) -> Tensor:
    given = torch.as_tensor(value, dtype=torch.float32).reshape(-1, 1, 1)
    return given.expand(CHANNELS, 1, 1).clone()
