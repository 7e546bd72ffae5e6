"""The four games of VLM-Fix: their grids, their players and who wins a finished board.

A board is a tuple of rows, the top row first; a cell is 0 (empty), 1 (first player) or 2 (second
player). Every finished board has exactly one winner under the standard rule; under the inverse
rule the other player wins.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from typing import TypeAlias

from vlm_eval.core.errors import DataError

Board: TypeAlias = tuple[tuple[int, ...], ...]
Cell: TypeAlias = tuple[int, int]
Line: TypeAlias = tuple[Cell, ...]


@dataclass(frozen=True)
class Game:
    """One game.

    Attributes
    ----------
    slug
        The name in task files and in the data set.
    size
        Cells a side; all boards are square.
    labels
        What the prompt calls the first and the second player, unless glyph letters replace them.
    tokens
        The one-letter marks of the two players on a text board.
    by_line
        True if a full line wins (Tic-Tac-Toe, Connect Four), False if more pieces win.
    """

    slug: str
    size: int
    labels: tuple[str, str]
    tokens: tuple[str, str]
    by_line: bool

    def winner(self, board: Board) -> int:
        """Return who wins under the standard rule, 1 or 2.

        Raises
        ------
        DataError
            If the board has no single winner.
        """
        if self.by_line:
            players = {board[line[0][0]][line[0][1]] for line in won_lines(self.size, board)}
        else:
            ones, twos = count(board, 1), count(board, 2)
            players = set() if ones == twos else {1 if ones > twos else 2}
        if len(players) != 1:
            raise DataError("the board has no single winner", where=f"{self.slug} {key(board)}")
        return players.pop()

    def board_state(self, board: Board) -> str:
        """Return the board's JSON text in the published form: flat for Tic-Tac-Toe, else rows."""
        if self.slug == "tictactoe":
            return json.dumps([cell for row in board for cell in row], separators=(",", ":"))
        return key(board)

    def parse(self, text: str) -> Board:
        """Return the board of a published ``board_state`` text.

        Raises
        ------
        DataError
            If the text is no board of this game.
        """
        try:
            cells = json.loads(text)
            if self.slug == "tictactoe":
                cells = [cells[i : i + self.size] for i in range(0, len(cells), self.size)]
            board = tuple(tuple(row) for row in cells)
        except (TypeError, ValueError) as error:
            raise DataError(f"{text!r} is no board of {self.slug}") from error
        square = len(board) == self.size and all(len(row) == self.size for row in board)
        if not square or not all(type(c) is int and c in (0, 1, 2) for row in board for c in row):
            raise DataError(f"{text!r} is no board of {self.slug}")
        return board


def count(board: Board, player: int) -> int:
    """Return how many cells a player holds."""
    return sum(row.count(player) for row in board)


def key(board: Board) -> str:
    """Return the JSON text of the rows without spaces: what the published streams sort by.

    >>> key(((1, 0), (2, 2)))
    '[[1,0],[2,2]]'
    """
    return json.dumps(board, separators=(",", ":"))


@cache
def lines(size: int) -> tuple[tuple[str, Line], ...]:
    """Return the full lines of a square board with their names: rows, columns, both diagonals."""
    span = range(size)
    rows = [(f"row_{r}", tuple((r, c) for c in span)) for r in span]
    columns = [(f"col_{c}", tuple((r, c) for r in span)) for c in span]
    main = ("main", tuple((i, i) for i in span))
    anti = ("anti", tuple((i, size - 1 - i) for i in span))
    return (*rows, *columns, main, anti)


def won_lines(size: int, board: Board) -> list[Line]:
    """Return the full lines that one player holds."""
    return [line for _, line in lines(size) if _held(board, line)]


def won_line_names(size: int, board: Board) -> list[str]:
    """Return the names of the full lines that one player holds."""
    return [name for name, line in lines(size) if _held(board, line)]


def _held(board: Board, line: Line) -> bool:
    first = board[line[0][0]][line[0][1]]
    return first != 0 and all(board[r][c] == first for r, c in line)


GAMES: dict[str, Game] = {
    game.slug: game
    for game in (
        Game("tictactoe", 3, ("X", "O"), ("X", "O"), by_line=True),
        Game("reversi", 5, ("Black", "White"), ("B", "W"), by_line=False),
        Game("connect4", 4, ("Red", "Yellow"), ("R", "Y"), by_line=True),
        Game("dots_boxes", 6, ("A", "B"), ("A", "B"), by_line=False),
    )
}
"""The games by slug, in the data set's order."""
