"""Records as rows of the table that metrics read, scored anew.

A table holds a row for every trial of a task, so what is equal in many rows is one object in them.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from typing import Any, TypeVar

from vlm_eval.core.types import Level
from vlm_eval.metrics.table import TableRow
from vlm_eval.runner.execute import outcome_of
from vlm_eval.runner.records import Record
from vlm_eval.tasks.scoring import Scored, score
from vlm_eval.tasks.task import Task

MANY_SCORES = 1_000
T = TypeVar("T", bound=Hashable)


def scored_row(task: Task, record: Record) -> TableRow:
    """Parse and score a record anew and return its row."""
    return Rows(task).of(record)[0]


class Rows:
    """Makes the rows of a task's table.

    Parameters
    ----------
    task
        The task.
    """

    def __init__(self, task: Task) -> None:
        self._task, self._shared = task, _Shared()

    def of(self, record: Record) -> tuple[TableRow, Scored]:
        """Parse and score a record anew; return its row, and what became of it."""
        scored = score(
            self._task,
            condition=record.condition,
            gold=record.gold,
            choices=record.choices,
            outcome=outcome_of(record),
            fields=record.fields,
        )
        return self._row(record, scored), scored

    def _row(self, record: Record, scored: Scored) -> TableRow:
        shared = self._shared
        return TableRow(
            sample_id=shared.item(record.sample_id),
            cluster=shared.item(record.cluster),
            condition=shared.mapping(record.condition),
            fields=shared.fields(record.fields),
            gold=shared.item(record.gold),
            answer=shared.item(scored.answer),
            scores=shared.scores(scored.scores),
            failed=record.failure is not None,
            choices=shared.item(record.choices),
            logprobs=record.logprobs,
            token_counts=shared.item(record.token_counts),
            image_tokens=(record.tokens or {}).get("image"),
            parser_rule=scored.parser_rule,
            literal=scored.literal_answer,
            also=shared.mapping(scored.also),
            text=record.raw,
            request=record.request_hash,
        )


class _Shared:
    """Makes what is equal in many rows one object, to save memory."""

    def __init__(self) -> None:
        self._items: dict[Hashable, Any] = {}
        self._mappings: dict[Hashable, Mapping[str, Any]] = {}
        self._places: dict[tuple[str, ...], dict[str, int]] = {}
        self._scores: dict[tuple[tuple[str, float], ...], Mapping[str, float]] = {}

    def item(self, item: T) -> T:
        """Share a text, or a tuple of texts or of integers."""
        shared: T = self._items.setdefault(item, item)
        return shared

    def mapping(self, mapping: Mapping[str, Level | None]) -> Mapping[str, Any]:
        levels = tuple(mapping.items())
        kinds = tuple(map(type, mapping.values()))  # 1 and True are equal, and other levels
        return self._mappings.setdefault((levels, kinds), mapping)

    def scores(self, scores: Mapping[str, float]) -> Mapping[str, float]:
        key = tuple(scores.items())
        if len(self._scores) >= MANY_SCORES:  # no shares of right answers, but measures of texts
            return self._scores.get(key, scores)
        return self._scores.setdefault(key, scores)

    def fields(self, fields: Mapping[str, Any]) -> Mapping[str, Any]:
        names, item = tuple(fields), self._items.setdefault
        places = self._places.get(names)
        if places is None:
            places = self._places[names] = {name: place for place, name in enumerate(names)}
        values = (item(value, value) if type(value) is str else value for value in fields.values())
        return _Fields(places, tuple(values))


class _Fields(Mapping[str, Any]):
    """The fields of a row. It holds values alone, and has its names in common with other rows."""

    __slots__ = ("_places", "_values")

    def __init__(self, places: Mapping[str, int], values: tuple[Any, ...]) -> None:
        self._places, self._values = places, values

    def __getitem__(self, name: str) -> Any:
        return self._values[self._places[name]]

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._values)
