"""Trials that differ in one factor alone, joined by sample and condition."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TypeAlias

from vlm_eval.core.types import Level, condition_key
from vlm_eval.metrics.slices import By, slices
from vlm_eval.metrics.table import Table, TableRow

PairId: TypeAlias = tuple[str, str]
"""A sample, and its condition without the factor that is compared."""

Side: TypeAlias = Mapping[PairId, TableRow]
"""The trials at one level of the factor, scored or failed."""


def two_sides(
    table: Table, factor: str, score: str, baseline: Level, level: Level
) -> tuple[Side, Side]:
    """Return the baseline's trials and the level's, each by pair id.

    Conditions that exist on one side only, by the task's design, are left out; of a table that is
    partial, so are pairs of which one side is not there, so that none of them counts as dropped.
    Trials that have neither the score nor a failure are not about the score and do not enter
    either.
    """
    one, other = (_side(table, factor, score, side) for side in (baseline, level))
    if table.partial:
        return (
            {key: row for key, row in one.items() if key in other},
            {key: row for key, row in other.items() if key in one},
        )
    shared = {rest for _, rest in one} & {rest for _, rest in other}
    if not shared:
        return one, other
    return _only(one, shared), _only(other, shared)


def sliced_sides(
    table: Table, one: Side, other: Side, by: By
) -> Iterator[tuple[dict[str, Level], Side, Side]]:
    """Yield all pairs, then the pairs of each slice; a field is read on the baseline's side."""
    read = {**other, **one}
    ids = {id(row): key for key, row in read.items()}
    for where, part in slices(replace(table, rows=tuple(read.values())), by):
        keys = [ids[id(row)] for row in part.rows]
        yield (
            where,
            {key: one[key] for key in keys if key in one},
            {key: other[key] for key in keys if key in other},
        )


def answer_for(row: TableRow, score: str) -> str | None:
    """Return the answer that a score is about.

    The paper's own parser's for ``*_literal``, another parser's for ``accuracy_NAME``.
    """
    if score.endswith("_literal"):
        return row.literal
    return row.also.get(score.removeprefix("accuracy_"), row.answer)


def score_suffix(score: str) -> str:
    """Return what is added to a result's name to tell whose score it is: nothing for the task's.

    >>> score_suffix("accuracy"), score_suffix("accuracy_literal"), score_suffix("bias")
    ('', '_literal', '_bias')
    """
    return score.removeprefix("accuracy") if score.startswith("accuracy") else f"_{score}"


def _side(table: Table, factor: str, score: str, level: Level) -> dict[PairId, TableRow]:
    side: dict[PairId, TableRow] = {}
    others = [name for name in table.factors if name != factor]
    rests: dict[tuple[tuple[str, Level], ...], str] = {}
    for row in table.rows:
        if row.condition.get(factor) != level or not (row.failed or score in row.scores):
            continue
        condition = tuple(row.condition.items())
        if condition not in rests:
            rest = {name: row.condition[name] for name in others if name in row.condition}
            rests[condition] = condition_key(rest)
        side[row.sample_id, rests[condition]] = row
    return side


def _only(side: Side, conditions: set[str]) -> Side:
    return {key: row for key, row in side.items() if key[1] in conditions}
