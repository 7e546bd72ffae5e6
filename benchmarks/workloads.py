"""The requests that the engine is timed on: the tasks' own, and one of four long options."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable

from vlm_eval.core.hashing import digest
from vlm_eval.core.types import Decoding, Message, Picture, Request, Text
from vlm_eval.data.boards.source import Boards
from vlm_eval.tasks.index import TaskIndex
from vlm_eval.tasks.trials import expand

LONG = (
    "the first player has won this game",
    "the second player has won this game",
    "the game is not over yet on this board",
    "nobody has won this game",
)


def requests_of(task: str, samples: int, **data: str) -> list[Request]:
    """Return the distinct requests of some samples of a task."""
    loaded = TaskIndex(()).load(task, **data)
    found = {trial.request.id: trial.request for trial in expand(loaded, limit=samples)}
    return list(found.values())


def grid(images: int) -> list[Request]:
    """VLM-Fix: an image under two rules, two targets and three prompts, two labels each."""
    asked = requests_of("vlm-fix-prompts", images)
    return [request for request in asked if isinstance(request.messages[0].parts[0], Picture)]


def options(images: int) -> list[Request]:
    """One prompt and four options of several tokens an image."""
    boards = Boards(games=("connect4",), states=images)
    found = []
    for row in boards.rows():
        fields = boards.fields(row, {})
        parts = (Picture(fields["board"]), Text("What is the state of this game?"))
        messages = (Message("user", parts),)
        found.append(Request(digest([fields["state_id"], "options"]), messages, LONG))
    return found


def generation(images: int) -> list[Request]:
    """VLM-Fix, direct answers generated: eight tokens."""
    return [
        dataclasses.replace(
            request, id=digest([request.id, "text"]), choices=None, decoding=Decoding(8)
        )
        for request in grid(images)
    ]


def _task(name: str, **data: str) -> Callable[[int], list[Request]]:
    return lambda samples: requests_of(name, samples, **data)


WORKLOADS: dict[str, Callable[[int], list[Request]]] = {
    "grid": grid,
    "options": options,
    "generation": generation,
    "vlm-fix-inverse": _task("vlm-fix-inverse"),
    "mis": _task("mis"),
    "pope-perturbed": _task("pope-perturbed", data="embedded"),
    "cityscapes-degraded": _task("cityscapes-degraded", data="embedded"),
    "blur-decay-mmstar": _task("blur-decay-mmstar", data="embedded"),
    "scene-presence": _task("scene-presence"),
}


def options_count(requests: Iterable[Request]) -> int:
    """Return how many passes the naive loop makes: options, or answers."""
    return sum(len(request.choices or (1,)) for request in requests)
