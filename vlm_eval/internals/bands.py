"""Bands of spatial frequency as masks: what lies in them, and what has leaked out.

Frequency radius and cutoff as in :mod:`vlm_eval.data.frequency`: the distance from frequency zero
over the largest distance.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import numpy as np
import torch
from torch import Tensor

from vlm_eval.data.frequency import relative_radius

Mode: TypeAlias = Literal["pixel", "low", "high"]


def mask(mode: Mode, images: Tensor, cutoff: float) -> Tensor | None:
    """Return which frequencies of images' ``fft2`` belong to a mode, None for all of them.

    ``low`` is r <= cutoff, with the mean; ``high`` is r >= cutoff. Boolean, shape (height, width).
    """
    height, width = images.shape[-2:]
    if mode == "pixel":
        return None
    radius = relative_radius(height, width)
    kept = radius <= cutoff if mode == "low" else radius >= cutoff
    return torch.from_numpy(np.fft.ifftshift(kept)).to(images.device)


def project(images: Tensor, kept: Tensor | None) -> Tensor:
    """Return what images have in a band; real, shape (..., height, width)."""
    if kept is None:
        return images
    found: Tensor = torch.fft.ifft2(torch.fft.fft2(images) * kept).real
    return found


def energies(images: Tensor, kept: Tensor) -> tuple[float, float]:
    """Return the energy that images have within a band, and all of it (Σ |F|² over all axes)."""
    power = torch.fft.fft2(images.double()).abs().square()
    return float((power * kept).sum()), float(power.sum())
