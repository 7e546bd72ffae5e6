"""The Dirichlet energy of a grid, against the formula written out, and its symmetries."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from vlm_eval.metrics.dirichlet import dirichlet_energy

GRIDS = st.tuples(*[st.integers(1, 4)] * 4).flatmap(
    lambda shape: arrays(np.float32, shape, elements=st.floats(-100, 100, width=32))
)


def written_out(grid: np.ndarray) -> tuple[float, float, int]:
    frames, rows, columns, _ = grid.shape
    total = mean = 0.0
    for t in range(frames):
        for y in range(rows):
            for x in range(columns):
                z = grid[t, y, x].astype(float)
                mean += (z**2).sum() / (frames * rows * columns)
                for other in ((y, x + 1), (y + 1, x)):
                    if other[0] < rows and other[1] < columns:
                        total += ((grid[t][other].astype(float) - z) ** 2).sum()
    edges = frames * rows * max(columns - 1, 1) + frames * max(rows - 1, 1) * columns
    return total / edges, mean, edges


def test_the_golden_grid() -> None:
    grid = np.array([[0, 1], [2, 3]], dtype=np.float32).reshape(1, 2, 2, 1)
    assert dirichlet_energy(grid) == (2.5, 3.5, 4)


def test_frames_are_not_joined_and_channels_add_up() -> None:
    one = np.array([[0, 1], [2, 3]], dtype=np.float32).reshape(1, 2, 2, 1)
    film = np.concatenate([one, one + 100])
    assert dirichlet_energy(film)[::2] == (2.5, 8)
    assert dirichlet_energy(np.concatenate([one, 2 * one], -1)).energy == 2.5 + 4 * 2.5


@pytest.mark.parametrize(
    ("shape", "edges"), [((1, 1, 1, 3), 2), ((1, 1, 5, 1), 9), ((2, 4, 1, 1), 14)]
)
def test_a_grid_of_one_row_or_column_counts_the_published_edges(shape, edges) -> None:
    assert dirichlet_energy(np.ones(shape, np.float32)) == (0, shape[-1], edges)


@given(GRIDS)
def test_it_is_the_formula(grid) -> None:
    found, expected = dirichlet_energy(grid), written_out(grid)
    assert found.edges == expected[2]
    assert found[:2] == pytest.approx(expected[:2], rel=1e-9, abs=1e-9)


@given(GRIDS, st.integers(-1000, 1000), st.floats(-8, 8, width=32))
def test_a_constant_changes_nothing_and_a_factor_squares(grid, shift, factor) -> None:
    energy = dirichlet_energy(grid).energy
    moved = grid.astype(np.float64) + shift * np.arange(grid.shape[-1])
    assert dirichlet_energy(moved).energy == pytest.approx(energy, rel=1e-6, abs=1e-6)
    scaled = dirichlet_energy(grid.astype(np.float64) * factor)
    assert scaled.energy == pytest.approx(factor**2 * energy, rel=1e-9, abs=1e-9)


def test_sums_are_taken_in_double_precision() -> None:
    grid = np.full((1, 300, 300, 1), 4097, dtype=np.float32)
    grid[0, ::2] += 1
    assert dirichlet_energy(grid).energy == 299 * 300 / (2 * 299 * 300)
    assert dirichlet_energy(grid).mean_square == (4097**2 + 4098**2) / 2


@pytest.mark.parametrize("shape", [(2, 2, 1), (1, 0, 2, 3), (1, 1, 2, 2, 1)])
def test_what_is_no_grid_is_refused(shape) -> None:
    with pytest.raises(ValueError, match="not shape"):
        dirichlet_energy(np.zeros(shape, np.float32))
