from __future__ import annotations

import re
from itertools import product

import pytest

from vlm_eval.data.boards.games import GAMES
from vlm_eval.data.boards.prompts import (
    GLYPHS,
    MODES,
    ORDERS,
    RULES,
    TARGETS,
    Question,
    answer,
    board_text,
    checksum,
    glyph_labels,
    outcome_tags,
    player_labels,
    prompt,
    with_board,
)

DIRECT = "Answer with only {} or {}. Do not add any other text."
COT = "Reason step by step. After that, give the answer ({} or {}) inside \\boxed{{ }}."


def ask(game, state_id=1, **question):
    return prompt(game, state_id, Question(**question), GAMES[game].labels)


def test_the_worked_example():
    assert ask("reversi", rule="inverse") == (
        "You are given a 5x5 grid for a two-player game. Players are Black and White. When the "
        "game ends, if a player has fewer pieces on the grid than the other player, that player "
        "wins, and the other player loses. The game has ended. Who is the winner? Answer with only "
        "Black or White. Do not add any other text."
    )


def test_alias_adds_tags_to_three_sentences():
    question = {"rule": "inverse", "variant": "alias"}
    win, lose = outcome_tags("reversi", 1, Question(**question))
    base = ask("reversi", rule="inverse")
    wanted = (
        base.replace(" When", f" Outcome tags: {win} and {lose}. When")
        .replace("player wins", f"player is {win}")
        .replace("player loses", f"player is {lose}")
        .replace("Who is the winner?", f"Who is the {win}?")
    )
    assert ask("reversi", **question) == wanted
    sem = f"{lose}. {win} means favorable outcome; {lose} means unfavorable outcome. When"
    assert ask("reversi", rule="inverse", variant="semalias") == wanted.replace(
        f"{lose}. When", sem
    )


def test_the_published_row():
    question = Question("inverse", "loser", "text_first", "semalias", "cot")
    assert outcome_tags("reversi", 1, question) == ("KAP", "RIL")
    assert prompt("reversi", 1, question, ("Black", "White")) == (
        "You are given a 5x5 grid for a two-player game. Players are Black and White. Outcome "
        "tags: KAP and RIL. KAP means favorable outcome; RIL means unfavorable outcome. When the "
        "game ends, if a player has fewer pieces on the grid than the other player, that player is "
        "KAP, and the other player is RIL. The game has ended. Who is the RIL? Reason step by "
        "step. After that, give the answer (Black or White) inside \\boxed{ }."
    )


@pytest.mark.parametrize(
    ("game", "grid", "line"),
    [("tictactoe", "3x3 grid", "3"), ("connect4", "4x4 vertical grid", "4")],
)
def test_line_games_swap_the_outcomes(game, grid, line):
    p1, p2 = GAMES[game].labels
    text = (
        f"You are given a {grid} for a two-player game. Players are {p1} and {p2}. If a player has "
        f"{line} in a row (horizontal, vertical, or diagonal), that player {{}}, and the other "
        f"player {{}}. The game has ended. Who is the {{}}? {DIRECT.format(p1, p2)}"
    )
    assert ask(game) == text.format("wins", "loses", "winner")
    assert ask(game, rule="inverse") == text.format("loses", "wins", "winner")
    assert ask(game, rule="inverse", target="loser") == text.format("loses", "wins", "loser")
    question = Question("inverse", "loser", variant="alias")
    win, lose = outcome_tags(game, 5, question)
    tagged = prompt(game, 5, question, (p1, p2))
    assert f"that player is {lose}, and the other player is {win}. The game" in tagged
    assert f"Outcome tags: {win} and {lose}. If a player" in tagged
    assert f"Who is the {lose}?" in tagged


def test_counting_games_swap_the_comparison():
    text = "a player has claimed {} boxes than the other player, that player wins, and the other"
    assert text.format("more") in ask("dots_boxes")
    assert text.format("fewer") in ask("dots_boxes", rule="inverse")
    assert ask("dots_boxes").startswith("You are given a 6x6 dot grid for a two-player game. ")


@pytest.mark.parametrize(
    ("game", "start", "positive", "negative"),
    [
        (
            "tictactoe",
            "You are given a 3x3 grid from a two-player game. Players are X and O. One player "
            "forms a 3-in-a-row line (horizontal, vertical, or diagonal) and the other does not. ",
            "Which player forms a 3-in-a-row line?",
            "Which player does not form a 3-in-a-row line?",
        ),
        (
            "connect4",
            "You are given a 4x4 vertical grid from a two-player game. Players are Red and Yellow. "
            "One player forms a 4-in-a-row line (horizontal, vertical, or diagonal) and the other "
            "does not. ",
            "Which player forms a 4-in-a-row line?",
            "Which player does not form a 4-in-a-row line?",
        ),
        (
            "reversi",
            "You are given a 5x5 grid from a two-player game. Players are Black and White. ",
            "Which player has more pieces on the grid?",
            "Which player has fewer pieces on the grid?",
        ),
        (
            "dots_boxes",
            "You are given a 6x6 dot grid from a two-player game. Players are A and B. ",
            "Which player has more claimed cells?",
            "Which player has fewer claimed cells?",
        ),
    ],
)
def test_descriptive(game, start, positive, negative):
    labels = GAMES[game].labels
    for rule, target in product(RULES, TARGETS):
        asked = positive if (rule == "standard") == (target == "winner") else negative
        for mode, ending in zip(MODES, (DIRECT, COT), strict=True):
            got = ask(game, rule=rule, target=target, variant="descriptive", mode=mode)
            assert got == f"{start}{asked} {ending.format(*labels)}"


def test_eight_descriptive_prompts_a_mode():
    for mode in MODES:
        prompts = {
            ask(game, i, rule=r, target=t, order=o, variant="descriptive", mode=mode)
            for game, i, r, t, o in product(GAMES, (1, 2), RULES, TARGETS, ORDERS)
        }
        assert len(prompts) == 8


def test_the_game_is_never_named():
    for game, variant, mode in product(GAMES, ("base", "alias", "semalias", "descriptive"), MODES):
        text = ask(game, variant=variant, mode=mode).lower()
        assert not re.search("tic-?tac|reversi|othello|connect|dots and", text)


def test_checksum_weighs_by_position():
    assert checksum("ab") == 97 + 2 * 98
    assert checksum("ab") != checksum("ba")


def test_tags_depend_on_all_but_the_variant():
    base = Question(variant="alias")
    pairs = {
        "rule": Question(rule="inverse", variant="alias"),
        "target": Question(target="loser", variant="alias"),
        "order": Question(order="text_first", variant="alias"),
        "mode": Question(mode="cot", variant="alias"),
    }
    for other in pairs.values():
        differ = [
            outcome_tags("connect4", i, base) != outcome_tags("connect4", i, other)
            for i in range(1, 301)
        ]
        assert any(differ)
    same = Question(variant="semalias")
    for i in range(1, 301):
        assert outcome_tags("connect4", i, base) == outcome_tags("connect4", i, same)


def test_glyph_letters():
    assert len(GLYPHS) == 22
    assert not set("XOAB") & set(GLYPHS)
    pairs = [glyph_labels(game, i) for game in GAMES for i in range(1, 301)]
    assert all(one != two and {one, two} <= set(GLYPHS) for one, two in pairs)
    assert sum("I" in pair for pair in pairs) == 86
    # Those of the four boards in the paper's Figures 2 and 8.
    assert [glyph_labels(game, 1) for game in GAMES] == [
        ("G", "P"),
        ("W", "P"),
        ("R", "K"),
        ("T", "Y"),
    ]


def test_player_labels():
    assert player_labels("reversi", 1, "canonical") == ("Black", "White")
    assert player_labels("reversi", 1, "checkerboard") == ("Black", "White")
    assert player_labels("reversi", 1, "glyph") == ("W", "P")


@pytest.mark.parametrize(
    ("winner", "rule", "target", "label"),
    [
        (1, "standard", "winner", "p1"),
        (1, "standard", "loser", "p2"),
        (1, "inverse", "winner", "p2"),
        (1, "inverse", "loser", "p1"),
        (2, "standard", "winner", "p2"),
        (2, "inverse", "loser", "p2"),
    ],
)
def test_answer(winner, rule, target, label):
    assert answer(winner, Question(rule=rule, target=target), ("p1", "p2")) == label


@pytest.mark.parametrize(
    ("game", "board", "text"),
    [
        (
            "tictactoe",
            ((1, 2, 0), (1, 0, 2), (1, 0, 0)),
            " X │ O │   \n───┼───┼───\n X │   │ O \n───┼───┼───\n X │   │   ",
        ),
        (
            "connect4",
            ((0, 0, 0, 0), (0, 0, 0, 0), (0, 0, 0, 0), (1, 2, 1, 0)),
            "   │   │   │   \n───┼───┼───┼───\n   │   │   │   \n───┼───┼───┼───\n"
            "   │   │   │   \n───┼───┼───┼───\n R │ Y │ R │   ",
        ),
        (
            "reversi",
            ((1, 2, 0, 0, 0), *((0,) * 5,) * 4),
            "┌───┬───┬───┬───┬───┐\n│ B │ W │   │   │   │\n├───┼───┼───┼───┼───┤\n"
            + "\n├───┼───┼───┼───┼───┤\n".join(["│   │   │   │   │   │"] * 4)
            + "\n└───┴───┴───┴───┴───┘",
        ),
        (
            "dots_boxes",
            ((1, 2, 1, 2, 1, 2),) * 6,
            "•───•───•───•───•───•───•\n"
            + "│ A │ B │ A │ B │ A │ B │\n•───•───•───•───•───•───•\n" * 5
            + "│ A │ B │ A │ B │ A │ B │\n•───•───•───•───•───•───•",
        ),
    ],
)
def test_text_boards(game, board, text):
    assert board_text(game, board) == text
    assert with_board("Who?", game, board) == f"Who?\n\nBoard:\n{text}"
