"""Computing a task's metrics before anything is asked, and which of them are computed after.

A task's metrics are tried on one trial for each of its cases, as if each had been answered rightly:
cases can have different parsers and scorers, so that their trials have different scores.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np

from vlm_eval.core.errors import TaskError
from vlm_eval.core.types import Answer
from vlm_eval.metrics.table import Metric, Result, Table, TableRow
from vlm_eval.tasks.scoring import NORMALISED, Scored, score
from vlm_eval.tasks.spec import Case, TaskSpec
from vlm_eval.tasks.task import Task
from vlm_eval.tasks.trials import Trial

ACCURACY, LITERAL = "accuracy", "accuracy_literal"


class Cast:
    """The trials of a task's rehearsal: the first that is seen of each case.

    Parameters
    ----------
    task
        The task.
    """

    def __init__(self, task: Task) -> None:
        self._task = task
        self._trials: dict[tuple[Any, ...], Trial] = {}
        self._fields: dict[str, Any] = {}

    def see(self, trial: Trial) -> None:
        """Take the trial if it is the first of its case, and note the names of its fields."""
        self._trials.setdefault(tuple(self._task.ask(trial.condition).origin.values()), trial)
        if not trial.fields.keys() <= self._fields.keys():
            self._fields = {**trial.fields, **self._fields}

    def rehearse(self) -> None:
        """Compute every metric from these trials, as if they had been answered rightly.

        Finds metrics and slices that ask for a factor, level, field or score that there is not,
        which must not come to light when the model has been asked everything.

        Raises
        ------
        TaskError
            At the first such metric, or if a template in an option of a parser or scorer fails.
        RunError
            If a scorer's scores are at fault.
        """
        task, seen = self._task, self._trials.values()
        table = task.table(tuple(_row(task, trial, self._fields) for trial in seen))
        for i, metric in enumerate(task.metrics):
            try:
                list(_computed(task, metric, table))
            except TaskError as error:
                sliced = any(repr(name) in error.what for name in task.spec.slices)
                where = task.where(("slices",) if sliced else ("metrics", i))
                raise TaskError(error.what, where=where, hint=error.hint) from error


def rightly_answered(task: Task, trial: Trial) -> tuple[Answer, Scored]:
    """Return the right answer as a model would give it, and what becomes of it.

    Raises
    ------
    TaskError, RunError
        As :func:`vlm_eval.tasks.scoring.score`.
    """
    choices = trial.request.choices
    answer = Answer(text=trial.gold)
    if choices is not None:
        answer = Answer(
            logprobs=tuple(-float(choice != trial.gold) for choice in choices),
            token_counts=(1,) * len(choices),
            finish="scored",
        )
    scored = score(
        task,
        condition=trial.condition,
        gold=trial.gold,
        choices=trial.choices,
        outcome=answer,
        fields=trial.fields,
    )
    return answer, scored


def _row(task: Task, trial: Trial, fields: dict[str, Any]) -> TableRow:
    """Return the row of a trial that is answered rightly, with every field that any trial has."""
    answer, scored = rightly_answered(task, trial)
    return TableRow(
        sample_id=trial.sample_id,
        cluster=trial.cluster,
        condition=trial.condition,
        fields={**fields, **trial.fields},
        gold=trial.gold,
        answer=scored.answer,
        scores=scored.scores,
        choices=trial.choices,
        logprobs=answer.logprobs,
        token_counts=answer.token_counts,
        parser_rule=scored.parser_rule,
        literal=scored.literal_answer,
        also=scored.also,
        text=answer.text,
    )


def measured(task: Task, table: Table) -> Iterator[Result]:
    """Yield what a task's metrics give; those of the accuracy also for the paper's own parser.

    A metric of a score that only some ways of asking give (a parser's where options were scored)
    is left out where the task was asked in another way. If every trial that would have a metric's
    score failed, its results are unknown.

    Raises
    ------
    TaskError, DataError
        If a metric asks for what the table does not have.
    """
    metrics = list(task.metrics)
    if LITERAL in table.scores:
        for metric in task.metrics:
            options: Any = metric
            if _score_of(metric) == ACCURACY:
                literal = dataclasses.replace(options, score=LITERAL)
                metrics += [literal] if literal not in metrics else []
    for metric in metrics:
        yield from _computed(task, metric, table)


def _computed(task: Task, metric: Metric, table: Table) -> Iterator[Result]:
    name = _score_of(metric)
    if name is not None and table.scores and name not in table.scores:
        if name in _depending_scores(task.spec):
            return
        failed = np.flatnonzero(table.failed)
        table = table.take(failed) if len(failed) else table
    yield from metric(table)


def _score_of(metric: Metric) -> str | None:
    name: str | None = getattr(metric, "score", None)
    return name


def _depending_scores(spec: TaskSpec) -> set[str]:
    """Return the scores that trials of this task have or not, by how they are asked."""
    found = set()
    holders: list[TaskSpec | Case] = [spec, *spec.cases]
    for holder in holders:
        if holder.parser is not None:
            found |= {f"{ACCURACY}_{parser.name}" for parser in holder.parser.also}
            found |= set() if holder.parser.literal is None else {LITERAL}
        if holder.output is not None and holder.output.choices is not None:
            found.update(NORMALISED)
    return found
