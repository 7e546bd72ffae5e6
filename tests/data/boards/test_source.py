"""The source as it generates its samples."""

from __future__ import annotations

import json

import pytest

from vlm_eval.core.errors import TaskError
from vlm_eval.core.options import build
from vlm_eval.core.types import ImageRef
from vlm_eval.data.base import SOURCES
from vlm_eval.data.boards.games import GAMES
from vlm_eval.data.boards.prompts import glyph_labels
from vlm_eval.data.boards.render import STYLES, render
from vlm_eval.data.boards.source import Boards
from vlm_eval.data.boards.states import benchmark_states

FIELDS = {
    "game",
    "state_id",
    "board",
    "board_state",
    "prompt",
    "p1",
    "p2",
    "answer",
    "standard_winner_idx",
    "inverse_winner_idx",
    "valid_labels",
    "salient",
}


def test_rows_are_the_states_in_order():
    rows = list(Boards(games=("reversi", "tictactoe"), states=2).rows())
    assert [(row["game"], row["state_id"]) for row in rows] == [
        ("reversi", 1),
        ("reversi", 2),
        ("tictactoe", 1),
        ("tictactoe", 2),
    ]
    assert rows[0]["board_state"] == "[[1,1,1,2,2],[1,1,2,2,1],[1,2,2,2,2],[1,2,2,2,2],[1,2,2,2,2]]"
    assert json.loads(json.dumps(rows)) == rows
    assert len(list(Boards().rows())) == 1_200


def test_fields_by_default():
    source = Boards(games=("connect4",), states=1)
    (row,) = source.rows()
    fields = dict(source.fields(row, {"blur": 3}))
    image = fields.pop("board")
    assert set(fields) | {"board"} == FIELDS
    assert fields == {
        **row,
        "prompt": "You are given a 4x4 vertical grid for a two-player game. Players are Red and "
        "Yellow. If a player has 4 in a row (horizontal, vertical, or diagonal), that player wins, "
        "and the other player loses. The game has ended. Who is the winner? Answer with only Red "
        "or Yellow. Do not add any other text.",
        "p1": "Red",
        "p2": "Yellow",
        "answer": "Yellow",
        "valid_labels": "Red|Yellow",
        "salient": "Yellow",
    }
    board = benchmark_states("connect4")[0].board
    drawn = render("connect4", board, "canonical", ("Red", "Yellow"))
    assert image.load().tobytes() == drawn.tobytes()


def test_glyph_letters_replace_the_labels_everywhere():
    source = Boards(games=("reversi",), states=1)
    (row,) = source.rows()
    fields = source.fields(row, {"render": "glyph", "rule": "inverse"})
    p1, p2 = glyph_labels("reversi", 1)
    assert (fields["p1"], fields["p2"], fields["valid_labels"]) == (p1, p2, f"{p1}|{p2}")
    assert (fields["answer"], fields["salient"]) == (p1, p2)
    assert f"Players are {p1} and {p2}." in fields["prompt"]
    assert "Black" not in fields["prompt"]


@pytest.mark.parametrize("game", GAMES)
def test_text_only_adds_the_board_and_is_stripped(game):
    source = Boards(games=(game,), states=30)
    for row in source.rows():
        image, text = (source.fields(row, {"modality": m})["prompt"] for m in ("image", "text"))
        head, board = text.split("\n\nBoard:\n")
        assert head == image
        assert text == text.strip()
        marks = {GAMES[game].tokens[0]: 1, GAMES[game].tokens[1]: 2}
        cells = [marks[c] for c in board if c in marks]
        state = benchmark_states(game)[row["state_id"] - 1]
        assert cells == [cell for line in state.board for cell in line if cell]


def test_keys_tell_pictures_apart_and_nothing_else():
    source = Boards(states=20)
    keys = {}
    for row in source.rows():
        for style in STYLES:
            for rule, variant in (("standard", "base"), ("inverse", "alias")):
                condition = {"render": style, "rule": rule, "prompt_variant": variant}
                image = source.fields(row, condition)["board"]
                assert isinstance(image, ImageRef)
                keys.setdefault((row["game"], row["state_id"], style), set()).add(image.key)
    assert all(len(found) == 1 for found in keys.values())
    assert len(set.union(*keys.values())) == len(keys) == 4 * 20 * 3


def test_info():
    info = Boards().info()
    assert not info.synthetic
    assert "Tic-Tac-Toe" in info.notice
    assert Boards(games=("reversi",)).info().notice is None
    assert Boards().info() == info
    others = [Boards(states=3), Boards(games=("reversi",)), Boards(games=tuple(GAMES)[::-1])]
    assert len({source.info().digest for source in [Boards(), *others]}) == 4


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"games": ["conect4"]}, "unknown game 'conect4'; did you mean connect4?"),
        ({"games": []}, "no game is named"),
        ({"games": ["reversi", "reversi"]}, "'reversi' is named twice"),
        ({"states": 0}, "option 'states'.*greater than or equal to 1"),
        ({"states": 301}, "option 'states'.*less than or equal to 300"),
        ({"game": ["reversi"]}, "no option 'game'; did you mean games?"),
        ({"path": "a", "hub": "b"}, "option 'path'.*beside 'hub'"),
    ],
)
def test_options_are_checked(options, words):
    with pytest.raises(TaskError, match=words):
        build(SOURCES, {"name": "boards", **options}, where=None)


@pytest.mark.parametrize(
    ("condition", "words"),
    [
        ({"rule": "invers"}, "factor 'rule' has no level 'invers' here; did you mean inverse?"),
        ({"render": "standard"}, "factor 'render'.*known: canonical, checkerboard, glyph"),
        ({"modality": "text", "mode": "cot"}, "text-only questions are base, direct"),
        ({"modality": "text", "render": "glyph"}, "text-only.*`where`"),
        ({"modality": "text", "prompt_variant": "alias"}, "text-only"),
    ],
)
def test_levels_are_checked(condition, words):
    source = Boards(states=1, games=("reversi",))
    (row,) = source.rows()
    with pytest.raises(TaskError, match=words):
        source.fields(row, condition)
