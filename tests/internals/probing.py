"""Studies of made-up states, to plant in them what a probe must find."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vlm_eval.core.capture import Captured
from vlm_eval.internals.base import Study
from vlm_eval.metrics.table import Table, TableRow

LAYERS, WIDTH = 5, 24
Plant = Callable[[Mapping[str, Any], np.random.Generator], NDArray[np.float32]]


@dataclass(frozen=True)
class Made:
    """States by request."""

    arrays: Mapping[str, Mapping[str, NDArray[np.float32]]]
    labels: tuple[str, ...]

    def of(self, row: TableRow) -> Captured | None:
        found = self.arrays.get(row.request)
        return None if found is None else Captured(row.request, self.labels, found, {})


def noise(rng: np.random.Generator) -> NDArray[np.float32]:
    return rng.normal(size=(LAYERS, WIDTH)).astype(np.float32)


def made_study(
    folder: Path,
    plant: Plant,
    *,
    boards: int = 60,
    rules: Sequence[str] = ("standard", "inverse"),
    answer: Callable[[Mapping[str, Any]], str | None] = lambda fields: fields["gold"],
    sites: Sequence[str] = ("prompt_last",),
    labels: Sequence[str] = ("0", "1", "2", "3", "4"),
    turned: bool = False,
    load: Callable[..., Any] | None = None,
) -> Study:
    """Boards under two rules: the winner (X or O), whom the inverse rule turns round.

    ``plant`` gives the states of a trial, shape (layers, width), from its fields and factors.
    """
    rows, arrays = [], {}
    for number in range(boards):
        winner = "XO"[number % 2]
        for rule in rules:
            gold = winner if "standard" in rule else "OX"[number % 2]
            fields = {"board": number, "winner": winner, "gold": gold, "rule": rule}
            request = f"{number}-{rule}"
            rng = np.random.default_rng([number, *rule.encode()])
            arrays[request] = {site: plant(fields, rng) for site in sites}
            given = answer(fields)
            rows.append(
                TableRow(
                    sample_id=f"board-{number}",
                    cluster=f"board-{number}",
                    condition={"rule": rule},
                    fields={"board": number, "winner": winner},
                    gold=gold,
                    answer=given,
                    scores={"accuracy": float(given == gold)},
                    request=request,
                )
            )
    if turned:
        rows.reverse()

    def untracked(items: Any, total: int, what: str) -> Any:
        return items

    folder.mkdir(parents=True, exist_ok=True)
    task: Any = SimpleNamespace(name="made", spec=SimpleNamespace(capture=None))

    def unloaded(**_: Any) -> Any:
        raise AssertionError("the model is not needed")

    return Study(
        task=task,
        table=Table(
            "made", {"rule": tuple(rules)}, tuple(rows), 0.5, states=Made(arrays, tuple(labels))
        ),
        model="made",
        folder=folder,
        trials=lambda: iter(()),
        load=load or unloaded,
        track=untracked,
        seed=0,
        synthetic=True,
        notice="synthetic: made up",
    )
