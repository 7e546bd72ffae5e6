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
from vlm_eval.core.types import condition_key
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
    manifest = folder.manifest()
    index = RecordIndex(folder.records)
    by_task: dict[str, list[Record]] = {task.name: [] for task in tasks}
    for record in index:
        by_task.get(record.task, []).append(record)
    results = Results(
        model=manifest["model"]["name"],
        folder=folder.path,
        tasks=tuple(_summarise(task, by_task[task.name], manifest) for task in tasks),
        run=manifest,
        records={path.name: _checksum(path) for path in record_files(folder.records)},
        torn=index.torn,
        finished=now(),
    )
    folder.write_results(results.to_json())
    return results


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


def _summarise(task: Task, records: Sequence[Record], manifest: Mapping[str, Any]) -> TaskResult:
    entry = manifest["tasks"][task.name]
    found = [(record, _score(task, record)) for record in records]
    rows = sorted(
        (_row(record, scored) for record, scored in found),
        key=lambda row: (row.sample_id, condition_key(row.condition)),
    )
    numbers = list(measured(task, task.table(tuple(rows))))
    return TaskResult(
        task=task.name,
        version=task.version,
        title=task.spec.title,
        synthetic=entry["data"]["synthetic"],
        notice=entry["data"]["notice"],
        counts=_counts(entry["trials"], found),
        seconds=sum(record.seconds for record in records),
        estimates=tuple(number for number in numbers if isinstance(number, Estimate)),
        comparisons=tuple(number for number in numbers if isinstance(number, Comparison)),
    )


def _score(task: Task, record: Record) -> Scored:
    return score(
        task,
        condition=record.condition,
        gold=record.gold,
        choices=record.choices,
        outcome=outcome_of(record),
        fields=record.fields,
    )


def _row(record: Record, scored: Scored) -> TableRow:
    return TableRow(
        sample_id=record.sample_id,
        cluster=record.cluster,
        condition=record.condition,
        fields=record.fields,
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
    )


def _counts(trials: int, found: Iterable[tuple[Record, Scored]]) -> Counts:
    found = list(found)
    answered = [scored for record, scored in found if record.outcome == "answer"]
    failures = [record.failure for record, _ in found if record.failure is not None]
    return Counts(
        trials=trials,
        asked=len({record.request_hash for record, _ in found}),
        answered=len(answered),
        failed=len(failures),
        missing=trials - len(found),
        unparsed=sum(scored.answer is None for scored in answered),
        rules=_tally(scored.parser_rule for scored in answered),
        literal_rules=_tally(s.literal_rule for s in answered if s.literal_rule is not None),
        failures=_tally(str(failure["kind"]) for failure in failures),
        samples=len({record.sample_id for record, _ in found}),
        clusters=len({record.cluster for record, _ in found}),
    )


def _tally(words: Iterable[str]) -> dict[str, int]:
    """Return how often each word occurs, most frequent first, then by alphabet."""
    return dict(sorted(Counter(words).items(), key=lambda item: (-item[1], item[0])))


def _checksum(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        return {
            "sha256": hashlib.file_digest(file, "sha256").hexdigest(),
            "bytes": path.stat().st_size,
        }
