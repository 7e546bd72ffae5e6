"""A number from a paper, and what may keep it from being the same as a measured one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from vlm_eval.core.types import Level

RULES = {"std": "standard", "inv": "inverse"}
TOPICS = {
    "animals": "Animals", "logos": "Logos", "flags": "Flags", "game_boards": "Game Boards",
}  # fmt: skip
OF_RULES = "mean of the two printed rules"
OF_GAMES = "mean of the four printed games"
WINNER_ONLY = "asked for the winner, image first, only: comparable to that slice alone"
API_MODELS = ("GPT-4.1", "GPT-5.2", "Sonnet-4.0", "Sonnet-4.5")  # the paper's, by its own names


@dataclass(frozen=True)
class Reported:
    """A number from a paper.

    Attributes
    ----------
    task
        The task that measures the same here.
    model
        As the paper calls it.
    name, where
        The estimate that it corresponds to.
    value
        A share in [0, 1].
    source, table
        Where it is printed.
    note
        What keeps it from being the same; empty if nothing is known to.
    """

    task: str
    model: str
    name: str
    where: Mapping[str, Level]
    value: float
    source: str
    table: str
    note: str = ""
