"""Trials that differ in one factor alone, joined by sample and condition."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, TypeAlias

import numpy as np

from vlm_eval.core.errors import DataError
from vlm_eval.core.types import Level, condition_key
from vlm_eval.metrics.table import Coded, Table, TableRow
from vlm_eval.stats.clusters import BoolArray, IntArray
from vlm_eval.stats.pairs import Pairs

PairId: TypeAlias = tuple[str, str]
"""A sample, and its condition without the factor that is compared."""

Side: TypeAlias = Mapping[PairId, TableRow]
"""The trials at one level of the factor, scored or failed."""

ABSENT = -1


class Sides(NamedTuple):
    """The trials at two levels of a factor, joined, in the order of their pairs' ids.

    Attributes
    ----------
    one, other
        The places of the baseline's and of the level's rows in the table, shape (pairs,); `ABSENT`
        where a side has no trial.
    """

    one: IntArray
    other: IntArray

    @property
    def read(self) -> IntArray:
        """The row of which a pair's fields are read: the baseline's, if it is there."""
        return np.where(self.one == ABSENT, self.other, self.one)

    @property
    def both(self) -> Sides:
        """The pairs of which both sides are there."""
        there = (self.one != ABSENT) & (self.other != ABSENT)
        return Sides(self.one[there], self.other[there])

    def part(self, places: IntArray | BoolArray) -> Sides:
        """Return some of the pairs."""
        return Sides(self.one[places], self.other[places])


def join_sides(table: Table, factor: str, score: str, baseline: Level, level: Level) -> Sides:
    """Join the baseline's trials and the level's.

    Conditions that exist on one side only, by the task's design, are left out; of a table that is
    partial, so are pairs of which one side is not there, so that none of them counts as dropped.
    Trials that have neither the score nor a failure are not about the score and do not enter
    either.
    """
    about = table.failed | table.has_score(score)
    levels = table.codes(factor)
    one, other = (np.flatnonzero(about & levels.equal(side)) for side in (baseline, level))
    number = _pair_numbers(table, factor)
    joined = number if table.partial else _rests(table, factor)
    shared = np.intersect1d(joined[one], joined[other])
    if table.partial or len(shared):
        one, other = (side[np.isin(joined[side], shared)] for side in (one, other))
    pairs = np.union1d(number[one], number[other])
    return Sides(*(_placed(pairs, number[side], side) for side in (one, other)))


def aligned(table: Table, factor: str, score: str, sides: Sides) -> Pairs:
    """Return the scores of pairs; what is on one side only, or failed on either, is only counted.

    Raises
    ------
    DataError
        If a pair's two sides name different clusters.
    ValueError
        If a score is not finite.
    """
    joined = sides.both
    one, other = joined
    number = table.clusters().index
    for place in np.flatnonzero(number[one] != number[other])[:1]:
        row, its = table.rows[one[place]], table.rows[other[place]]
        raise DataError(
            f"its cluster is {row.cluster!r} on one side and {its.cluster!r} on the other",
            where=f"pair {_pair_ids(table, factor)[one[place]]!r}",
            hint="let `cluster` depend on the sample only, not on the condition",
        )
    one, other = joined.part(~(table.failed[one] | table.failed[other]))
    scores, answers = table.score(score), _answers(table, score)
    if not np.isfinite(scores[[*one, *other]]).all():
        raise ValueError("a score is not finite; a trial without a score is None")
    return Pairs(
        baseline=scores[one],
        level=scores[other],
        clusters=table.clusters(one),
        changed=answers[one] != answers[other],
        unparsed_baseline=answers[one] == ABSENT,
        unparsed_level=answers[other] == ABSENT,
        dropped={
            "baseline_missing": int((sides.one == ABSENT).sum()),
            "level_missing": int((sides.other == ABSENT).sum()),
            "failed": len(joined.one) - len(one),
        },
    )


def two_sides(
    table: Table, factor: str, score: str, baseline: Level, level: Level
) -> tuple[Side, Side]:
    """Return the baseline's trials and the level's, each by pair id, joined as by `join_sides`."""
    ids = _pair_ids(table, factor)
    one, other = (
        {ids[i]: table.rows[i] for i in side if i != ABSENT}
        for side in join_sides(table, factor, score, baseline, level)
    )
    return one, other


def unparsed(table: Table, score: str) -> BoolArray:
    """Return in which rows the answer that a score is about could not be parsed, shape (rows,)."""
    found: BoolArray = _answers(table, score) == ABSENT
    return found


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


def _answers(table: Table, score: str) -> IntArray:
    """Return the answer that a score is about, coded; `ABSENT` where nothing could be parsed."""

    def make(whole: Table) -> IntArray:
        answers = [answer_for(row, score) for row in whole.rows]
        coded = Coded.of(answers)
        nothing = np.array([value is None for value in coded.values], bool)
        return np.where(nothing, ABSENT, np.arange(len(nothing)))[coded.codes]

    return table.derived(("answers", score), make)


def _pair_ids(table: Table, factor: str) -> list[PairId]:
    """Return the pair id of each row."""
    others = [name for name in table.factors if name != factor]
    distinct = {id(row.condition): row.condition for row in table.rows}
    rests = {
        number: condition_key({name: levels[name] for name in others if name in levels})
        for number, levels in distinct.items()
    }
    return [(row.sample_id, rests[id(row.condition)]) for row in table.rows]


def _rests(table: Table, factor: str) -> IntArray:
    """Return a number for each row that tells its condition without the factor."""
    return table.derived(
        ("rests", factor), lambda whole: Coded.of(id_[1] for id_ in _pair_ids(whole, factor)).codes
    )


def _pair_numbers(table: Table, factor: str) -> IntArray:
    """Return the number of each row's pair id, in the order of the sorted ids."""

    def make(whole: Table) -> IntArray:
        ids = Coded.of(_pair_ids(whole, factor))
        rank = np.empty(len(ids.values), dtype=np.intp)
        rank[sorted(range(len(rank)), key=lambda i: repr(ids.values[i]))] = np.arange(len(rank))
        return rank[ids.codes]

    return table.derived(("pairs", factor), make)


def _placed(pairs: IntArray, numbers: IntArray, rows: IntArray) -> IntArray:
    places = np.full(len(pairs), ABSENT)
    places[np.searchsorted(pairs, numbers)] = rows
    return places
