"""Means over the tasks of a group: each task weighs the same, whatever its size."""

from __future__ import annotations

import dataclasses
import fnmatch
from collections.abc import Mapping, Sequence
from typing import Any

from vlm_eval.core.types import condition_key
from vlm_eval.runner.results import GroupResult, TaskResult
from vlm_eval.stats.mean import Mean, macro_mean
from vlm_eval.stats.results import Estimate
from vlm_eval.tasks.averages import Average

_MEAN = tuple(field.name for field in dataclasses.fields(Mean))


def average(asked: Average, tasks: Mapping[str, TaskResult]) -> GroupResult:
    """Return the means that a group asks for.

    A result is averaged where every task has it: the same name, for the same levels and fields. It
    is unknown where one task's is.

    Parameters
    ----------
    asked
        Which results of which tasks.
    tasks
        The tasks' results by name; the samples of no two of them may share randomness.
    """
    found = [tasks[name] for name in asked.tasks]
    first, *others = [_by_place(task.estimates) for task in found]
    means = [
        _mean([estimate, *(other[place] for other in others)])
        for place, estimate in first.items()
        if all(place in other for other in others)
        and any(fnmatch.fnmatchcase(estimate.name, score) for score in asked.scores)
    ]
    return GroupResult(
        group=asked.group,
        title=asked.title,
        tasks=tuple(asked.tasks),
        synthetic=any(task.synthetic for task in found),
        estimates=tuple(means),
    )


def _by_place(estimates: Sequence[Estimate]) -> dict[tuple[str, ...], Estimate]:
    return {(e.name, e.unit, condition_key(e.where)): e for e in estimates}


def _mean(parts: Sequence[Estimate]) -> Estimate:
    mean = macro_mean([Mean(**{name: getattr(part, name) for name in _MEAN}) for part in parts])
    values: dict[str, Any] = vars(mean)
    chances = [part.chance for part in parts if part.chance is not None]
    chance = sum(chances) / len(chances) if len(chances) == len(parts) else None
    return dataclasses.replace(parts[0], **values, chance=chance)
