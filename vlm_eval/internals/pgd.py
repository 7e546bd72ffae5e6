"""Projected gradient descent on the pixels of an image, if asked within a band of frequencies.

Each of the steps, with s the score to be made small, δ the change, x the clean image::

    δ <- δ - step · sign(∂s/∂δ)
    δ <- F⁻¹(mask · F(δ))            low and high only
    δ <- clamp(δ, -eps, eps)
    δ <- clamp(x + δ, black, white) - x

which is the published order ("Same Answer, Different Representations", arXiv 2602.06652, by the
first author's code). The two clamps come after the projection, so that some of δ's energy lies
outside the band in the end.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import torch
from torch import Tensor

from vlm_eval.core.errors import ModelError
from vlm_eval.internals.bands import project

Clamp: TypeAlias = Literal["literal", "shrink"]
Score: TypeAlias = Callable[[Sequence[Tensor]], Tensor]


@dataclass(frozen=True)
class Budget:
    """How far pixels may be moved, in the units of the views.

    Attributes
    ----------
    eps, step
        Largest change, and change in a step; shape (3, 1, 1).
    low, high
        The values of black and white; shape (3, 1, 1).
    steps
        How many.
    clamp
        ``literal``: what exceeds eps is cut off, as published. ``shrink``: the whole change is made
        smaller until nothing does, which leaks nothing out of the band; the clamp to valid pixels
        still does.
    """

    eps: Tensor
    step: Tensor
    low: Tensor
    high: Tensor
    steps: int
    clamp: Clamp = "literal"


def descend(
    score: Score,
    clean: Sequence[Tensor],
    budget: Budget,
    masks: Sequence[Tensor | None],
    start: Sequence[Tensor] | None = None,
) -> list[Tensor]:
    """Return changes of the views that make a score small.

    Parameters
    ----------
    score
        A scalar of the changed views, differentiable.
    clean
        The views, shape (count, 3, height, width) each.
    budget
        The limits.
    masks
        The band of each view; None for all frequencies.
    start
        Changes to begin with; none if None.

    Raises
    ------
    ModelError
        If a gradient is not finite, or the score does not depend on the views.
    """
    changes = [torch.zeros_like(view) for view in clean] if start is None else list(start)
    changes = [
        fitted(change, view, budget, kept)
        for change, view, kept in zip(changes, clean, masks, strict=True)
    ]
    for _ in range(budget.steps):
        moving = [change.requires_grad_() for change in changes]
        value = score([view + change for view, change in zip(clean, moving, strict=True)])
        gradients = torch.autograd.grad(value, moving, allow_unused=True)
        changes = [
            fitted(change.detach() - budget.step * _sign(gradient), view, budget, kept)
            for change, gradient, view, kept in zip(moving, gradients, clean, masks, strict=True)
        ]
    return changes


def fitted(change: Tensor, view: Tensor, budget: Budget, kept: Tensor | None) -> Tensor:
    """Return a change brought into its band, within eps, and to valid pixels, in this order."""
    inside = project(change, kept)
    if budget.clamp == "shrink":
        most = (inside.abs() / budget.eps).amax(dim=(-3, -2, -1), keepdim=True)
        inside = inside / most.clamp(min=1.0)
    else:
        inside = inside.clamp(-budget.eps, budget.eps)
    return (view + inside).clamp(budget.low, budget.high) - view


def _sign(gradient: Tensor | None) -> Tensor:
    if gradient is None:
        raise ModelError("the score does not depend on the pixels")
    if not gradient.isfinite().all():
        raise ModelError("a gradient is not finite", hint="try another dtype: --dtype float32")
    return gradient.sign()
