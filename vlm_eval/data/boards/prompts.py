"""What VLM-Fix asks: prompts, outcome tags, glyph letters, text boards and gold answers.

All sentences and random streams are the published ones (Alam 2026, sections 3 and App. A). The
names of the prompt variants differ between the paper's text and its data set:
:data:`PUBLISHED_VARIANT` maps ours, the paper's, to the data set's.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from random import Random
from typing import Literal, TypeAlias

from vlm_eval.data.boards.drawing import Style
from vlm_eval.data.boards.games import GAMES, Board
from vlm_eval.data.boards.states import SEED

Rule: TypeAlias = Literal["standard", "inverse"]
Target: TypeAlias = Literal["winner", "loser"]
Order: TypeAlias = Literal["image_first", "text_first"]
Variant: TypeAlias = Literal["base", "alias", "semalias", "descriptive"]
Mode: TypeAlias = Literal["direct", "cot"]
Labels: TypeAlias = tuple[str, str]

RULES: tuple[Rule, ...] = ("standard", "inverse")
TARGETS: tuple[Target, ...] = ("winner", "loser")
ORDERS: tuple[Order, ...] = ("image_first", "text_first")
VARIANTS: tuple[Variant, ...] = ("base", "alias", "semalias", "descriptive")
MODES: tuple[Mode, ...] = ("direct", "cot")

PUBLISHED_VARIANT: dict[str, str] = {
    "base": "standard",
    "alias": "tag",
    "semalias": "tag_sem",
    "descriptive": "desc",
}
"""Prompt variant to the data set's ``prompt_variant``."""

TAGS = ["KAP", "TOV", "NEX", "RIL", "POM"]
GLYPHS = [letter for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZ" if letter not in "XOAB"]
_GLYPH_FACTOR = 1315423911
_GRID = {
    "tictactoe": "3x3 grid",
    "reversi": "5x5 grid",
    "connect4": "4x4 vertical grid",
    "dots_boxes": "6x6 dot grid",
}
_LINE = {"tictactoe": "3", "connect4": "4"}
_HOLDS = {"reversi": "{more} pieces on the grid", "dots_boxes": "claimed {more} boxes"}


@lru_cache(maxsize=4096)
def checksum(text: str) -> int:
    """Return the sum over the characters of position (from 1) times code point.

    >>> checksum("AB")
    197
    """
    return sum(position * ord(character) for position, character in enumerate(text, 1))


@lru_cache(maxsize=2048)
def glyph_labels(game: str, state_id: int) -> Labels:
    """Return the two letters that stand for the players in a state's glyph drawing."""
    rng = Random(SEED ^ (state_id * _GLYPH_FACTOR) ^ checksum(game))
    first, second = rng.sample(GLYPHS, 2)
    return first, second


def player_labels(game: str, state_id: int, style: Style) -> Labels:
    """Return what the players are called in a drawing style: glyph letters or the game's names."""
    return glyph_labels(game, state_id) if style == "glyph" else GAMES[game].labels


@dataclass(frozen=True)
class Question:
    """Everything about a question but its board and its picture.

    Attributes
    ----------
    rule
        ``standard`` or ``inverse``.
    target
        Whether the ``winner`` or the ``loser`` is asked for.
    order
        Whether image or text comes first. Changes the tags drawn, not the wording.
    variant
        ``base``, ``alias`` (outcome tags), ``semalias`` (tags with their meaning) or
        ``descriptive`` (about the line or the count, not the outcome).
    mode
        ``direct`` or ``cot`` (reason step by step, answer in a box).
    """

    rule: Rule = "standard"
    target: Target = "winner"
    order: Order = "image_first"
    variant: Variant = "base"
    mode: Mode = "direct"

    @property
    def tagged(self) -> bool:
        """Whether outcomes have made-up tags."""
        return self.variant in ("alias", "semalias")


def outcome_tags(game: str, state_id: int, question: Question) -> Labels:
    """Return the winning and the losing tag of a row, in that order.

    The stream's key has the rule, target, order and mode but not the prompt variant: alias and
    semalias of one row share their tags, the two rules of a pair mostly do not.
    """
    q = question
    row = "|".join([game, str(state_id), q.rule, q.target, q.order, q.mode])
    return _tags(checksum(row))


@lru_cache(maxsize=4096)
def _tags(row: int) -> Labels:
    win, lose = Random(SEED ^ row).sample(TAGS, 2)
    return win, lose


def prompt(game: str, state_id: int, question: Question, labels: Labels) -> str:
    """Return the whole prompt of an image question, one line.

    Parameters
    ----------
    game, state_id
        Which state; the id only decides the tags.
    question
        What is asked.
    labels
        The two players' names: the game's own, or the glyph letters.
    """
    tags = outcome_tags(game, state_id, question) if question.tagged else None
    return _prompt(game, tags, question, labels)


@lru_cache(maxsize=8192)
def _prompt(game: str, tags: Labels | None, question: Question, labels: Labels) -> str:
    p1, p2 = labels
    players = f"Players are {p1} and {p2}."
    if question.variant == "descriptive":
        opening = f"You are given a {_GRID[game]} from a two-player game."
        sentences = [opening, players, _description(game, question)]
    else:
        opening = f"You are given a {_GRID[game]} for a two-player game."
        sentences = [opening, players, *_outcome(game, tags, question)]
    if question.mode == "direct":
        sentences.append(f"Answer with only {p1} or {p2}. Do not add any other text.")
    else:
        sentences.append(
            f"Reason step by step. After that, give the answer ({p1} or {p2}) inside \\boxed{{ }}."
        )
    return " ".join(sentences)


def _outcome(game: str, tags: Labels | None, question: Question) -> list[str]:
    """Return the sentences from the tags to the question."""
    sentences: list[str] = []
    who: str = question.target
    wins, loses = "wins", "loses"
    if tags is not None:
        win, lose = tags
        wins, loses = f"is {win}", f"is {lose}"
        sentences.append(f"Outcome tags: {win} and {lose}.")
        if question.variant == "semalias":
            sentences.append(f"{win} means favorable outcome; {lose} means unfavorable outcome.")
        who = win if question.target == "winner" else lose
    sentences += [
        _rule(game, question.rule, wins, loses),
        "The game has ended.",
        f"Who is the {who}?",
    ]
    return sentences


def _rule(game: str, rule: Rule, wins: str, loses: str) -> str:
    """Return the rule; line games invert the outcomes, counting games the comparison."""
    if game in _LINE:
        first, second = (wins, loses) if rule == "standard" else (loses, wins)
        return (
            f"If a player has {_LINE[game]} in a row (horizontal, vertical, or diagonal), "
            f"that player {first}, and the other player {second}."
        )
    holds = _HOLDS[game].format(more="more" if rule == "standard" else "fewer")
    return (
        f"When the game ends, if a player has {holds} than the other player, "
        f"that player {wins}, and the other player {loses}."
    )


def _description(game: str, question: Question) -> str:
    """Return the descriptive question, which asks for the line-former or the majority, or not."""
    positive = (question.rule == "standard") == (question.target == "winner")
    if game in _LINE:
        line = f"a {_LINE[game]}-in-a-row line"
        asked = f"forms {line}" if positive else f"does not form {line}"
        return (
            f"One player forms {line} (horizontal, vertical, or diagonal) and the other does not. "
            f"Which player {asked}?"
        )
    things = "pieces on the grid" if game == "reversi" else "claimed cells"
    return f"Which player has {'more' if positive else 'fewer'} {things}?"


def answer(winner: int, question: Question, labels: Labels) -> str:
    """Return the gold label, given who wins under the standard rule (1 or 2)."""
    wins = winner if question.rule == "standard" else 3 - winner
    return labels[(wins if question.target == "winner" else 3 - wins) - 1]


def board_text(game: str, board: Board) -> str:
    """Return a board in box-drawing characters, as the text-only control shows it."""
    marks = (" ", *GAMES[game].tokens)
    rows = [[f" {marks[cell]} " for cell in row] for row in board]
    bar = "───"
    n = GAMES[game].size
    if game in _LINE:
        return f"\n{'┼'.join([bar] * n)}\n".join("│".join(row) for row in rows)
    boxed = [f"│{'│'.join(row)}│" for row in rows]
    corners = ("┌┬┐", "├┼┤", "└┴┘") if game == "reversi" else ("•••",) * 3
    edges = [f"{edge[0]}{edge[1].join([bar] * n)}{edge[2]}" for edge in corners]
    return "\n".join([edges[0], f"\n{edges[1]}\n".join(boxed), edges[2]])


def with_board(prompt_text: str, game: str, board: Board) -> str:
    """Return the text-only question: a prompt, and after it the board."""
    return f"{prompt_text}\n\nBoard:\n{board_text(game, board)}"
