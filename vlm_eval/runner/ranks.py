"""What the ranks of a run have said of themselves, put together for ``run.json``."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from vlm_eval.models.verify import together
from vlm_eval.runner.units import Work


def said_by_ranks(work: Work, world_size: int) -> dict[str, Any]:
    """Return what the ranks have said at their end: for all of them, and each by itself.

    ``model`` is what the first of them says, with what all of them have verified.
    """
    beats = [work.last_beat(rank) for rank in range(world_size)]
    said = [beat.model for beat in beats if beat.model is not None]
    ranks = [{"rank": i, **dataclasses.asdict(beat)} for i, beat in enumerate(beats)]
    for entry in ranks:
        del entry["count"], entry["pid"]
    seconds = max((beat.seconds or 0.0 for beat in beats), default=0.0)
    model = {"model": _together(said)} if said else {}
    return {"seconds": seconds, **model, "world_size": world_size, "ranks": ranks}


def _together(said: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    first = dict(said[0])
    found = [counters["verified"] for model in said if "verified" in (counters := _counters(model))]
    return (
        {**first, "counters": {**_counters(first), "verified": together(found)}} if found else first
    )


def _counters(model: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Mapping[str, Any] = model.get("counters", {})
    return found
