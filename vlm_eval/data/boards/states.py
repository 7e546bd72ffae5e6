"""The 300 finished boards a game of the benchmark, from the published random-number streams.

Connect Four, Reversi and Dots and Boxes follow the paper's generator draw by draw, so the boards
and their order are the published ones. Tic-Tac-Toe cannot: the published choice of boards was
seeded with Python's salted string hash. Its boards come from a stream of this project's own
(:func:`tictactoe_boards`) with the published quotas and the published order of lines and winners.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from random import Random

from vlm_eval.core.hashing import derive_seed
from vlm_eval.data.boards.games import GAMES, Board, Cell, key, lines, won_line_names

SEED = 7
PER_GAME = 300
_SALT = {"tictactoe": 0x1111, "reversi": 0x2222, "connect4": 0x3333, "dots_boxes": 0x4444}
_ORDER_SALT = 0xBEEFBEEF
_LINE_QUOTAS = (34, 33, 33, 34, 33, 33, 50, 50)
_REVERSI_BOARDS, _REVERSI_GAMES = 2_000, 120_000
_MARGINS = [2, 4, 6, 8, 10, 12]

Buckets = dict[int, dict[str, Board]]
"""Distinct boards by their key, by their winner."""


@dataclass(frozen=True)
class State:
    """A finished board of the benchmark.

    Attributes
    ----------
    state_id
        1 to 300: the position after the final shuffle.
    board
        The rows of cells, 0 empty, 1 first player, 2 second player.
    winner
        Who wins under the standard rule, 1 or 2.
    """

    state_id: int
    board: Board
    winner: int


def benchmark_states(game: str) -> list[State]:
    """Return the 300 benchmark states of a game, by ``state_id``."""
    return list(_states(game))


@cache
def _states(game: str) -> tuple[State, ...]:
    if game == "tictactoe":
        boards = tictactoe_boards()
    else:
        boards = balanced_boards(game, PER_GAME, SEED ^ _SALT[game])
    return tuple(State(i, board, GAMES[game].winner(board)) for i, board in enumerate(boards, 1))


def balanced_boards(game: str, total: int, seed: int) -> list[Board]:
    """Return distinct finished boards, as many won by either player, from a published stream.

    Parameters
    ----------
    game
        ``connect4``, ``reversi`` or ``dots_boxes``.
    total
        How many boards, an even number.
    seed
        Seed of the stream. The benchmark's own is 7 XOR a constant of the game.
    """
    rng = Random(seed)
    buckets: Buckets = {1: {}, 2: {}}
    if game == "connect4":
        stream = connect4_games(rng)
    elif game == "reversi":
        stream = _reversi_rounds(rng)
    else:
        stream = _dots_to_order(rng, buckets)
    fill(game, stream, buckets, total // 2)
    return shuffled(buckets.values(), rng)


def fill(game: str, boards: Iterable[Board], buckets: Buckets, each: int) -> None:
    """Put boards in their winners' buckets until both hold so many or no board is left."""
    for board in boards:
        bucket = buckets[GAMES[game].winner(board)]
        if len(bucket) < each:
            bucket.setdefault(key(board), board)
        if all(len(bucket) == each for bucket in buckets.values()):
            break


def shuffled(buckets: Iterable[Mapping[str, Board]], rng: Random) -> list[Board]:
    """Return the boards of all buckets, each bucket in the order of its keys, shuffled."""
    boards = [board for bucket in buckets for _, board in sorted(bucket.items())]
    rng.shuffle(boards)
    return boards


# Tic-Tac-Toe


def tictactoe_boards() -> list[Board]:
    """Return the Tic-Tac-Toe boards: the published quotas and order, this project's own choice.

    The stream: in each pool (one winning line, one winner) the boards are sorted by their key and
    shuffled by ``random.Random(derive_seed(7, "vlm-fix", "tictactoe", line, winner))``, where line
    is row_0 to row_2, col_0 to col_2, main or anti and winner 1 or 2; the first ones fill the
    quota. Quotas are 100 horizontal, 100 vertical and 50 a diagonal, spread over the lines as 34,
    33, 33 and halved by winner, the extra one to X on the first odd line and to O on the next. The
    final order is the published shuffle.
    """
    pools: dict[tuple[str, int], list[Board]] = {}
    for board in tictactoe_terminals():
        pool = won_line_names(3, board)[0], GAMES["tictactoe"].winner(board)
        pools.setdefault(pool, []).append(board)
    chosen: list[Board] = []
    extra_to_x = True
    for (line, _), quota in zip(lines(3), _LINE_QUOTAS, strict=True):
        xs = quota // 2
        if quota % 2:
            xs += extra_to_x
            extra_to_x = not extra_to_x
        for player, wanted in ((1, xs), (2, quota - xs)):
            boards = pools[line, player]
            Random(derive_seed(SEED, "vlm-fix", "tictactoe", line, player)).shuffle(boards)
            chosen += boards[:wanted]
    Random((SEED ^ _SALT["tictactoe"]) ^ _ORDER_SALT).shuffle(chosen)
    return chosen


def tictactoe_terminals() -> list[Board]:
    """Return the 920 finished boards with exactly one winning line, sorted by their key.

    X moves first and play stops at the first win, so draws and double lines are left out.
    """
    found: set[Board] = set()
    seen: set[Board] = set()
    stack: list[tuple[Board, int]] = [(((0,) * 3,) * 3, 1)]
    while stack:
        board, player = stack.pop()
        if board in seen:
            continue
        seen.add(board)
        won = won_line_names(3, board)
        if len(won) == 1:
            found.add(board)
        if not won:
            stack.extend((_put(board, cell, player), 3 - player) for cell in _empty(board))
    return sorted(found, key=key)


def _empty(board: Board) -> list[Cell]:
    return [(r, c) for r, row in enumerate(board) for c, cell in enumerate(row) if cell == 0]


def _put(board: Board, cell: Cell, player: int) -> Board:
    return tuple(
        tuple(player if (r, c) == cell else old for c, old in enumerate(row))
        for r, row in enumerate(board)
    )


# Connect Four


def connect4_games(rng: Random) -> Iterator[Board]:
    """Yield the final boards of endless random games, Red first; games without a line are left out.

    A move is a uniform choice among the columns that are not full, in ascending order.
    """
    while True:
        board, player = [[0] * 4 for _ in range(4)], 1
        while columns := [c for c in range(4) if board[0][c] == 0]:
            column = rng.choice(columns)
            row = max(r for r in range(4) if board[r][column] == 0)
            board[row][column] = player
            done = tuple(map(tuple, board))
            if won_line_names(4, done):
                yield done
                break
            player = 3 - player


# Reversi


def reversi_game(rng: Random) -> Board:
    """Return the final board of one random game, Black first.

    A move is a uniform choice among the legal cells in row-major order; a player without one
    passes, and two passes or a full board end the game. The four starting discs stand at rows and
    columns 1 and 2 (from 0), off the centre of the 5x5 grid, as published.
    """
    board = [0] * 25
    board[6] = board[12] = 2
    board[7] = board[11] = 1
    player, passes = 1, 0
    while passes < 2 and 0 in board:
        moves = [
            (cell, flips)
            for cell in range(25)
            if board[cell] == 0 and (flips := _flips(board, cell, player))
        ]
        passes = 0 if moves else passes + 1
        if moves:
            cell, flips = rng.choice(moves)
            for taken in [cell, *flips]:
                board[taken] = player
        player = 3 - player
    return tuple(tuple(board[i : i + 5]) for i in range(0, 25, 5))


def _ray(cell: int, down: int, right: int) -> list[int]:
    """Return the cells from one to the edge of the 5x5 grid in a direction, without the first."""
    row, column = divmod(cell, 5)
    steps = [(row + i * down, column + i * right) for i in range(1, 5)]
    return [r * 5 + c for r, c in steps if 0 <= r < 5 and 0 <= c < 5]


_RAYS = [
    [
        ray
        for down in (-1, 0, 1)
        for right in (-1, 0, 1)
        if (down or right) and len(ray := _ray(cell, down, right)) > 1
    ]
    for cell in range(25)
]
"""From each cell the directions in which a move can turn discs: two cells or more."""


def _flips(board: list[int], cell: int, player: int) -> list[int]:
    """Return the discs that a move would turn."""
    flips: list[int] = []
    opponent = 3 - player
    for ray in _RAYS[cell]:
        if board[ray[0]] != opponent:
            continue
        for length, other in enumerate(ray):
            if board[other] == opponent:
                continue
            if board[other] == player:
                flips += ray[:length]
            break
    return flips


def _reversi_rounds(outer: Random) -> Iterator[Board]:
    """Yield the decided boards of each round of self-play, a round in the order of their keys."""
    while True:
        inner = Random(outer.randint(0, 2**31 - 1))
        found: dict[str, Board] = {}
        for _ in range(_REVERSI_GAMES):
            board = reversi_game(inner)
            if sum(row.count(1) - row.count(2) for row in board):
                found[key(board)] = board
            if len(found) == _REVERSI_BOARDS:
                break
        yield from (board for _, board in sorted(found.items()))


# Dots and Boxes


def dots_board(rng: Random, winner: int) -> Board:
    """Return a fully claimed 6x6 board that a player wins by an even margin of 2 to 12 boxes."""
    margin = rng.choice(_MARGINS)
    ones = (36 + margin) // 2 if winner == 1 else (36 - margin) // 2
    cells = [1] * ones + [2] * (36 - ones)
    rng.shuffle(cells)
    return tuple(tuple(cells[i : i + 6]) for i in range(0, 36, 6))


def _dots_to_order(rng: Random, buckets: Buckets) -> Iterator[Board]:
    """Yield boards that the player with the emptier bucket wins, the second player on a tie."""
    while True:
        yield dots_board(rng, 1 if len(buckets[1]) < len(buckets[2]) else 2)
