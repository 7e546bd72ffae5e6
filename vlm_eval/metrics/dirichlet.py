"""Dirichlet energy: how much an image's tokens change from one to the next on their grid."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Energy(NamedTuple):
    """What `dirichlet_energy` gives.

    Attributes
    ----------
    energy
        Mean over the edges of the squared distance of the two tokens, 0 or more.
    mean_square
        Mean over the tokens of the squared norm; ``energy / mean_square`` has no scale.
    edges
        How many edges the mean is over.
    """

    energy: float
    mean_square: float
    edges: int


def dirichlet_energy(grid: NDArray[np.floating]) -> Energy:
    """Return the energy of a grid of tokens, each joined to its right and its lower neighbour.

    With tokens z on T frames, H rows and W columns

        E = (sum |z(t,y,x+1) - z(t,y,x)|^2 + sum |z(t,y+1,x) - z(t,y,x)|^2) / edges,
        edges = T H max(W - 1, 1) + T max(H - 1, 1) W

    (Wani et al., *Same Answer, Different Representations*, arXiv 2602.06652, the authors' code:
    confirmed; unweighted, features not normalised. The ``max`` is theirs.)

    Parameters
    ----------
    grid
        Shape (frames, rows, columns, width), each 1 or more; of any floating type. Sums are taken
        in float64.

    Raises
    ------
    ValueError
        If it has another number of axes, or is empty.
    """
    if grid.ndim != 4 or not grid.size:
        raise ValueError(f"a grid has frames, rows, columns and width, not shape {grid.shape}")
    tokens = np.asarray(grid, dtype=np.float64)
    frames, rows, columns, _ = tokens.shape
    edges = frames * (rows * max(columns - 1, 1) + max(rows - 1, 1) * columns)
    total = sum(_square(np.diff(tokens, axis=axis)) for axis in (1, 2))
    return Energy(total / edges, _square(tokens) / (frames * rows * columns), edges)


def _square(vectors: NDArray[np.float64]) -> float:
    return float(np.vdot(vectors, vectors))
