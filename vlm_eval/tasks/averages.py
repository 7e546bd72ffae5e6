"""The means over tasks that group files ask for."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from vlm_eval.core.errors import TaskError, did_you_mean
from vlm_eval.tasks.index import Group, TaskIndex
from vlm_eval.tasks.yaml import shown


@dataclass(frozen=True)
class Average:
    """A mean over the tasks of a group. JSON-able.

    Attributes
    ----------
    group, title
        From the group file.
    tasks
        The tasks that are averaged, each weighing the same; two or more.
    scores
        Names of results, or globs.
    """

    group: str
    title: str
    tasks: Sequence[str]
    scores: Sequence[str]


def averages(index: TaskIndex, chosen: Collection[str]) -> list[Average]:
    """Return the averages of the groups whose averaged tasks are all chosen, sorted by group.

    It does not matter whether the tasks were chosen through the group.

    Raises
    ------
    TaskError
        As `average_of`.
    """
    found = []
    for group in index.groups:
        try:
            members = index.resolve(group.name)
        except TaskError:  # had the group been asked for, it would have been refused
            continue
        left_out = group.macro.leave_out if group.macro else ()
        if set(members).issubset({*chosen, *left_out}):
            average = average_of(group, members)
            found += [] if average is None else [average]
    return found


def average_of(group: Group, members: Sequence[str]) -> Average | None:
    """Return the average that a group of these tasks asks for, None if none.

    Raises
    ------
    TaskError
        If it leaves out what is not in the group, or leaves fewer than two tasks.
    """
    if group.macro is None:
        return None
    where, left_out = f"{shown(group.file)}: key 'macro'", group.macro.leave_out
    for name in left_out:
        if name not in members:
            hint = did_you_mean(name, members)
            raise TaskError(f"leaves out {name!r}, not in the group", where=where, hint=hint)
    tasks = [name for name in members if name not in left_out]
    if len(tasks) < 2:
        raise TaskError(f"averages {len(tasks)} task(s)", where=where, hint="leave two or more")
    return Average(group.name, group.title, tasks, list(group.macro.scores))
