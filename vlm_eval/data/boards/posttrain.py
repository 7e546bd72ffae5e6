"""Training data of VLM-Fix post-training (Alam 2026, section 6 and App. C), from its own streams.

A split trains on 8,192 questions about 1,024 boards a game and tests on 2,400 questions about the
benchmark's boards, all direct, base prompt, canonical drawing, image first:

===== ================================== =====================================
split trained on                         tested on
===== ================================== =====================================
d1    four games, standard rule          four games, inverse rule
d2    four games, inverse rule           four games, standard rule
d3    Tic-Tac-Toe and Reversi, both      Connect Four and Dots and Boxes, both
===== ================================== =====================================

The training boards are disjoint from the benchmark's, as in the released data set. The paper's text
describes another build, whose Tic-Tac-Toe boards are all 920 and so include the test boards; it is
made only on request (``overlap``).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from random import Random
from typing import Literal

from vlm_eval.data.boards.games import GAMES, Board, key, won_line_names
from vlm_eval.data.boards.prompts import TARGETS, Question, Rule, answer, prompt
from vlm_eval.data.boards.states import (
    Buckets,
    balanced_boards,
    benchmark_states,
    connect4_games,
    fill,
    shuffled,
    tictactoe_terminals,
)

SEED = 20260317
POOL = 1_024
TOP_UP_PREFIX = "Inspect the final board carefully. "
_SALT = {"tictactoe": 0xA1A1, "reversi": 0xB2B2, "connect4": 0xC3C3, "dots_boxes": 0xD4D4}
# Candidates a round: the pool and the 300 benchmark boards that it may not hold.
_CANDIDATES = POOL + 300
_CONNECT4_QUOTA = {"row": 341, "col": 341, "main": 171, "anti": 171}

Part = list[tuple[str, Rule]]
SPLITS: dict[str, tuple[Part, Part]] = {
    "d1": ([(game, "standard") for game in GAMES], [(game, "inverse") for game in GAMES]),
    "d2": ([(game, "inverse") for game in GAMES], [(game, "standard") for game in GAMES]),
    "d3": (
        [(game, rule) for game in ("tictactoe", "reversi") for rule in ("standard", "inverse")],
        [(game, rule) for game in ("connect4", "dots_boxes") for rule in ("standard", "inverse")],
    ),
}
"""Split to what it trains and tests on, games with their rule."""


@dataclass(frozen=True)
class Slot:
    """A place in a training pool: a board, and whether it is a second showing of it."""

    board: Board
    top_up: bool = False


@dataclass(frozen=True)
class Example:
    """One question of a split, without its picture.

    Attributes
    ----------
    game, board
        What the picture shows, in the canonical drawing.
    problem
        ``<image>`` and the prompt.
    answer
        The label of the right player.
    """

    game: str
    board: Board
    problem: str
    answer: str


@cache
def pool(game: str, *, overlap: bool = False) -> tuple[Slot, ...]:
    """Return the 1,024 training places of a game, in their published order.

    Connect Four has boards with one winning orientation, 341 horizontal, 341 vertical and 171 on
    each diagonal, not balanced by winner; Reversi and Dots and Boxes have 512 boards a winner.
    Tic-Tac-Toe has all its boards outside the benchmark (620) and 404 of them a second time.

    Parameters
    ----------
    game
        Slug of the game.
    overlap
        Build the pool as the paper's text describes it: benchmark boards are not left out, so that
        Tic-Tac-Toe has all 920 boards and 104 a second time.
    """
    held_out = set() if overlap else {state.board for state in benchmark_states(game)}
    rng = Random(SEED ^ _SALT[game])
    if game == "tictactoe":
        return tuple(_tictactoe(held_out, rng))
    boards = _connect4(held_out, rng) if game == "connect4" else _balanced(game, held_out, rng)
    return tuple(Slot(board) for board in boards)


def examples(
    split: str, part: Literal["train", "test"], *, overlap: bool = False
) -> Iterator[Example]:
    """Yield the questions of a split: 8,192 to train on or 2,400 to test on.

    Training asks winner and loser of each place of a pool in turn. Testing goes by game, rule,
    state and target in alphabetical order, as published. ``overlap`` is that of :func:`pool`.
    """
    train, test = SPLITS[split]
    if part == "train":
        for game, rule in train:
            for slot in pool(game, overlap=overlap):
                for target in TARGETS:
                    yield _example(game, slot, Question(rule=rule, target=target))
    else:
        for game, rule in sorted(test):
            for state in benchmark_states(game):
                for target in sorted(TARGETS):
                    yield _example(game, Slot(state.board), Question(rule=rule, target=target))


def _example(game: str, slot: Slot, question: Question) -> Example:
    labels = GAMES[game].labels
    prefix = TOP_UP_PREFIX if slot.top_up else ""
    # Base prompts have no tags, so the state id that decides these is of no account.
    problem = f"<image>{prefix}{prompt(game, 0, question, labels)}"
    gold = answer(GAMES[game].winner(slot.board), question, labels)
    return Example(game, slot.board, problem, gold)


def _tictactoe(held_out: set[Board], rng: Random) -> list[Slot]:
    boards = [board for board in tictactoe_terminals() if board not in held_out]
    rng.shuffle(boards)
    again = rng.sample(range(len(boards)), POOL - len(boards))
    slots = [Slot(board) for board in boards] + [Slot(boards[i], top_up=True) for i in again]
    rng.shuffle(slots)
    return slots


def _connect4(held_out: set[Board], rng: Random) -> list[Board]:
    buckets: dict[str, dict[str, Board]] = {name: {} for name in _CONNECT4_QUOTA}
    for board in connect4_games(rng):
        orientations = {name.split("_")[0] for name in won_line_names(4, board)}
        if len(orientations) > 1 or board in held_out:
            continue
        orientation = orientations.pop()
        if len(buckets[orientation]) < _CONNECT4_QUOTA[orientation]:
            buckets[orientation][key(board)] = board
        if all(len(buckets[name]) == quota for name, quota in _CONNECT4_QUOTA.items()):
            break
    return shuffled(buckets.values(), rng)


def _balanced(game: str, held_out: set[Board], rng: Random) -> list[Board]:
    buckets: Buckets = {1: {}, 2: {}}
    while any(len(bucket) < POOL // 2 for bucket in buckets.values()):
        candidates = balanced_boards(game, _CANDIDATES, rng.randint(0, 2**31 - 1))
        fill(game, (b for b in candidates if b not in held_out), buckets, POOL // 2)
    return shuffled(buckets.values(), rng)
