"""The typed result of a run, and its two other forms: ``results.json`` and a pandas table."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vlm_eval.core.errors import RunError
from vlm_eval.stats.results import Comparison, Estimate

if TYPE_CHECKING:
    import pandas as pd

SCHEMA = 1


@dataclass(frozen=True, kw_only=True)
class Counts:
    """What became of a task's trials.

    Attributes
    ----------
    trials
        Trials of the task, as planned.
    asked
        Distinct requests among the recorded trials; trials that ask the same thing share one.
    answered, failed, missing
        Trials with an answer, with a failure, and without a record; their sum is ``trials``.
    unparsed
        Answered trials in whose answer the parser found nothing, or whose options tie and none is
        taken (wrong, but counted apart; ``rules`` tells which).
    rules
        Answered trials by the parser rule that fired.
    literal_rules
        The same for the paper's own parser; empty where it was not asked.
    failures
        Failed trials by kind.
    samples, clusters
        Distinct samples and clusters among the recorded trials.
    captured
        Answered trials whose hidden states are in the run folder.
    """

    trials: int
    asked: int
    answered: int
    failed: int
    missing: int
    unparsed: int
    rules: Mapping[str, int]
    literal_rules: Mapping[str, int]
    failures: Mapping[str, int]
    samples: int
    clusters: int
    captured: int = 0


@dataclass(frozen=True, kw_only=True)
class TaskResult:
    """The result of one task.

    Attributes
    ----------
    task, version, title
        From the task file.
    synthetic, notice
        Whether the data are a generated stand-in, and the line that must go with every result.
    counts
        What became of the trials.
    seconds
        Model seconds, each request counted once.
    estimates, comparisons
        What the task's metrics gave, in their order.
    not_captured
        Why there are no hidden states though the task asks for some; None where there are, or the
        task asks for none.
    """

    task: str
    version: str
    title: str
    synthetic: bool
    notice: str | None
    counts: Counts
    seconds: float
    estimates: tuple[Estimate, ...]
    comparisons: tuple[Comparison, ...]
    not_captured: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the task's entry in ``results.json``."""
        entry: dict[str, Any] = _plain(self)
        return entry

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> TaskResult:
        """Rebuild the result from a task's entry."""
        return cls(
            **{
                **value,
                "counts": Counts(**value["counts"]),
                "estimates": tuple(Estimate(**e) for e in value["estimates"]),
                "comparisons": tuple(Comparison(**c) for c in value["comparisons"]),
            }
        )


@dataclass(frozen=True, kw_only=True)
class GroupResult:
    """Means over the tasks of a group, each task weighing the same.

    Attributes
    ----------
    group, title
        From the group file.
    tasks
        The tasks that are averaged.
    synthetic
        Whether the data of any of them are a generated stand-in.
    estimates
        The means, named as the tasks' own.
    """

    group: str
    title: str
    tasks: tuple[str, ...]
    synthetic: bool
    estimates: tuple[Estimate, ...]


@dataclass(frozen=True, kw_only=True)
class Results:
    """The result of a run: what :func:`vlm_eval.evaluate` returns.

    Attributes
    ----------
    model
        The model's name.
    folder
        The run folder.
    tasks
        One a task, in the order asked for.
    run
        The content of ``run.json``: everything needed to ask the same again.
    records
        For each records file, ``{"sha256", "bytes"}``.
    torn
        Lines of those files that are no records (what a kill or a power cut tore).
    finished
        When this was computed, UTC, ISO 8601.
    groups
        Means over tasks, of groups that ask for them.
    captures
        ``{"requests", "shards", "bytes", "faults"}`` of the captured states: how many requests and
        files, and files that cannot be read and why. Empty if there are none.
    """

    model: str
    folder: Path
    tasks: tuple[TaskResult, ...]
    run: Mapping[str, Any] = field(repr=False)
    records: Mapping[str, Mapping[str, Any]] = field(repr=False)
    torn: int
    finished: str
    groups: tuple[GroupResult, ...] = ()
    captures: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def complete(self) -> bool:
        """Whether every trial of every task is recorded."""
        return all(task.counts.missing == 0 for task in self.tasks)

    @property
    def failed_share(self) -> float:
        """Failed trials as a share of all recorded ones, in [0, 1]; 0 where there are none."""
        failed = sum(task.counts.failed for task in self.tasks)
        return failed / max(1, failed + sum(task.counts.answered for task in self.tasks))

    def __getitem__(self, task: str) -> TaskResult:
        """Return the result of a task by name."""
        for result in self.tasks:
            if result.task == task:
                return result
        raise KeyError(task)

    def to_json(self) -> dict[str, Any]:
        """Return the content of ``results.json`` (see ``docs/run-folder.md``)."""
        return {
            "schema": SCHEMA,
            "model": self.model,
            "finished": self.finished,
            "complete": self.complete,
            "tasks": {task.task: task.to_json() for task in self.tasks},
            "groups": {group.group: _plain(group) for group in self.groups},
            "records": {name: dict(entry) for name, entry in self.records.items()},
            "captures": dict(self.captures),
            "torn": self.torn,
            "run": dict(self.run),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any], folder: Path) -> Results:
        """Rebuild the result from the content of ``results.json``.

        Raises
        ------
        RunError
            If it was written by another version of the format.
        """
        if value.get("schema") != SCHEMA:
            raise RunError(
                f"results.json has schema {value.get('schema')!r}, this version reads {SCHEMA}",
                where=str(folder),
                hint="run: vlm_eval score",
            )
        tasks = tuple(map(TaskResult.from_json, value["tasks"].values()))
        groups = tuple(
            GroupResult(
                **{
                    **group,
                    "tasks": tuple(group["tasks"]),
                    "estimates": tuple(Estimate(**e) for e in group["estimates"]),
                }
            )
            for group in value.get("groups", {}).values()
        )
        kept = {name: value[name] for name in ("model", "run", "records", "torn", "finished")}
        captures = value.get("captures", {})
        return cls(folder=folder, tasks=tasks, groups=groups, captures=captures, **kept)

    def to_frame(self) -> pd.DataFrame:
        """Return every number as a pandas table, one row an estimate or a comparison.

        Columns: ``model``, ``task``, ``kind`` (``estimate``, ``comparison``, or ``macro``, whose
        ``task`` is the group), then the fields of
        :class:`~vlm_eval.stats.results.Estimate` and
        :class:`~vlm_eval.stats.results.Comparison`; what a row's kind does not have, or is
        unknown, is missing. ``where`` and ``dropped`` are mappings.
        """
        import pandas as pd

        rows = [
            {"model": self.model, "task": task.task, "kind": kind, **_plain(number)}
            for task in self.tasks
            for kind, numbers in (("estimate", task.estimates), ("comparison", task.comparisons))
            for number in numbers
        ]
        rows += [
            {"model": self.model, "task": group.group, "kind": "macro", **_plain(number)}
            for group in self.groups
            for number in group.estimates
        ]
        names = [f.name for kind in (Estimate, Comparison) for f in dataclasses.fields(kind)]
        return pd.DataFrame(rows, columns=["model", "task", "kind", *dict.fromkeys(names)])


def _plain(value: Any) -> Any:
    """Return dataclasses, tuples and mappings as dictionaries and lists."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: _plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value
