"""Where ranks of one machine plan together, before there is a run folder that they could share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from vlm_eval.runner.plan import Plan, Settings, Size, measure
from vlm_eval.runner.units import Unit, Watch, Work, drawn
from vlm_eval.tasks.task import Task


class Desk:
    """A folder from which ranks draw tasks to plan.

    Parameters
    ----------
    folder
        A folder for this alone.
    """

    def __init__(self, folder: Path | str) -> None:
        self.work = Work(Path(folder), "plan")

    def plan(
        self, tasks: Sequence[Task], settings: Settings, rank: int, lease: float
    ) -> list[Plan]:
        """Plan with the others; return when every task is planned.

        Raises
        ------
        TaskError, DataError, UsageError
            As :func:`vlm_eval.runner.plan.measure`.
        """
        for unit, _ in drawn(self.work, _units(tasks), rank, Watch(self.work, lease), _rest):
            self._measure(unit, tasks, settings)
        sizes = {unit.task: self.work.noted(unit) for unit in _units(tasks)}
        return [Plan(task, settings, Size(**(sizes[task.name] or {}))) for task in tasks]

    def help(self, tasks: Sequence[Task], settings: Settings, rank: int) -> None:
        """Plan what nobody has drawn yet, and wait for nobody. Raises as :meth:`plan`."""
        for unit in _units(tasks):
            if self.work.claim(unit, rank):
                self._measure(unit, tasks, settings)

    def _measure(self, unit: Unit, tasks: Sequence[Task], settings: Settings) -> None:
        (task,) = (task for task in tasks if task.name == unit.task)
        self.work.note(unit, asdict(measure(task, settings)))
        self.work.finish(unit)


def _units(tasks: Sequence[Task]) -> list[Unit]:
    """Return one unit a task, those with the most conditions first."""
    ordered = sorted(tasks, key=lambda task: -len(task.conditions()))
    return [Unit(task.name, 0) for task in ordered]


def _rest() -> None:
    """Wait for the others, with nothing else to do."""
