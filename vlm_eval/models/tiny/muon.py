"""Muon: momentum, then the nearest semi-orthogonal matrix (Jordan et al. 2024).

Same-shape matrices are stacked, so that the Newton-Schulz iterations are a few large products.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

import torch
from torch import Tensor

# Quintic coefficients of the Newton-Schulz iteration, Jordan et al. 2024.
A, B, C = 3.4445, -4.7750, 2.0315


def orthogonal(matrix: Tensor, steps: int = 5) -> Tensor:
    """Return the approximate U V^T of each matrix, shape (..., rows, columns)."""
    x = matrix / (matrix.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    tall = x.shape[-2] > x.shape[-1]
    if tall:
        x = x.transpose(-1, -2)
    for _ in range(steps):
        gram = x @ x.transpose(-1, -2)
        x = A * x + (B * gram + C * (gram @ gram)) @ x
    result: Tensor = x.transpose(-1, -2) if tall else x
    return result


class Muon:
    """The optimizer of the hidden matrices; everything else goes to AdamW.

    Parameters
    ----------
    parameters
        2-D tensors with gradients.
    momentum, decay
        Momentum in [0, 1) and decoupled weight decay a step of size 1.
    """

    def __init__(
        self, parameters: Iterable[Tensor], momentum: float = 0.95, decay: float = 0.01
    ) -> None:
        self.momentum, self.decay = momentum, decay
        self.groups: dict[tuple[int, ...], list[Tensor]] = defaultdict(list)
        for parameter in parameters:
            self.groups[tuple(parameter.shape)].append(parameter)
        self.buffers = {
            shape: torch.zeros(len(group), *shape, device=group[0].device)
            for shape, group in self.groups.items()
        }

    @torch.no_grad()
    def step(self, rate: float) -> None:
        """Take one step of a learning rate; parameters without a gradient stand still."""
        for shape, group in self.groups.items():
            if any(parameter.grad is None for parameter in group):
                continue
            gradient = torch.stack([p.grad for p in group if p.grad is not None])
            buffer = self.buffers[shape].mul_(self.momentum).add_(gradient)
            scale = max(1.0, shape[0] / shape[1]) ** 0.5
            update = orthogonal(gradient + self.momentum * buffer) * scale
            for parameter, delta in zip(group, update, strict=True):
                parameter.mul_(1 - rate * self.decay).add_(delta, alpha=-rate)
