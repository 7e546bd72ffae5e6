"""From records to results: the one way in which results are made, at once or at any time later.

Nothing but the run folder is needed: ``run.json`` holds the tasks as they were asked, the records
hold what was said. Every answer is parsed and scored anew, so that an improved parser applies to
old runs. Rows are sorted before any statistic sees them, so that results do not depend on the order
of work, on interruptions or on the number of processes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from vlm_eval.core.errors import RunError, VlmEvalError
from vlm_eval.metrics.columns import Coded
from vlm_eval.metrics.table import Table
from vlm_eval.runner.archive import Archive
from vlm_eval.runner.captures import CaptureIndex, RunStates
from vlm_eval.runner.folder import RUN, RunFolder
from vlm_eval.runner.groups import average
from vlm_eval.runner.provenance import now
from vlm_eval.runner.records import Record, record_files
from vlm_eval.runner.rehearsal import measured
from vlm_eval.runner.results import Counts, Results, TaskResult
from vlm_eval.runner.rows import Trials, read_trials
from vlm_eval.stats.results import Comparison, Estimate
from vlm_eval.tasks.averages import Average
from vlm_eval.tasks.factory import make_task
from vlm_eval.tasks.task import Task
from vlm_eval.tasks.yaml import Document


class Closed(NamedTuple):
    """The result of a task, and how many of its lines are no records."""

    result: TaskResult
    torn: int

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON, for another process."""
        return {"result": self.result.to_json(), "torn": self.torn}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Closed:
        """Rebuild it."""
        return cls(TaskResult.from_json(value["result"]), value["torn"])


class Summary:
    """Computes the results of a run's tasks, one at a time.

    Parameters
    ----------
    folder
        The run folder.

    Raises
    ------
    RunError
        If it cannot be read.
    """

    def __init__(self, folder: RunFolder) -> None:
        self.manifest = folder.manifest()
        self.archive = Archive(folder.records)
        self.captures = CaptureIndex(folder.captures)

    def close(self, task: Task) -> Closed:
        """Return the result of a task. Raises as :func:`summarise`."""
        before = self.archive.torn
        records = self.archive.of_task(task.name)
        result = _summarise(task, records, self.manifest, self.captures)
        return Closed(result, self.archive.torn - before)


def summarise(
    folder: RunFolder,
    tasks: Sequence[Task],
    groups: Sequence[Average] | None = None,
    closed: Mapping[str, Closed] | None = None,
) -> Results:
    """Compute a run's results from its folder and write ``results.json``.

    Parameters
    ----------
    folder
        The run folder.
    tasks
        The run's tasks, see :func:`tasks_of`.
    groups
        Means over these tasks; None for those that the run was begun with.
    closed
        What :meth:`Summary.close` has returned elsewhere for some of the tasks, by name.

    Raises
    ------
    RunError
        If the folder cannot be read, or the results cannot be written.
    TaskError, DataError
        If a metric asks for what the records do not have.
    """
    results = recompute(folder, tasks, groups, closed)
    folder.write_results(results.to_json())
    return results


def recompute(
    folder: RunFolder,
    tasks: Sequence[Task],
    groups: Sequence[Average] | None = None,
    closed: Mapping[str, Closed] | None = None,
) -> Results:
    """Compute a run's results from its records and write nothing.

    Parameters and errors are those of :func:`summarise`.
    """
    summary, done = Summary(folder), dict(closed or {})
    torn = summary.archive.torn
    for task in tasks:
        if task.name not in done:
            done[task.name] = summary.close(task)
    found = {task.name: done[task.name].result for task in tasks}
    manifest, captures = summary.manifest, summary.captures
    if groups is None:
        groups = [Average(group=name, **g) for name, g in manifest.get("groups", {}).items()]
    return Results(
        model=manifest["model"]["name"],
        folder=folder.path,
        tasks=tuple(found.values()),
        groups=tuple(average(group, found) for group in groups),
        run=manifest,
        records={path.name: _checksum(path) for path in record_files(folder.records)},
        torn=torn + sum(done[task.name].torn for task in tasks),
        finished=now(),
        captures=captures.describe() if captures.shards or captures.faults else {},
    )


def tasks_of(folder: RunFolder) -> list[Task]:
    """Return the tasks of a run as they were asked, from ``run.json``.

    Raises
    ------
    RunError
        If a parser, metric or source that they name is not there any more.
    """
    where = folder.path / RUN
    return [_stored(entry["spec"], where) for entry in folder.manifest()["tasks"].values()]


def _stored(spec: Mapping[str, Any], where: Path) -> Task:
    try:
        return make_task(Document(dict(spec), {(): str(where)}))
    except VlmEvalError as error:
        raise RunError(
            f"its task does not load here: {error}",
            where=str(where),
            hint="install what it names, or score with the task files of today: --current_tasks",
        ) from error


def _summarise(
    task: Task, records: Iterable[Record], manifest: Mapping[str, Any], captures: CaptureIndex
) -> TaskResult:
    entry = manifest["tasks"][task.name]
    trials = read_trials(task, records)
    captured = 0
    if len(captures):
        captured = sum(not row.failed and row.request in captures for row in trials.rows)
    table = task.table(trials.rows, RunStates(captures) if captured else None)
    counts = _counts(trials, table, entry["trials"], captured)
    numbers = list(measured(task, table))
    return TaskResult(
        task=task.name,
        version=task.version,
        title=task.spec.title,
        synthetic=entry["data"]["synthetic"],
        notice=entry["data"]["notice"],
        counts=counts,
        seconds=trials.seconds,
        estimates=tuple(number for number in numbers if isinstance(number, Estimate)),
        comparisons=tuple(number for number in numbers if isinstance(number, Comparison)),
        not_captured=None if captured else _why_no_states(task, manifest),
    )


def _why_no_states(task: Task, manifest: Mapping[str, Any]) -> str | None:
    """Return why a run has no hidden states of a task, None if it asks for none."""
    if task.spec.capture is None:
        return None
    if not manifest.get("capture", True):
        return "the run was asked to keep none (--no_capture)"
    if not manifest["model"]["capabilities"].get("capture"):
        return f"{manifest['model']['name']} does not show its hidden states"
    return "none are in the run folder"


def _counts(trials: Trials, table: Table, planned: int, captured: int) -> Counts:
    """Return what became of the trials, of those that were planned."""
    answered = np.flatnonzero(~table.failed)
    answers, rules = table.attribute("answer"), table.attribute("parser_rule")
    failures = _frequencies(trials.failures)
    return Counts(
        trials=planned,
        asked=trials.asked,
        answered=len(answered),
        failed=sum(failures.values()),
        missing=planned - len(table.rows),
        unparsed=int(answers.part(answered).equal(None).sum()),
        rules=_frequencies(rules.part(answered)),
        literal_rules=_frequencies(trials.literal_rules.part(answered)),
        failures=failures,
        samples=len(table.attribute("sample_id").present),
        clusters=len(table.attribute("cluster").present),
        captured=captured,
    )


def _frequencies(column: Coded) -> dict[str, int]:
    """Return how often each word occurs, most frequent first, then by alphabet."""
    numbers = np.bincount(column.codes, minlength=len(column.values)).tolist()
    found = {
        word: number
        for word, number in zip(column.values, numbers, strict=True)
        if number and word is not None
    }
    return dict(sorted(found.items(), key=lambda item: (-item[1], item[0])))


def _checksum(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        return {
            "sha256": hashlib.file_digest(file, "sha256").hexdigest(),
            "bytes": path.stat().st_size,
        }
