from __future__ import annotations

from collections import Counter

import pytest

from vlm_eval.core.hashing import digest
from vlm_eval.data.boards.games import GAMES, won_line_names
from vlm_eval.data.boards.posttrain import TOP_UP_PREFIX, examples, pool
from vlm_eval.data.boards.prompts import Question, prompt
from vlm_eval.data.boards.states import benchmark_states

# Digests of boards and top-ups. All but Tic-Tac-Toe's first depend on published streams only.
POOLS = {
    ("tictactoe", False): "42ce22691c237d739bba2338a2bad9341a58c4a6c356d98fbce6a60d012ec50c",
    ("tictactoe", True): "208aaca511a5778feceab62b3c54d01fc8da01bc0fd61e6b284caebdf3810ba9",
    ("reversi", False): "4bd3c809665ce8b7c9747273d8efd1f860dc99c0912b7c6dfc51e62ca761e2a2",
    ("reversi", True): "9332f51dadad42b7e0a2a3585b6b8fc35896cead829a629e8900606856e99aa4",
    ("connect4", False): "f86a68a0158bbeff040b566991f8b80ada48e66b53ba7259f6d29ca261d38039",
    ("connect4", True): "bde76bdf39bf5ef1e030397e2e716160ab2df2e950dffeb398156e977a6057e8",
    ("dots_boxes", False): "376463c8dc04ad84cadc05241064835a4c5091a6b1341aa48f0772422de8c013",
    ("dots_boxes", True): "376463c8dc04ad84cadc05241064835a4c5091a6b1341aa48f0772422de8c013",
}


@pytest.fixture(scope="module")
def pools():
    return {name: pool(name[0], overlap=name[1]) for name in POOLS}


def boards(slots):
    return [slot.board for slot in slots]


@pytest.mark.parametrize("name", POOLS)
def test_pools_are_pinned(pools, name):
    assert len(pools[name]) == 1_024
    assert digest([[slot.board, slot.top_up] for slot in pools[name]]) == POOLS[name]


@pytest.mark.parametrize("game", GAMES)
def test_pools_hold_no_benchmark_board(pools, game):
    benchmark = {state.board for state in benchmark_states(game)}
    assert not benchmark & set(boards(pools[game, False]))


@pytest.mark.parametrize("game", ["reversi", "dots_boxes"])
def test_counting_games_are_balanced_by_winner(pools, game):
    found = boards(pools[game, False])
    assert len(set(found)) == 1_024
    assert Counter(map(GAMES[game].winner, found)) == {1: 512, 2: 512}


def test_connect4_quotas(pools):
    found = boards(pools["connect4", False])
    assert len(set(found)) == 1_024
    lines = [won_line_names(4, board) for board in found]
    assert all(len(names) == 1 for names in lines)
    orientations = Counter(names[0].split("_")[0] for names in lines)
    assert orientations == {"row": 341, "col": 341, "main": 171, "anti": 171}


@pytest.mark.parametrize(("overlap", "distinct"), [(False, 620), (True, 920)])
def test_tictactoe_tops_up(pools, overlap, distinct):
    slots = pools["tictactoe", overlap]
    firsts = [slot.board for slot in slots if not slot.top_up]
    seconds = [slot.board for slot in slots if slot.top_up]
    assert len(firsts) == len(set(firsts)) == distinct
    assert len(seconds) == len(set(seconds)) == 1_024 - distinct
    assert set(seconds) < set(firsts)
    benchmark = {state.board for state in benchmark_states("tictactoe")}
    assert len(benchmark & set(firsts)) == (300 if overlap else 0)


@pytest.mark.parametrize(
    ("split", "train", "test"),
    [
        ("d1", [(g, "standard") for g in GAMES], [(g, "inverse") for g in sorted(GAMES)]),
        ("d2", [(g, "inverse") for g in GAMES], [(g, "standard") for g in sorted(GAMES)]),
        (
            "d3",
            [(g, r) for g in ("tictactoe", "reversi") for r in ("standard", "inverse")],
            [(g, r) for g in ("connect4", "dots_boxes") for r in ("inverse", "standard")],
        ),
    ],
)
def test_splits(split, train, test):
    for part, slices, targets in (("train", train, 0), ("test", test, 1)):
        rows = list(examples(split, part))
        size = 2_048 if part == "train" else 600
        assert len(rows) == size * 4
        for index, (game, rule) in enumerate(slices):
            block = rows[index * size : (index + 1) * size]
            assert {row.game for row in block} == {game}
            for pair, wanted in ((0, "winner"), (1, "loser")):
                labels = GAMES[game].labels
                text = prompt(game, 1, Question(rule=rule, target=wanted), labels)
                asked = [row for i, row in enumerate(block) if i % 2 == pair ^ targets]
                plain = {row.problem.replace(TOP_UP_PREFIX, "") for row in asked}
                assert plain == {f"<image>{text}"}
                for row in asked:
                    wins = GAMES[game].winner(row.board) == 1
                    first = (wins ^ (rule == "inverse")) == (wanted == "winner")
                    assert row.answer == labels[0 if first else 1]
        topped = sum(TOP_UP_PREFIX in row.problem for row in rows)
        games = [game for game, _ in slices]
        assert topped == (808 * games.count("tictactoe") if part == "train" else 0)


def test_top_ups_are_prefixed_after_the_image():
    row = next(row for row in examples("d1", "train") if TOP_UP_PREFIX in row.problem)
    start = "<image>Inspect the final board carefully. You are given a 3x3 grid"
    assert row.problem.startswith(start)


def test_test_rows_are_the_benchmark_s_in_order():
    rows = list(examples("d1", "test"))
    wanted = [state.board for state in benchmark_states("connect4") for _ in range(2)]
    assert [row.board for row in rows[:600]] == wanted
