"""Numbers that papers report, beside measured ones; never ranked with them."""

from __future__ import annotations

import functools

from vlm_eval.leaderboard.reported import cityscapes, counts, figures, steering, tables
from vlm_eval.leaderboard.reported.number import WINNER_ONLY, Reported

__all__ = ["WINNER_ONLY", "Reported", "reported"]


@functools.cache
def reported() -> tuple[Reported, ...]:
    """Return all reported numbers, in the order of the papers' tables."""
    parts = (tables, counts, figures, steering, cityscapes)
    return tuple(one for part in parts for one in part.numbers())
