from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vlm_eval.core.errors import DataError
from vlm_eval.data.boards.games import GAMES, count, key, lines, won_line_names, won_lines

TTT, REVERSI, C4, DOTS = (GAMES[name] for name in GAMES)


def board(*rows: str):
    return tuple(tuple(int(cell) for cell in row) for row in rows)


@st.composite
def boards(draw):
    game = draw(st.sampled_from(list(GAMES.values())))
    row = st.tuples(*[st.integers(0, 2)] * game.size)
    return game, draw(st.tuples(*[row] * game.size))


def test_the_games_are_the_published_ones_in_order():
    assert list(GAMES) == ["tictactoe", "reversi", "connect4", "dots_boxes"]
    assert [game.size for game in GAMES.values()] == [3, 5, 4, 6]
    assert [game.labels for game in GAMES.values()] == [
        ("X", "O"),
        ("Black", "White"),
        ("Red", "Yellow"),
        ("A", "B"),
    ]


@pytest.mark.parametrize(
    ("game", "rows", "winner"),
    [
        (TTT, ("111", "220", "000"), 1),
        (TTT, ("201", "122", "112"), 2),
        (TTT, ("012", "021", "211"), 2),
        (TTT, ("121", "121", "212"), None),
        (TTT, ("111", "000", "222"), None),
        (TTT, ("000", "000", "000"), None),
        (C4, ("1000", "1000", "1000", "1222"), 1),
        (C4, ("0002", "0021", "0211", "2111"), 2),
        (C4, ("1002", "2111", "1221", "2112"), None),
        (C4, ("0000", "0000", "0000", "1110"), None),
        (C4, ("1111", "0000", "0000", "2222"), None),
        (REVERSI, ("11111", "11111", "11122", "22222", "22222"), 1),
        (REVERSI, ("00000", "00000", "00200", "00000", "00000"), 2),
        (REVERSI, ("00000", "00000", "01200", "00000", "00000"), None),
        (DOTS, ("121212",) * 6, None),
        (DOTS, ("121212",) * 5 + ("221212",), 2),
    ],
)
def test_winner(game, rows, winner):
    if winner is None:
        with pytest.raises(DataError, match=f"{game.slug} .*no single winner"):
            game.winner(board(*rows))
    else:
        assert game.winner(board(*rows)) == winner


@pytest.mark.parametrize("size", [3, 4])
def test_lines_are_rows_columns_and_two_diagonals(size):
    found = dict(lines(size))
    assert list(found) == [
        *(f"row_{i}" for i in range(size)),
        *(f"col_{i}" for i in range(size)),
        "main",
        "anti",
    ]
    assert all(len(set(line)) == size for line in found.values())
    assert found["anti"][0] == (0, size - 1)


def test_won_lines_can_be_two():
    two = board("1222", "0100", "0010", "1111")
    assert won_line_names(4, two) == ["row_3", "main"]
    assert won_lines(4, two)[1] == ((0, 0), (1, 1), (2, 2), (3, 3))


@given(boards())
def test_board_state_is_compact_json_and_parses_back(made):
    game, cells = made
    text = game.board_state(cells)
    assert " " not in text
    assert game.parse(text) == cells
    flat = [cell for row in cells for cell in row]
    assert json.loads(text) == (flat if game is TTT else [list(row) for row in cells])
    assert json.loads(key(cells)) == [list(row) for row in cells]
    assert count(cells, 1) + count(cells, 2) == sum(cell > 0 for cell in flat)


@pytest.mark.parametrize(
    ("game", "text"),
    [
        (TTT, "[[1,1,1],[2,2,0],[0,0,0]]"),
        (TTT, "[1,1,1,2,2,0,0,0]"),
        (TTT, "[1,1,1,2,2,0,0,0,3]"),
        (TTT, "[1,1,1,2,2,0,0,0,true]"),
        (C4, "[1,2]"),
        (C4, "[[1,1,1,1],[2,2,2,0],[0,0,0,0]]"),
        (REVERSI, "7"),
        (DOTS, "not json"),
        (DOTS, '{"a":1}'),
    ],
)
def test_parse_refuses_what_is_no_board(game, text):
    with pytest.raises(DataError, match=f"is no board of {game.slug}"):
        game.parse(text)
