"""What a run will ask, found out before anything is asked.

Planning renders every trial of every task once. Any fault of a task file or of the data therefore
shows before the model is loaded and before anything is written, and not after an hour.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any

from vlm_eval.core.errors import DataError, TaskError
from vlm_eval.core.types import Answer, Level
from vlm_eval.metrics.table import Table, TableRow
from vlm_eval.tasks.scoring import score
from vlm_eval.tasks.task import Task
from vlm_eval.tasks.trials import Trial, expand

UNIT = 512  # trials: enough for a backend to group and sort, few enough to hold in memory


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What decides, beside tasks and model, what is asked. A run is continued only if it is equal.

    Attributes
    ----------
    seed
        Master seed of random image transforms.
    limit
        Samples a task, None for all.
    output
        ``choice`` or ``generate`` instead of each task's own; None for its own.
    decoding
        Changed fields of :class:`~vlm_eval.core.types.Decoding`.
    """

    seed: int = 0
    limit: int | None = None
    output: str | None = None
    decoding: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Plan:
    """One task of a run.

    Attributes
    ----------
    task
        The task.
    settings
        The run's settings.
    trials
        How many trials it has.
    requests
        How many distinct requests those are.
    """

    task: Task
    settings: Settings
    trials: int
    requests: int

    def units(self) -> Iterator[list[Trial]]:
        """Yield the trials again, in units of work, a sample's trials next to each other."""
        trials = trials_of(self.task, self.settings)
        while unit := list(islice(trials, UNIT)):
            yield unit

    def describe(self) -> dict[str, Any]:
        """Return what ``run.json`` says about the task, with its whole specification."""
        return {
            **self.task.info(),
            "trials": self.trials,
            "requests": self.requests,
            "spec": self.task.spec.model_dump(mode="json"),
        }


def make_plans(tasks: Sequence[Task], settings: Settings) -> list[Plan]:
    """Plan tasks.

    Raises
    ------
    TaskError, DataError, UsageError
        As :func:`vlm_eval.tasks.trials.expand`, :func:`rehearse`; or if there are no samples.
    """
    return [_plan(task, settings) for task in tasks]


def _plan(task: Task, settings: Settings) -> Plan:
    trials, requests, first, known = 0, set(), None, dict[str, Any]()
    for trial in trials_of(task, settings):
        trials += 1
        requests.add(trial.request.id)
        first = first or trial
        if not trial.fields.keys() <= known.keys():
            known = {**trial.fields, **known}
    if first is None:
        raise DataError("the data source has no rows", where=task.where(("data",)))
    rehearse(task, replace(first, fields=known))
    return Plan(task, settings, trials, len(requests))


def rehearse(task: Task, trial: Trial) -> None:
    """Compute every metric of a task from one trial, as if it had been answered rightly.

    Finds metrics and slices that ask for a factor, level, field or score that there is not, which
    must not come to light when the model has been asked everything.

    Raises
    ------
    TaskError
        At the first such metric.
    """
    choices = trial.request.choices
    scored = Answer(
        logprobs=tuple(-float(choice != trial.gold) for choice in choices or ()),
        token_counts=(1,) * len(choices or ()),
        finish="scored",
    )
    found = score(
        task,
        condition=trial.condition,
        gold=trial.gold,
        choices=trial.choices,
        outcome=Answer(text=trial.gold) if choices is None else scored,
        fields=trial.fields,
    )
    row = TableRow(
        sample_id=trial.sample_id,
        cluster=trial.cluster,
        condition=trial.condition,
        fields=trial.fields,
        gold=trial.gold,
        answer=found.answer,
        scores=found.scores,
        choices=trial.choices,
        logprobs=None if choices is None else scored.logprobs,
        token_counts=None if choices is None else scored.token_counts,
        parser_rule=found.parser_rule,
        literal=found.literal_answer,
    )
    for i, metric in enumerate(task.metrics):
        try:
            metric(empty_table(task, (row,)))
        except TaskError as error:
            sliced = any(repr(name) in error.what for name in task.spec.slices)
            where = task.where(("slices",) if sliced else ("metrics", i))
            raise TaskError(error.what, where=where, hint=error.hint) from error


def trials_of(task: Task, settings: Settings) -> Iterator[Trial]:
    """Yield the trials of a task under a run's settings."""
    return expand(task, limit=settings.limit, seed=settings.seed, decoding=settings.decoding)


def empty_table(task: Task, rows: tuple[TableRow, ...] = ()) -> Table:
    """Return the table of a task, without rows or with these."""
    factors: dict[str, tuple[Level, ...]] = dict(task.factors)
    return Table(task.name, factors, rows, task.chance, task.spec.controls)
