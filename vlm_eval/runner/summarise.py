"""From records to results: the one way in which results are made, at once or at any time later.

Nothing but the run folder is needed: ``run.json`` holds the tasks as they were asked, the records
hold what was said. Every answer is parsed and scored anew, so that an improved parser applies to
old runs. Rows are sorted before any statistic sees them, so that results do not depend on the order
of work, on interruptions or on the number of processes.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from vlm_eval.core.errors import RunError, VlmEvalError
from vlm_eval.core.types import Condition, condition_key
from vlm_eval.metrics.table import TableRow
from vlm_eval.runner.execute import outcome_of
from vlm_eval.runner.folder import RUN, RunFolder
from vlm_eval.runner.provenance import now
from vlm_eval.runner.records import Record, RecordIndex, record_files
from vlm_eval.runner.rehearsal import measured
from vlm_eval.runner.results import Counts, Results, TaskResult
from vlm_eval.stats.results import Comparison, Estimate
from vlm_eval.tasks.factory import make_task
from vlm_eval.tasks.scoring import Scored, score
from vlm_eval.tasks.task import Task
from vlm_eval.tasks.yaml import Document


def summarise(folder: RunFolder, tasks: Sequence[Task]) -> Results:
    """Compute a run's results from its folder and write ``results.json``.

    Parameters
    ----------
    folder
        The run folder.
    tasks
        The run's tasks, see :func:`tasks_of`.

    Raises
    ------
    RunError
        If the folder cannot be read, or the results cannot be written.
    TaskError, DataError
        If a metric asks for what the records do not have.
    """
    results = recompute(folder, tasks)
    folder.write_results(results.to_json())
    return results


def recompute(folder: RunFolder, tasks: Sequence[Task]) -> Results:
    """Compute a run's results from its records and write nothing.

    Parameters and errors are those of :func:`summarise`.
    """
    manifest = folder.manifest()
    index = RecordIndex(folder.records)
    return Results(
        model=manifest["model"]["name"],
        folder=folder.path,
        tasks=tuple(_summarise(task, index.of_task(task.name), manifest) for task in tasks),
        run=manifest,
        records={path.name: _checksum(path) for path in record_files(folder.records)},
        torn=index.torn,
        finished=now(),
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


def _summarise(task: Task, records: Iterable[Record], manifest: Mapping[str, Any]) -> TaskResult:
    entry = manifest["tasks"][task.name]
    rows, tally, shared = [], _Tally(), _Shared()
    for record in records:
        scored = _score(task, record)
        tally.add(record, scored)
        rows.append(
            _row(record, scored, shared.condition(record.condition), shared.fields(record.fields))
        )
    rows.sort(key=lambda row: (row.sample_id, condition_key(row.condition)))
    numbers = list(measured(task, task.table(tuple(rows))))
    return TaskResult(
        task=task.name,
        version=task.version,
        title=task.spec.title,
        synthetic=entry["data"]["synthetic"],
        notice=entry["data"]["notice"],
        counts=tally.counts(entry["trials"]),
        seconds=sum(tally.seconds),
        estimates=tuple(number for number in numbers if isinstance(number, Estimate)),
        comparisons=tuple(number for number in numbers if isinstance(number, Comparison)),
    )


def scored_row(task: Task, record: Record) -> TableRow:
    """Parse and score a record anew and return its row of the table that metrics read."""
    return _row(record, _score(task, record), record.condition, record.fields)


def _score(task: Task, record: Record) -> Scored:
    return score(
        task,
        condition=record.condition,
        gold=record.gold,
        choices=record.choices,
        outcome=outcome_of(record),
        fields=record.fields,
    )


def _row(
    record: Record, scored: Scored, condition: Condition, fields: Mapping[str, Any]
) -> TableRow:
    return TableRow(
        sample_id=record.sample_id,
        cluster=record.cluster,
        condition=condition,
        fields=fields,
        gold=record.gold,
        answer=scored.answer,
        scores=scored.scores,
        failed=record.outcome == "failure",
        choices=record.choices,
        logprobs=record.logprobs,
        token_counts=record.token_counts,
        parser_rule=scored.parser_rule,
        literal=scored.literal_answer,
        also=scored.also,
        text=record.raw,
        request=record.request_hash,
    )


class _Shared:
    """Makes equal texts and conditions of many records one object, to save memory."""

    def __init__(self) -> None:
        self._texts: dict[str, str] = {}
        self._conditions: dict[str, Condition] = {}

    def condition(self, condition: Condition) -> Condition:
        return self._conditions.setdefault(repr(condition), condition)

    def fields(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        text = self._texts.setdefault
        return {
            text(name, name): text(value, value) if type(value) is str else value
            for name, value in fields.items()
        }


class _Tally:
    """What becomes of a task's trials, counted as they pass."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self._requests: set[str] = set()
        self._samples: set[str] = set()
        self._clusters: set[str] = set()
        self._rules: Counter[str] = Counter()
        self._literal_rules: Counter[str] = Counter()
        self._failures: Counter[str] = Counter()
        self._unparsed = 0

    def add(self, record: Record, scored: Scored) -> None:
        self.seconds.append(record.seconds)
        self._requests.add(record.request_hash)
        self._samples.add(record.sample_id)
        self._clusters.add(record.cluster)
        if record.failure is not None:
            self._failures[str(record.failure["kind"])] += 1
            return
        self._unparsed += scored.answer is None
        self._rules[scored.parser_rule] += 1
        if scored.literal_rule is not None:
            self._literal_rules[scored.literal_rule] += 1

    def counts(self, trials: int) -> Counts:
        return Counts(
            trials=trials,
            asked=len(self._requests),
            answered=self._rules.total(),
            failed=self._failures.total(),
            missing=trials - len(self.seconds),
            unparsed=self._unparsed,
            rules=_by_frequency(self._rules),
            literal_rules=_by_frequency(self._literal_rules),
            failures=_by_frequency(self._failures),
            samples=len(self._samples),
            clusters=len(self._clusters),
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
