"""What a run will ask, found out before anything is asked.

Planning renders every trial of every task once. Any fault of a task file or of the data therefore
shows before the model is loaded and before anything is written, and not after an hour.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from vlm_eval.core.errors import DataError
from vlm_eval.runner.rehearsal import Cast
from vlm_eval.tasks.task import Task
from vlm_eval.tasks.trials import Trial, expand

UNIT = 512  # trials at least: enough for a backend to group and sort, few enough to hold in memory


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
        How many distinct requests those are, trials that follow another counted as if that had been
        answered rightly.
    """

    task: Task
    settings: Settings
    trials: int
    requests: int

    def units(self) -> Iterator[list[Trial]]:
        """Yield the trials again, in units of work; all trials of a sample are in one unit."""
        unit: list[Trial] = []
        for _, trials in groupby(trials_of(self.task, self.settings), lambda t: t.sample_id):
            unit += trials
            if len(unit) >= UNIT:
                yield unit
                unit = []
        if unit:
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
        As :func:`vlm_eval.tasks.trials.expand`, :func:`~vlm_eval.runner.rehearsal.rehearse`; or if
        there are no samples.
    """
    return [_plan(task, settings) for task in tasks]


def _plan(task: Task, settings: Settings) -> Plan:
    trials, requests, cast = 0, set(), Cast(task)
    for trial in trials_of(task, settings):
        trials += 1
        requests.add(trial.request.id)
        cast.see(trial)
    if not trials:
        raise DataError("the data source has no rows", where=task.where(("data",)))
    cast.rehearse()
    return Plan(task, settings, trials, len(requests))


def trials_of(task: Task, settings: Settings) -> Iterator[Trial]:
    """Yield the trials of a task under a run's settings."""
    return expand(task, limit=settings.limit, seed=settings.seed, decoding=settings.decoding)
