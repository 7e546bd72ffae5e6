"""The 115,200 questions of VLM-Fix and its 4,800 text-only ones, in the published table's form.

Names and order of columns and rows are those of the published ``instances.parquet`` (spec: the
paper's repository, ``vlm_fix/generation.py`` and ``scripts/build_vlm_fix_text_only_dataset.py``).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import product
from typing import Any

from vlm_eval.data.boards.drawing import Style
from vlm_eval.data.boards.games import GAMES
from vlm_eval.data.boards.prompts import (
    MODES,
    ORDERS,
    PUBLISHED_VARIANT,
    RULES,
    TARGETS,
    VARIANTS,
    Question,
    answer,
    board_text,
    player_labels,
    prompt,
    with_board,
)
from vlm_eval.data.boards.render import STYLES
from vlm_eval.data.boards.states import PER_GAME, State, benchmark_states

Instance = dict[str, Any]


def image_path(game: str, style: Style, state_id: int) -> str:
    """Return where a drawing lies in the published folder."""
    return f"images/{game}/{style}/state_{state_id:03d}.png"


def instances(states: int = PER_GAME) -> Iterator[Instance]:
    """Yield the questions with an image, ``index`` from 1.

    The canonical drawings are asked with all four prompt variants, the others with the base one.

    Parameters
    ----------
    states
        How many of each game's states; only with all 300 is ``index`` the published one.
    """
    index = 0
    for game, style in product(GAMES, STYLES):
        variants = VARIANTS if style == "canonical" else VARIANTS[:1]
        for state in benchmark_states(game)[:states]:
            for rule, order, variant, mode, target in product(
                RULES, ORDERS, variants, MODES, TARGETS
            ):
                index += 1
                question = Question(rule, target, order, variant, mode)
                yield {"index": index, **_instance(game, style, state, question)}


def _instance(game: str, style: Style, state: State, question: Question) -> Instance:
    labels = player_labels(game, state.state_id, style)
    letters = {"glyph_p1": labels[0], "glyph_p2": labels[1]} if style == "glyph" else {}
    return {
        "game": game,
        "state_id": state.state_id,
        "board_state": GAMES[game].board_state(state.board),
        "render_variant": style,
        "rule_variant": question.rule,
        "image_text_order": question.order,
        "prompt_variant": PUBLISHED_VARIANT[question.variant],
        "prompt_type": question.mode,
        "question_target": question.target,
        "prompt": prompt(game, state.state_id, question, labels),
        "answer": answer(state.winner, question, labels),
        "valid_labels": "|".join(labels),
        "image_path": image_path(game, style, state.state_id),
        "render_meta": json.dumps(letters, separators=(",", ":")),
        "standard_winner_idx": state.winner,
        "inverse_winner_idx": 3 - state.winner,
    }


def text_only_instances(states: int = PER_GAME) -> Iterator[Instance]:
    """Yield the questions of the text-only control, sorted by game, state, rule and target."""
    index = 0
    for game in sorted(GAMES):
        for state in benchmark_states(game)[:states]:
            for rule, target in product(sorted(RULES), sorted(TARGETS)):
                index += 1
                question = Question(rule=rule, target=target)
                yield {"index": index, **_text_only(game, state, question)}


def _text_only(game: str, state: State, question: Question) -> Instance:
    row = _instance(game, "canonical", state, question)
    kept = ["game", "state_id", "board_state", "rule_variant", "question_target", "prompt"]
    kept += ["answer", "valid_labels", "standard_winner_idx", "inverse_winner_idx"]
    return {name: row[name] for name in kept} | {
        "modality": "text_only",
        "render_variant": "canonical_text",
        "prompt_variant": "standard",
        "prompt_type": "direct",
        "source_image_text_order": "image_first",
        "image_text_order": "text_first",
        "board_text": board_text(game, state.board),
        "input_text": with_board(row["prompt"], game, state.board),
    }
