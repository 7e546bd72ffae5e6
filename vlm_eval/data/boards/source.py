"""The data source ``boards``: VLM-Fix, generated or read in its published form."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property, lru_cache, partial
from typing import Annotated, Any, ClassVar

import pydantic

from vlm_eval.core.errors import TaskError, did_you_mean
from vlm_eval.core.hashing import digest
from vlm_eval.core.options import configurable
from vlm_eval.core.types import Condition, ImageRef, Level
from vlm_eval.data.base import Row, SourceInfo
from vlm_eval.data.boards.drawing import Style, marks
from vlm_eval.data.boards.games import GAMES, Board
from vlm_eval.data.boards.prompts import (
    MODES,
    ORDERS,
    RULES,
    TARGETS,
    VARIANTS,
    Question,
    answer,
    player_labels,
    prompt,
    with_board,
)
from vlm_eval.data.boards.published import Published, read_folder, read_hub
from vlm_eval.data.boards.render import STYLES, render
from vlm_eval.data.boards.states import PER_GAME, State, benchmark_states

VERSION = 1
FACTORS: dict[str, tuple[str, ...]] = {
    "rule": RULES,
    "target": TARGETS,
    "order": ORDERS,
    "prompt_variant": VARIANTS,
    "render": STYLES,
    "mode": MODES,
    "modality": ("image", "text"),
}
"""What the questions depend on, the default first."""

TICTACTOE_NOTICE = (
    "the Tic-Tac-Toe boards are this project's own draw with the published quotas: "
    "the paper's draw depends on a salted hash and cannot be repeated"
)


@configurable
class Boards:
    """Questions about finished boards of four games, one sample a board.

    Attributes
    ----------
    games
        Which games, in this order.
    states
        Take the first so many of each game's states, 1 to 300.
    path
        A folder with ``instances.parquet`` and ``images/`` to read instead of generating.
    hub
        A data set for ``datasets`` to load instead, such as ``maveryn/vlm-fix``: its configuration
        ``vlm_fix`` with the splits ``main`` and ``images``.
    revision
        Which revision of `hub`.
    embedded
        Generate the boards, as also with neither `path` nor `hub`.
    """

    own_hub: ClassVar[str] = "maveryn/vlm-fix"
    """What ``--data TASK=hub`` reads; tasks generate the boards otherwise."""
    games: tuple[str, ...] = tuple(GAMES)
    states: Annotated[int, pydantic.Field(ge=1, le=PER_GAME)] = PER_GAME
    path: str | None = None
    hub: str | None = None
    revision: str | None = None
    embedded: bool = False

    def __post_init__(self) -> None:
        where = "data source boards, option 'games'"
        if not self.games:
            raise TaskError(f"{where}: no game is named", hint=f"name some of {', '.join(GAMES)}")
        for index, game in enumerate(self.games):
            if game not in GAMES:
                raise TaskError(f"{where}: unknown game {game!r}", hint=did_you_mean(game, GAMES))
            if game in self.games[:index]:
                raise TaskError(f"{where}: {game!r} is named twice")
        if self.path is not None and self.hub is not None:
            raise TaskError("data source boards, option 'path': cannot be given beside 'hub'")
        if self.embedded and (self.path is not None or self.hub is not None):
            raise TaskError(f"{where.replace('games', 'embedded')}: cannot be given beside others")

    def info(self) -> SourceInfo:
        """Return the provenance: of the generator, or of the rows read."""
        notice = TICTACTOE_NOTICE if self._own_tictactoe else None
        if self._published is not None:
            return SourceInfo(digest=self._published.digest, notice=notice)
        recipe = ["vlm-fix boards", VERSION, list(self.games), self.states]
        return SourceInfo(digest=digest(recipe), notice=notice)

    def rows(self) -> Iterator[Row]:
        """Yield one row a board: game, state_id, board_state and the winner under either rule."""
        for game in self.games:
            for state in self._states[game].values():
                yield {
                    "game": game,
                    "state_id": state.state_id,
                    "board_state": GAMES[game].board_state(state.board),
                    "standard_winner_idx": state.winner,
                    "inverse_winner_idx": 3 - state.winner,
                }

    def fields(self, row: Row, condition: Condition) -> Row:
        """Return the row with its picture, prompt and answer under a condition.

        The condition's factors are those of :data:`FACTORS`, each with its first level by default;
        others are ignored. Added are ``board`` (an image), ``prompt`` (as sent, with the board if
        the modality is text), ``p1`` and ``p2`` (the players' labels), ``answer``,
        ``valid_labels`` and ``salient``: the label of who has the line or the majority.

        Raises
        ------
        TaskError
            If the condition has an unknown level, or asks for a text-only question that is not
            base, direct and canonical.
        DataError
            If a published table has no such question, or its image cannot be opened.
        """
        question, style, as_text = _asked(tuple(condition.items()))
        game, state = row["game"], self._states[row["game"]][row["state_id"]]
        if self._published is None:
            labels = player_labels(game, state.state_id, style)
            text = prompt(game, state.state_id, question, labels)
            gold = answer(state.winner, question, labels)
            image = board_image(game, state.board, style, labels)
        else:
            entry = self._published.entry(game, state.state_id, style, question)
            labels, text, gold = entry.labels, entry.prompt, entry.answer
            image = self._published.image(entry)
        if as_text:
            # The published runner strips the text, which costs some boards their last blanks.
            text = with_board(text, game, state.board).strip()
        return {
            **row,
            "board": image,
            "prompt": text,
            "p1": labels[0],
            "p2": labels[1],
            "answer": gold,
            "valid_labels": "|".join(labels),
            "salient": labels[state.winner - 1],
        }

    @property
    def _own_tictactoe(self) -> bool:
        """Whether the Tic-Tac-Toe boards are this project's draw, generated or read back."""
        if "tictactoe" not in self.games:
            return False
        own = {state.state_id: state.board for state in benchmark_states("tictactoe")}
        states = self._states["tictactoe"].values()
        return all(own.get(state.state_id) == state.board for state in states)

    @cached_property
    def _published(self) -> Published | None:
        if self.path is not None:
            return read_folder(self.path, self.games, self.states)
        if self.hub is not None:
            return read_hub(self.hub, self.revision, self.games, self.states)
        return None

    @cached_property
    def _states(self) -> dict[str, dict[int, State]]:
        if self._published is not None:
            return self._published.states
        return {
            game: {state.state_id: state for state in benchmark_states(game)[: self.states]}
            for game in self.games
        }


@lru_cache(maxsize=256)
def board_image(game: str, board: Board, style: Style, labels: tuple[str, str]) -> ImageRef:
    """Return the lazily drawn picture of a board; its key is the digest of what is drawn."""
    letters = [mark.letter for mark in marks(game, style, labels)]
    return ImageRef(
        key=digest(["vlm-fix board", VERSION, game, style, board, letters]),
        load=partial(render, game, board, style, labels),
        label=f"{game} board, {style}",
    )


@lru_cache(maxsize=256)
def _asked(condition: tuple[tuple[str, Level], ...]) -> tuple[Question, Style, bool]:
    """Return the question and the drawing of a condition, and whether the board is text.

    The text-only control has no other drawings or prompts.
    """
    given = dict(condition)
    levels: dict[str, Any] = {
        name: str(given.get(name, known[0])) for name, known in FACTORS.items()
    }
    for name, level in levels.items():
        if level not in FACTORS[name]:
            hint = did_you_mean(level, FACTORS[name])
            raise TaskError(f"factor {name!r} has no level {level!r} here", hint=hint)
    plain = all(levels[n] == FACTORS[n][0] for n in ("prompt_variant", "render", "mode"))
    if levels["modality"] == "text" and not plain:
        raise TaskError(
            "text-only questions are base, direct and canonical",
            hint="restrict the conditions with `where`",
        )
    question = Question(
        levels["rule"], levels["target"], levels["order"], levels["prompt_variant"], levels["mode"]
    )
    return question, levels["render"], levels["modality"] == "text"
