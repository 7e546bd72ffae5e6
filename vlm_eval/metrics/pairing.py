"""Trials that differ in one factor alone, joined by sample and condition."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, TypeAlias

import numpy as np

from vlm_eval.core.errors import DataError
from vlm_eval.core.types import Level, condition_key
from vlm_eval.metrics.columns import Coded
from vlm_eval.metrics.table import Table, TableRow
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
    number = pair_numbers(table, factor)
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
            where=f"pair {_pair_id(table, factor, one[place])!r}",
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
    rests = _rest_keys(table, factor)

    def of(places: IntArray) -> Side:
        there = places[places != ABSENT]
        ids = map(rests.values.__getitem__, rests.codes[there].tolist())
        rows = table.take(there).rows
        return {(row.sample_id, rest): row for row, rest in zip(rows, ids, strict=True)}

    one, other = join_sides(table, factor, score, baseline, level)
    return of(one), of(other)


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


def answers_for(table: Table, score: str) -> Coded:
    """Return the same of each row of a table."""
    if score.endswith("_literal"):
        return table.attribute("literal")
    answers, also = table.attribute("answer"), table.attribute("also")
    name = score.removeprefix("accuracy_")
    named = also.where(lambda parsed: name in parsed)
    if not named.any():
        return answers
    return Coded([parsed.get(name) for parsed in also.values], also.codes).either(named, answers)


def score_suffix(score: str) -> str:
    """Return what is added to a result's name to tell whose score it is: nothing for the task's.

    >>> score_suffix("accuracy"), score_suffix("accuracy_literal"), score_suffix("bias")
    ('', '_literal', '_bias')
    """
    return score.removeprefix("accuracy") if score.startswith("accuracy") else f"_{score}"


def _answers(table: Table, score: str) -> IntArray:
    """Return the answer that a score is about, coded; `ABSENT` where nothing could be parsed."""

    def make(whole: Table) -> IntArray:
        answers = answers_for(whole, score)
        nothing = np.array([value is None for value in answers.values], bool)
        return np.where(nothing, ABSENT, np.arange(len(nothing)))[answers.codes]

    return table.derived(("answers", score), make)


def _rest_keys(table: Table, factor: str) -> Coded:
    """Return the printed condition of each row without the factor."""
    others = [name for name in table.factors if name != factor]
    conditions = table.attribute("condition")
    keys = [
        condition_key({name: levels[name] for name in others if name in levels})
        for levels in conditions.values
    ]
    return Coded(keys, conditions.codes).merged()


def _pair_id(table: Table, factor: str, place: int) -> PairId:
    samples, rests = table.attribute("sample_id"), _rest_keys(table, factor)
    return samples.values[samples.codes[place]], rests.values[rests.codes[place]]


def _rests(table: Table, factor: str) -> IntArray:
    """Return a number for each row that tells its condition without the factor."""
    return table.derived(("rests", factor), lambda whole: _rest_keys(whole, factor).codes)


def pair_numbers(table: Table, factor: str) -> IntArray:
    """Return a number for each row that tells its pair, in the order of the sorted ids."""

    def make(whole: Table) -> IntArray:
        rests = _rest_keys(whole, factor)
        sample, rest = whole.attribute("sample_id").ranks(repr), rests.ranks(repr)
        return sample * len(rests.values) + rest

    return table.derived(("pairs", factor), make)


def _placed(pairs: IntArray, numbers: IntArray, rows: IntArray) -> IntArray:
    places = np.full(len(pairs), ABSENT)
    places[np.searchsorted(pairs, numbers)] = rows
    return places
