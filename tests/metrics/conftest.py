"""Tables to compute metrics on, built from a function that answers."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import pytest

from vlm_eval.core.capture import Captured
from vlm_eval.core.types import Level
from vlm_eval.metrics.table import Table, TableRow

Answers: TypeAlias = Callable[[Mapping[str, Any]], str | None]
"""From the fields and levels of a trial to the parsed answer; raises KeyError to fail."""


def build(
    samples: Sequence[Mapping[str, Any]],
    factors: Mapping[str, tuple[Level, ...]],
    answers: Answers,
    *,
    gold: Callable[[Mapping[str, Any]], str] = lambda _: "right",
    chance: float | None = 0.5,
    controls: Mapping[str, tuple[Level, ...]] | None = None,
) -> Table:
    """Return every sample under every condition; ``id`` and ``cluster`` are fields."""
    rows = []
    for sample in samples:
        for levels in itertools.product(*factors.values()):
            condition = dict(zip(factors, levels, strict=True))
            trial = {**sample, **condition}
            try:
                answer, failed = answers(trial), False
            except KeyError:
                answer, failed = None, True
            scores = {} if failed else {"accuracy": float(answer == gold(trial))}
            rows.append(
                TableRow(
                    sample_id=str(sample["id"]),
                    cluster=str(sample.get("cluster", sample["id"])),
                    condition=condition,
                    fields=sample,
                    gold=gold(trial),
                    answer=answer,
                    scores=scores,
                    failed=failed,
                )
            )
    return Table("demo", factors, tuple(rows), chance, controls)


@pytest.fixture
def make_table() -> Callable[..., Table]:
    return build


@dataclass
class MemoryStates:
    """Captured states in memory: by sample and level, the arrays by site."""

    arrays: dict[tuple[str, Level], dict[str, np.ndarray]]
    layers: tuple[str, ...] = ("norm",)
    asked: list[str] = field(default_factory=list)

    def of(self, row: TableRow) -> Captured | None:
        self.asked.append(row.sample_id)
        found = self.arrays.get((row.sample_id, row.condition["perturbation"]))
        return None if found is None else Captured(row.request, self.layers, found, {})


@pytest.fixture
def make_states() -> type[MemoryStates]:
    return MemoryStates
