"""From records to results: the one way in which results are made, at once or at any time later.

Nothing but the run folder is needed: ``run.json`` holds the tasks as they were asked, the records
hold what was said. Every answer is parsed and scored anew, so that an improved parser applies to
old runs. Rows are sorted before any statistic sees them, so that results do not depend on the order
of work, on interruptions or on the number of processes.
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from vlm_eval.core.errors import RunError, VlmEvalError
from vlm_eval.core.types import condition_keys
from vlm_eval.metrics.table import TableRow
from vlm_eval.runner.archive import Archive
from vlm_eval.runner.captures import CaptureIndex, RunStates
from vlm_eval.runner.folder import RUN, RunFolder
from vlm_eval.runner.groups import average
from vlm_eval.runner.provenance import now
from vlm_eval.runner.records import Record, record_files
from vlm_eval.runner.rehearsal import measured
from vlm_eval.runner.results import Counts, Results, TaskResult
from vlm_eval.runner.rows import Rows
from vlm_eval.runner.winners import Winners
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


class _Trial(NamedTuple):
    """What is kept of a record: its row, and what becomes of trials besides scores."""

    row: TableRow
    seconds: float
    failure: str | None
    literal_rule: str | None


def _summarise(
    task: Task, records: Iterable[Record], manifest: Mapping[str, Any], captures: CaptureIndex
) -> TaskResult:
    entry = manifest["tasks"][task.name]
    trials = _trials(task, records)
    table = task.table(tuple(trial.row for trial in trials))
    captured = sum(not row.failed and row.request in captures for row in table.rows)
    if captured:
        table = replace(table, states=RunStates(captures))
    counts = replace(_counts(trials, entry["trials"]), captured=captured)
    seconds = math.fsum(trial.seconds for trial in trials)
    del trials
    numbers = list(measured(task, table))
    return TaskResult(
        task=task.name,
        version=task.version,
        title=task.spec.title,
        synthetic=entry["data"]["synthetic"],
        notice=entry["data"]["notice"],
        counts=counts,
        seconds=seconds,
        estimates=tuple(number for number in numbers if isinstance(number, Estimate)),
        comparisons=tuple(number for number in numbers if isinstance(number, Comparison)),
        not_captured=None if captured else _why_no_states(task, manifest),
    )


def _trials(task: Task, records: Iterable[Record]) -> list[_Trial]:
    """Score the records and return those that count, by sample and condition."""
    found: Winners[_Trial] = Winners()
    rows = Rows(task)
    for record in records:
        row, scored = rows.of(record)
        kind = None if record.failure is None else str(record.failure["kind"])
        found.add(record, _Trial(row, record.seconds, kind, scored.literal_rule))
    trials = list(found)
    keys = condition_keys(trial.row.condition for trial in trials)
    order = sorted(range(len(trials)), key=lambda i: (trials[i].row.sample_id, keys[i]))
    return [trials[i] for i in order]


def _why_no_states(task: Task, manifest: Mapping[str, Any]) -> str | None:
    """Return why a run has no hidden states of a task, None if it asks for none."""
    if task.spec.capture is None:
        return None
    if not manifest.get("capture", True):
        return "the run was asked to keep none (--no_capture)"
    if not manifest["model"]["capabilities"].get("capture"):
        return f"{manifest['model']['name']} does not show its hidden states"
    return "none are in the run folder"


def _counts(trials: Sequence[_Trial], planned: int) -> Counts:
    """Return what became of the trials, of those that were planned."""
    rows = [trial.row for trial in trials]
    answered = [trial for trial in trials if not trial.row.failed]
    failures = Counter(trial.failure for trial in trials if trial.failure is not None)
    literal = Counter(one.literal_rule for one in answered if one.literal_rule is not None)
    return Counts(
        trials=planned,
        asked=len({row.request for row in rows}),
        answered=len(answered),
        failed=failures.total(),
        missing=planned - len(trials),
        unparsed=sum(trial.row.answer is None for trial in answered),
        rules=_by_frequency(Counter(trial.row.parser_rule for trial in answered)),
        literal_rules=_by_frequency(literal),
        failures=_by_frequency(failures),
        samples=len({row.sample_id for row in rows}),
        clusters=len({row.cluster for row in rows}),
    )


def _by_frequency(words: Counter[str]) -> dict[str, int]:
    """Return how often each word occurs, most frequent first, then by alphabet."""
    return dict(sorted(words.items(), key=lambda item: (-item[1], item[0])))


def _checksum(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        return {
            "sha256": hashlib.file_digest(file, "sha256").hexdigest(),
            "bytes": path.stat().st_size,
        }
