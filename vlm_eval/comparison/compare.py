"""Comparing two runs: paired by sample and condition, over the tasks that both have."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from vlm_eval.comparison.results import Change, RunComparison, TaskDifference
from vlm_eval.comparison.same import Different, check_declared, check_trial, short
from vlm_eval.core.errors import RunError, UsageError, did_you_mean
from vlm_eval.core.types import Level, condition_key
from vlm_eval.metrics.pairing import Side, answer_for, two_sides
from vlm_eval.metrics.rows import TableRow, TableRows
from vlm_eval.metrics.table import Table
from vlm_eval.runner.folder import RunFolder
from vlm_eval.runner.records import Record, RecordIndex
from vlm_eval.runner.rows import scored_row
from vlm_eval.runner.summarise import tasks_of
from vlm_eval.stats.multiplicity import adjust_family
from vlm_eval.stats.paired import compare as compare_pairs
from vlm_eval.stats.pairs import Trial, align
from vlm_eval.stats.results import Comparison
from vlm_eval.tasks.task import Task

Key = tuple[str, str]
"""A sample and a condition."""

FACTOR = "run"
"""What the two sides of a comparison differ in."""


def compare(
    run_a: str | os.PathLike[str],
    run_b: str | os.PathLike[str],
    *,
    shared_tasks: bool = False,
    shared_samples: bool = False,
    score: str = "accuracy",
) -> RunComparison:
    """Compare two runs, paired by sample and condition. Every difference is B minus A.

    Answers are parsed and scored anew, so both runs are read by the parsers of today.

    Parameters
    ----------
    run_a, run_b
        Run folders.
    shared_tasks
        Compare the tasks that both have; otherwise both must have the same.
    shared_samples
        Compare the samples that both have, where ``--limit`` differs.
    score
        Which score of the trials, see ``docs/run-folder.md``.

    Raises
    ------
    RunError
        If a folder holds no run, or what was asked differs: the message names the field (task
        version, prompt, data digest, transforms, seed, gold, ...).
    UsageError
        If no trial has the score.
    """
    sides = (_Run(Path(run_a)), _Run(Path(run_b)))
    names = _names(*sides)
    tasks = _common(*sides, shared_tasks=shared_tasks)
    found = [
        _task(sides, names, task, score=score, shared_samples=shared_samples) for task in tasks
    ]
    overall = adjust_family([one.overall for one in found])
    return RunComparison(
        names=names,
        folders=(sides[0].path, sides[1].path),
        score=score,
        tasks=tuple(replace(one, overall=o) for one, o in zip(found, overall, strict=True)),
        notes=tuple(_notes(*sides, tasks)),
    )


@dataclass
class _Run:
    """One side: its folder, read once."""

    path: Path

    def __post_init__(self) -> None:
        self.folder = RunFolder(self.path)
        self.manifest: Mapping[str, Any] = self.folder.manifest()

    @property
    def model(self) -> str:
        return str(self.manifest["model"]["name"])

    @cached_property
    def tasks(self) -> dict[str, Task]:
        return {task.name: task for task in tasks_of(self.folder)}

    @cached_property
    def index(self) -> RecordIndex:
        return RecordIndex(self.folder.records)

    def records(self, task: str) -> dict[Key, Record]:
        return {
            (record.sample_id, condition_key(record.condition)): record
            for record in self.index.of_task(task)
        }


def _names(a: _Run, b: _Run) -> tuple[str, str]:
    if a.model != b.model:
        return a.model, b.model
    one, other = a.path.resolve(), b.path.resolve()
    if one.name != other.name:
        return f"{a.model} ({one.name})", f"{b.model} ({other.name})"
    return f"{a.model} (A)", f"{b.model} (B)"


def _common(a: _Run, b: _Run, *, shared_tasks: bool) -> list[str]:
    """Return the tasks to compare. Raises RunError if they are not those of both."""
    one, other = a.manifest["tasks"], b.manifest["tasks"]
    common = [task for task in one if task in other]
    if not common:
        raise RunError(f"the runs share no task: {_listed(one)}; {_listed(other)}")
    alone = [task for task in (*one, *other) if task not in common]
    if alone and not shared_tasks:
        raise RunError(
            f"the runs differ in tasks: only one has {_listed(alone)}",
            hint="compare the tasks that both have: --shared_tasks",
        )
    return common


def _listed(names: Iterable[str]) -> str:
    names = list(names)
    return ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")


def _notes(a: _Run, b: _Run, tasks: list[str]) -> Iterator[str]:
    alone = [task for task in (*a.manifest["tasks"], *b.manifest["tasks"]) if task not in tasks]
    if alone:
        yield f"only one run has {_listed(alone)}: not compared"
    one, other = a.manifest["decoding"], b.manifest["decoding"]
    if one != other:
        yield f"decoding differs: {short(one)} and {short(other)}"


def _task(
    runs: tuple[_Run, _Run], names: tuple[str, str], name: str, *, score: str, shared_samples: bool
) -> TaskDifference:
    a, b = runs
    limits = check_declared(a.manifest, b.manifest, name, shared_samples=shared_samples)
    records = a.records(name), b.records(name)
    if limits is None:
        notes = list(_about_missing(runs, name, records))
    else:
        samples = [{sample for sample, _ in side} for side in records]
        notes = [_about_limits(limits, samples)]
        shared = samples[0] & samples[1]
        records = _only(records[0], shared), _only(records[1], shared)
    same_decoding = a.manifest["decoding"] == b.manifest["decoding"]
    for key in records[0].keys() & records[1].keys():
        check_trial(records[0][key], records[1][key], requests=same_decoding)
    tasks = a.tasks[name], b.tasks[name]
    sides = _rows(tasks[0], records[0], score), _rows(tasks[1], records[1], score)
    del records  # rows take a fraction of their memory
    duel = _Duel(tasks[0], names, score, sides)
    changes = duel.changes()
    return TaskDifference(
        task=name,
        version=tasks[0].version,
        title=tasks[0].spec.title,
        synthetic=any(run.manifest["tasks"][name]["data"]["synthetic"] for run in runs),
        overall=duel.compare({}),
        parts=tuple(adjust_family(list(duel.parts()))),
        gaps=tuple(adjust_family(list(duel.gaps()))),
        changes=tuple(changes),
        answers_changed=sum(one.answers[0] != one.answers[1] for one in changes),
        both=len(duel.both),
        notes=tuple(notes),
    )


def _about_limits(limits: Different, samples: list[set[str]]) -> str:
    shared = len(samples[0] & samples[1])
    return (
        f"limits differ ({short(limits.a)} and {short(limits.b)}): compared on the {shared:,} "
        f"samples that both have, of {len(samples[0]):,} and {len(samples[1]):,}"
    )


def _about_missing(
    runs: tuple[_Run, _Run], name: str, records: tuple[dict[Key, Record], dict[Key, Record]]
) -> Iterator[str]:
    for label, run, found in zip("AB", runs, records, strict=True):
        planned = run.manifest["tasks"][name]["trials"]
        missing = planned - len(found)
        if missing:
            yield f"{label} is not finished: {missing:,} of {planned:,} trials are missing"


def _only(records: dict[Key, Record], samples: set[str]) -> dict[Key, Record]:
    return {key: record for key, record in records.items() if key[0] in samples}


def _rows(task: Task, records: Mapping[Key, Record], score: str) -> dict[Key, TableRow]:
    """Return the scored rows that have the score, or failed."""
    ordered = sorted(records.items())
    held = TableRows(scored_row(task, record) for _, record in ordered)
    rows = {key: row for (key, _), row in zip(ordered, held, strict=True)}
    known = {name for row in rows.values() for name in row.scores}
    if known and score not in known:
        hint = did_you_mean(score, known)
        raise UsageError(f"no score {score!r} in task {task.name}", where="--score", hint=hint)
    return {key: row for key, row in rows.items() if row.failed or score in row.scores}


@dataclass(frozen=True)
class _Duel:
    """Both runs' rows of one task."""

    task: Task
    names: tuple[str, str]
    score: str
    sides: tuple[dict[Key, TableRow], dict[Key, TableRow]]

    @cached_property
    def both(self) -> list[Key]:
        """Trials that both answered."""
        one, other = self.sides
        shared = sorted(one.keys() & other.keys())
        return [key for key in shared if not (one[key].failed or other[key].failed)]

    def changes(self) -> list[Change]:
        """Return the trials whose answer or score differs."""
        found = []
        for key in self.both:
            rows = self.sides[0][key], self.sides[1][key]
            answers = answer_for(rows[0], self.score), answer_for(rows[1], self.score)
            scores = rows[0].scores[self.score], rows[1].scores[self.score]
            if answers[0] != answers[1] or scores[0] != scores[1]:
                found.append(Change(key[0], rows[0].condition, answers, scores))
        return found

    def compare(self, where: Mapping[str, Level]) -> Comparison:
        """Return B against A over the trials at some levels."""
        one, other = (self._trials(side, where) for side in self.sides)
        return self._compared(one, other, self.score, where)

    def parts(self) -> Iterator[Comparison]:
        """Yield each level of each factor and, of several factors, each condition."""
        for factor, levels in self.task.factors.items():
            for level in levels:
                yield self.compare({factor: level})
        if len(self.task.factors) > 1:
            for condition in self.task.conditions():
                yield self.compare(condition)

    def gaps(self) -> Iterator[Comparison]:
        """Yield, for each factor, how much more B changes from baseline to level than A does."""
        tables = [self.task.table(tuple(side.values())) for side in self.sides]
        for factor, levels in self.task.factors.items():
            base, *others = levels
            for level in others:
                one, other = (self._gap(table, factor, base, level) for table in tables)
                if not (one or other):
                    continue
                name = f"{self.score}: {factor} {level} minus {base}"
                control = level in (tables[0].controls or {}).get(factor, ())
                found = self._compared(one, other, name, {factor: level}, control=control)
                # These are of scores that are right or wrong; a change of score is neither.
                yield replace(
                    found, right_to_wrong=None, wrong_to_right=None, flip_rate=None, kappa=None,
                    answer_change_rate=None, bound_low=None, bound_high=None,
                )  # fmt: skip

    def _trials(self, side: Mapping[Key, TableRow], where: Mapping[str, Level]) -> dict[Any, Trial]:
        return {
            key: Trial(
                row.cluster,
                None if row.failed else row.scores[self.score],
                answer_for(row, self.score),
            )
            for key, row in side.items()
            if all(row.condition.get(factor) == level for factor, level in where.items())
        }

    def _gap(self, table: Table, factor: str, base: Level, level: Level) -> dict[Any, Trial]:
        one, other = two_sides(table, factor, self.score, base, level)
        return {
            key: Trial(one[key].cluster, self._change(one, other, key), "")
            for key in one.keys() & other.keys()
        }

    def _change(self, one: Side, other: Side, key: Any) -> float | None:
        if one[key].failed or other[key].failed:
            return None
        return other[key].scores[self.score] - one[key].scores[self.score]

    def _compared(
        self,
        one: dict[Any, Trial],
        other: dict[Any, Trial],
        name: str,
        where: Mapping[str, Level],
        *,
        control: bool = False,
    ) -> Comparison:
        return compare_pairs(
            align(one, other),
            name=name,
            factor=FACTOR,
            baseline=self.names[0],
            level=self.names[1],
            where=where,
            task=self.task.name,
            control=control,
        )
