"""Training pictures of the embedded model, with what each patch shows.

Boards are the benchmark's own drawings, composed from one drawing a cell: at a fixed layout the
reduced picture is the empty board plus one difference a piece. That is a thousand times faster than
drawing each board, and equal to it within rounding. Streets and pairs are drawn once into a pool.
"""

from __future__ import annotations

import random
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from vlm_eval.data.boards.games import GAMES, Board, won_lines
from vlm_eval.data.boards.render import Style, render
from vlm_eval.data.boards.states import (
    benchmark_states,
    connect4_games,
    dots_board,
    reversi_game,
)
from vlm_eval.data.pairs.synthetic import THEMES, Pair, sample_pair
from vlm_eval.data.scenes.street import KINDS as STREET_KINDS
from vlm_eval.data.scenes.street import Street, draw_street, sample_street
from vlm_eval.models.tiny.architecture import GRID, IMAGE_SIDE, PATCH

PATCH_KINDS: tuple[str, ...] = (
    "nothing",
    "empty",
    *(f"{game.slug} {label}" for game in GAMES.values() for label in game.labels),
    *STREET_KINDS,
    *(f"{subset} {theme} {side}" for subset in THEMES for theme in range(8) for side in (0, 1)),
)
FACTS: tuple[str, ...] = (
    "leader",
    *STREET_KINDS,
    *(f"{subset} {theme}" for subset in THEMES for theme in range(8)),
)
# Board edge to canvas edge, as a share of the canvas (vlm_eval.data.boards.render).
MARGIN = {"tictactoe": 0.12, "reversi": 0.08, "connect4": 0.08, "dots_boxes": 0.12}
VALIDATION_SHARE = 20


@dataclass(frozen=True)
class Pictures:
    """Pictures of one world, and what supervises the vision tower on them.

    Attributes
    ----------
    images
        (N, 112, 112, 3) uint8.
    patches
        (N, 8, 8, 4) int64: kind, row and column of the cell, whether it decides; -1 is unknown.
    facts
        (N, len(FACTS)) int64: the leader, presence, side of the theme; -1 does not apply.
    """

    images: NDArray[np.uint8]
    patches: NDArray[np.int64]
    facts: NDArray[np.int64]


def shrink(image: Image.Image) -> NDArray[np.uint8]:
    """Reduce a square picture as the checkpoint's image processor does."""
    small = image.resize((IMAGE_SIDE, IMAGE_SIDE), Image.Resampling.BICUBIC)
    return np.asarray(small, np.uint8)


# Boards


@cache
def _benchmark(game: str) -> frozenset[Board]:
    return frozenset(state.board for state in benchmark_states(game))


def split_of(game: str, board: Board) -> str:
    """Return ``benchmark`` (never trained or tuned on), ``validation`` or ``train``."""
    if board in _benchmark(game):
        return "benchmark"
    code = zlib.crc32(bytes(cell for row in board for cell in row))
    return "validation" if code % VALIDATION_SHARE == 0 else "train"


@cache
def _tictactoe_pool() -> tuple[Board, ...]:
    """Return all boards with one line-former and piece counts at most one apart."""
    found = []
    for code in range(3**9):
        cells = [code // 3**i % 3 for i in range(9)]
        board: Board = tuple(tuple(cells[i : i + 3]) for i in (0, 3, 6))
        owners = {board[line[0][0]][line[0][1]] for line in won_lines(3, board)}
        if len(owners) == 1 and abs(cells.count(1) - cells.count(2)) <= 1:
            found.append(board)
    return tuple(found)


def _stream(game: str, rng: random.Random) -> Iterator[Board]:
    if game == "connect4":
        yield from connect4_games(rng)
    while True:
        if game == "tictactoe":
            yield rng.choice(_tictactoe_pool())
        elif game == "reversi":
            board = reversi_game(rng)
            flat = [cell for row in board for cell in row]
            if flat.count(1) != flat.count(2):
                yield board
        else:
            yield dots_board(rng, rng.choice((1, 2)))


def sample_boards(game: str, split: str, seed: int) -> Iterator[Board]:
    """Yield endless boards of a split, winners alternating."""
    want = 1
    for board in _stream(game, random.Random(seed)):
        if split_of(game, board) == split and GAMES[game].winner(board) == want:
            yield board
            want = 3 - want


class Artist:
    """Composes boards of one game in one style from one difference a piece."""

    def __init__(self, game: str, style: Style) -> None:
        self.game, self.size = game, GAMES[game].size
        n = self.size
        empty = self._draw(np.zeros((n, n), int), style)
        self.base = empty.reshape(-1)
        self.pieces = np.zeros((n * n * 2, self.base.size), np.float32)
        for cell in range(n * n):
            for player in (1, 2):
                board = np.zeros((n, n), int)
                board[divmod(cell, n)] = player
                self.pieces[cell * 2 + player - 1] = (self._draw(board, style) - empty).reshape(-1)

    def _draw(self, board: NDArray[np.int64], style: Style) -> NDArray[np.float32]:
        rows = tuple(tuple(int(cell) for cell in row) for row in board)
        return shrink(render(self.game, rows, style, GAMES[self.game].labels)).astype(np.float32)

    def draw(self, boards: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Return (N, 112, 112, 3) pictures of (N, n, n) boards."""
        flat = boards.reshape(len(boards), -1)
        one_hot = np.stack([flat == 1, flat == 2], -1).reshape(len(boards), -1)
        drawn = self.base + one_hot.astype(np.float32) @ self.pieces
        pixels: NDArray[np.uint8] = np.rint(np.clip(drawn, 0, 255)).astype(np.uint8)
        return pixels.reshape(-1, IMAGE_SIDE, IMAGE_SIDE, 3)


@cache
def artist(game: str, style: Style) -> Artist:
    """Return the one artist of a game and style; making one takes seconds."""
    return Artist(game, style)


@cache
def _cells(game: str) -> NDArray[np.int64]:
    """Return the (8, 8) index of the cell under each patch centre, -1 outside the board."""
    n, margin = GAMES[game].size, MARGIN[game]
    centre = (np.arange(GRID) + 0.5) / GRID
    place = np.floor((centre - margin) / (1 - 2 * margin) * n).astype(int)
    inside = (place >= 0) & (place < n)
    both = inside[:, None] & inside[None, :]
    return np.where(both, place[:, None] * n + place[None, :], -1)


def board_targets(game: str, boards: NDArray[np.int64]) -> tuple[NDArray[np.int64], ...]:
    """Return the patches and facts of (N, n, n) boards, as :class:`Pictures` holds them."""
    n = GAMES[game].size
    cells = _cells(game)
    inside = cells >= 0
    flat = boards.reshape(len(boards), -1)
    first = PATCH_KINDS.index(f"{game} {GAMES[game].labels[0]}")
    kinds = np.where(flat == 0, 1, flat + first - 1)
    rows = [tuple(tuple(int(c) for c in row) for row in board) for board in boards]
    leaders = np.array([GAMES[game].winner(board) for board in rows])
    if GAMES[game].by_line:
        deciding = np.zeros(flat.shape, int)
        for index, board in enumerate(rows):
            for line in won_lines(n, board):
                deciding[index, [r * n + c for r, c in line]] = 1
    else:
        deciding = (flat == leaders[:, None]).astype(int)
    patches = np.full((len(boards), GRID, GRID, 4), -1)
    patches[..., 0] = np.where(inside, kinds[:, cells], 0)
    patches[..., 1] = np.where(inside, cells // n, -1)
    patches[..., 2] = np.where(inside, cells % n, -1)
    patches[..., 3] = np.where(inside, deciding[:, cells], -1)
    facts = np.full((len(boards), len(FACTS)), -1)
    facts[:, 0] = leaders - 1
    return patches, facts


# Streets and pairs


def street_pictures(streets: list[Street]) -> Pictures:
    """Draw streets; a patch shows the object at its centre."""
    images = np.zeros((len(streets), IMAGE_SIDE, IMAGE_SIDE, 3), np.uint8)
    patches = np.full((len(streets), GRID, GRID, 4), -1)
    facts = np.full((len(streets), len(FACTS)), -1)
    kind_of = np.zeros(256, int)
    for name, kind in STREET_KINDS.items():
        kind_of[kind.label] = PATCH_KINDS.index(name)
    for index, street in enumerate(streets):
        image, labels = draw_street(street)
        images[index] = shrink(image)
        small = np.asarray(labels.resize((IMAGE_SIDE, IMAGE_SIDE), Image.Resampling.NEAREST))
        patches[index, :, :, 0] = kind_of[small[PATCH // 2 :: PATCH, PATCH // 2 :: PATCH]]
        for number, name in enumerate(STREET_KINDS):
            facts[index, 1 + number] = name in street.objects
    return Pictures(images, patches, facts)


def pair_pictures(pairs: list[Pair]) -> Pictures:
    """Draw both sides of pairs, side 0 of pair i at 2 i; a patch that differs shows its side."""
    images = np.zeros((2 * len(pairs), IMAGE_SIDE, IMAGE_SIDE, 3), np.uint8)
    patches = np.full((2 * len(pairs), GRID, GRID, 4), -1)
    facts = np.full((2 * len(pairs), len(FACTS)), -1)
    subsets = list(THEMES)
    for index, pair in enumerate(pairs):
        sides = [shrink(pair.draw(side)) for side in (0, 1)]
        gap = np.abs(sides[0].astype(int) - sides[1]).mean(-1)
        differs = gap.reshape(GRID, PATCH, GRID, PATCH).mean((1, 3)) > 6
        fact = 1 + len(STREET_KINDS) + 8 * subsets.index(pair.subset) + pair.theme
        for side in (0, 1):
            at = 2 * index + side
            kind = PATCH_KINDS.index(f"{pair.subset} {pair.theme} {side}")
            images[at] = sides[side]
            patches[at, :, :, 0] = np.where(differs, kind, 0)
            facts[at, fact] = side
    return Pictures(images, patches, facts)


def sample_streets(count: int, seed: int) -> list[Street]:
    """Return streets of a seed."""
    return [sample_street(seed, index) for index in range(count)]


def sample_pairs(count: int, seed: int) -> list[Pair]:
    """Return pairs of a seed, the two subsets in turn."""
    subsets = list(THEMES)
    return [sample_pair(subsets[i % 2], seed, i // 2) for i in range(count)]
