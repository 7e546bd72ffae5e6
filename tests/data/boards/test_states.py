"""The boards against everything that the paper and its code say about them."""

from __future__ import annotations

import random
from collections import Counter
from itertools import islice
from statistics import median

import pytest

from vlm_eval.core.hashing import derive_seed, digest
from vlm_eval.data.boards.games import GAMES, count, key, won_line_names
from vlm_eval.data.boards.states import (
    balanced_boards,
    benchmark_states,
    connect4_games,
    dots_board,
    reversi_game,
    tictactoe_terminals,
)


def margin(board):
    return abs(count(board, 1) - count(board, 2))


def empties(board):
    return count(board, 0)


@pytest.mark.parametrize("game", GAMES)
def test_three_hundred_distinct_states_balanced_by_winner(game):
    states = benchmark_states(game)
    assert [state.state_id for state in states] == list(range(1, 301))
    assert len({state.board for state in states}) == 300
    assert Counter(state.winner for state in states) == {1: 150, 2: 150}
    assert all(state.winner == GAMES[game].winner(state.board) for state in states)


@pytest.mark.parametrize(
    ("game", "wanted"),
    [
        ("tictactoe", "c2bdef336227349b7749b948b806b6e1a22685fb4c65889cce581b3d27112bff"),
        ("reversi", "f12b5f04cf584a44af20623f4092d2b378708d6c1a1bfe5f77387836297d93c5"),
        ("connect4", "6ea0afbf947c6a222c9512f0c6fc85b53009a3b76733f20c9afd482c7e344f62"),
        ("dots_boxes", "773f9e2edf38edcbaf43abb6d9bc44e49d868d71f53037645c96d4373ed3048a"),
    ],
)
def test_the_streams_are_pinned(game, wanted):
    assert digest([state.board for state in benchmark_states(game)]) == wanted


def test_a_list_of_states_is_the_callers_own():
    benchmark_states("tictactoe").clear()
    assert len(benchmark_states("tictactoe")) == 300


def test_tictactoe_has_920_boards_with_one_line():
    boards = tictactoe_terminals()
    assert len(boards) == len(set(boards)) == 920
    assert boards == sorted(boards, key=key)
    pools = Counter(
        (won_line_names(3, board)[0], GAMES["tictactoe"].winner(board)) for board in boards
    )
    sides = [name for name in dict(pools) if name[0] not in ("main", "anti")]
    assert all(pools[name] == (73 if name[1] == 1 else 36) for name in sides)
    assert [pools[name, w] for name in ("main", "anti") for w in (1, 2)] == [83, 50, 83, 50]
    # X moves first and wins on its own move, O on its own.
    for board in boards:
        lead = count(board, 1) - count(board, 2)
        assert lead == (1 if GAMES["tictactoe"].winner(board) == 1 else 0)


def test_tictactoe_quotas():
    found = Counter(
        (won_line_names(3, state.board)[0], state.winner) for state in benchmark_states("tictactoe")
    )
    assert {(line, found[line, 1], found[line, 2]) for line, _ in found} == {
        ("row_0", 17, 17),
        ("row_1", 17, 16),
        ("row_2", 16, 17),
        ("col_0", 17, 17),
        ("col_1", 17, 16),
        ("col_2", 16, 17),
        ("main", 25, 25),
        ("anti", 25, 25),
    }


def test_tictactoe_follows_the_documented_stream():
    pool = [
        board
        for board in tictactoe_terminals()
        if won_line_names(3, board) == ["anti"] and GAMES["tictactoe"].winner(board) == 2
    ]
    random.Random(derive_seed(7, "vlm-fix", "tictactoe", "anti", 2)).shuffle(pool)
    chosen = {state.board for state in benchmark_states("tictactoe")}
    assert [board in chosen for board in pool] == [True] * 25 + [False] * 25


def test_tictactoe_order_is_the_published_one():
    # Published state 1 is [2,0,1,2,2,1,1,1,2]: O on the main diagonal.
    first = benchmark_states("tictactoe")[0]
    assert (won_line_names(3, first.board), first.winner) == (["main"], 2)


def test_connect4_orientations():
    found = Counter(
        tuple(sorted({name.split("_")[0] for name in won_line_names(4, state.board)}))
        for state in benchmark_states("connect4")
    )
    assert found == {("col",): 109, ("row",): 104, ("main",): 44, ("anti",): 42, ("anti", "row"): 1}
    assert len(won_line_names(4, benchmark_states("connect4")[41].board)) == 2


def test_connect4_pieces_do_not_float():
    for board in islice(connect4_games(random.Random(0)), 200):
        for column in zip(*board, strict=True):
            assert sorted(column, key=bool) == list(column)
        assert count(board, 1) - count(board, 2) in (0, 1)


def test_reversi_statistics():
    states = benchmark_states("reversi")
    assert states[0].board == (
        (1, 1, 1, 2, 2),
        (1, 1, 2, 2, 1),
        (1, 2, 2, 2, 2),
        (1, 2, 2, 2, 2),
        (1, 2, 2, 2, 2),
    )
    boards = [state.board for state in states]
    assert sum(empties(board) == 0 for board in boards) == 231
    assert {empties(board) for board in boards} == {0, 1, 2, 3, 4, 5, 6}
    assert sum(min(count(board, 1), count(board, 2)) == 0 for board in boards) == 6
    assert Counter(board[0][0] for board in boards) == {1: 283, 0: 17}
    by_winner = {w: [state.board for state in states if state.winner == w] for w in (1, 2)}
    assert [median(margin(board) for board in by_winner[w]) for w in (1, 2)] == [13, 4]
    assert [sum(board[0] == (1,) * 5 for board in by_winner[w]) for w in (1, 2)] == [122, 20]


def test_reversi_games_end_without_a_legal_move():
    rng = random.Random(1)
    for _ in range(30):
        board = reversi_game(rng)
        assert not any(moves(board, player) for player in (1, 2))


def moves(board, player):
    """Return the legal cells, by a second way: scan every straight run."""
    found = []
    for r in range(5):
        for c in range(5):
            for dr, dc in ((a, b) for a in (-1, 0, 1) for b in (-1, 0, 1) if a or b):
                run = [(r + i * dr, c + i * dc) for i in range(5)]
                text = "".join(str(board[y][x]) for y, x in run if 0 <= y < 5 and 0 <= x < 5)
                rest = text[1:].lstrip(str(3 - player))
                turned = len(text) - 1 - len(rest)
                if text[0] == "0" and turned > 0 and rest[:1] == str(player):
                    found.append((r, c))
    return found


def test_dots_margins():
    states = benchmark_states("dots_boxes")
    assert all(empties(state.board) == 0 for state in states)
    assert Counter((margin(state.board), state.winner) for state in states) == {
        (2, 1): 23,
        (2, 2): 25,
        (4, 1): 25,
        (4, 2): 23,
        (6, 1): 21,
        (6, 2): 27,
        (8, 1): 27,
        (8, 2): 22,
        (10, 1): 32,
        (10, 2): 30,
        (12, 1): 22,
        (12, 2): 23,
    }


@pytest.mark.parametrize("winner", [1, 2])
def test_dots_boards_are_won_by_whom_they_are_made_for(winner):
    rng = random.Random(5)
    for _ in range(50):
        board = dots_board(rng, winner)
        assert GAMES["dots_boxes"].winner(board) == winner
        assert margin(board) in (2, 4, 6, 8, 10, 12)


@pytest.mark.parametrize("game", ["reversi", "connect4", "dots_boxes"])
def test_balanced_boards_take_any_total(game):
    boards = balanced_boards(game, 20, 11)
    assert len(set(boards)) == 20
    assert Counter(map(GAMES[game].winner, boards)) == {1: 10, 2: 10}


@pytest.mark.parametrize("game", ["connect4", "dots_boxes"])
def test_balanced_boards_depend_on_the_seed_alone(game):
    assert balanced_boards(game, 20, 11) == balanced_boards(game, 20, 11)
    assert balanced_boards(game, 20, 11) != balanced_boards(game, 20, 12)
