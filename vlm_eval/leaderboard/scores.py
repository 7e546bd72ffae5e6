"""The scores of a run's trials, read quickly, for numbers that need two runs or two conditions.

Records hold the scores that were found when the model was asked; ``results.json`` holds what the
parsers of its day found, perhaps later (``vlm_eval score``). Where the two agree (the tally of
parser rules and the headline are the same) the recorded scores are used, otherwise every record is
scored anew.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from vlm_eval.core.errors import RunError
from vlm_eval.core.hashing import digest
from vlm_eval.core.types import Level, condition_key
from vlm_eval.runner.folder import RunFolder
from vlm_eval.runner.records import Record, RecordIndex, record_files
from vlm_eval.runner.rows import scored_row
from vlm_eval.runner.summarise import tasks_of
from vlm_eval.tasks.rendering import FIRST_ANSWER

SCORE = "accuracy"
Key: TypeAlias = tuple[str, str]
"""A sample and a condition."""


@dataclass(frozen=True, slots=True)
class Scored:
    """One trial.

    Attributes
    ----------
    cluster, condition
        As recorded.
    score
        Its accuracy; None if it failed.
    """

    cluster: str
    condition: Mapping[str, Level]
    score: float | None


@dataclass(frozen=True)
class TaskScores:
    """The trials of one task of one run.

    Attributes
    ----------
    trials
        By sample and condition.
    rules
        Answered trials by the parser rule that was recorded.
    asked
        Digest of what was asked: prompts, images, options and right answers of all trials, but
        those that follow the model's own answer.
    """

    trials: Mapping[Key, Scored]
    rules: Mapping[str, int]
    asked: str


def recorded_scores(folder: RunFolder, tasks: Iterable[str]) -> dict[str, TaskScores]:
    """Return the scores of a run's tasks as its records hold them.

    Raises
    ------
    RunError
        If a file cannot be read.
    """
    kept: dict[str, dict[Key, dict[str, Any]]] = {task: {} for task in tasks}
    for value in _values(folder):
        rows = kept.get(value["task"])
        if rows is None:
            continue
        key = value["sample_id"], condition_key(value["condition"])
        before = rows.get(key)
        # The last one wins, but a failure never replaces an answer.
        if before is None or value["outcome"] == "answer" or before["outcome"] != "answer":
            rows[key] = _needed(value)
    return {task: _scores(rows) for task, rows in kept.items()}


def _values(folder: RunFolder) -> Iterator[dict[str, Any]]:
    for path in record_files(folder.records):
        for line in _lines(path):
            try:
                value = json.loads(line) if line.endswith(b"\n") else None
            except ValueError:
                continue
            if isinstance(value, dict) and _NEEDED.keys() <= value.keys():
                yield value


def _lines(path: Path) -> Iterator[bytes]:
    try:
        with path.open("rb") as file:
            yield from file
    except OSError as error:
        raise RunError(f"cannot be read: {error.strerror}", where=str(path)) from error


_NEEDED = dict.fromkeys(
    ("task", "sample_id", "cluster", "condition", "outcome", "scores", "fields", "prompt",
     "images", "choices", "gold")
)  # fmt: skip


def _needed(value: dict[str, Any]) -> dict[str, Any]:
    """Return what is needed of a record, so that the rest need not be held."""
    follows = FIRST_ANSWER in value["fields"]
    asked = None
    if not follows:
        asked = [value["prompt"], value["images"], value["choices"], value["gold"]]
    return {
        "cluster": value["cluster"],
        "condition": value["condition"],
        "outcome": value["outcome"],
        "score": value["scores"].get(SCORE),
        "rule": value.get("parser_rule"),
        "asked": None if asked is None else digest(asked),
    }


def _scores(rows: Mapping[Key, dict[str, Any]]) -> TaskScores:
    answered = [row for row in rows.values() if row["outcome"] == "answer"]
    return TaskScores(
        trials={
            key: Scored(row["cluster"], row["condition"], row["score"])
            for key, row in rows.items()
            if row["outcome"] != "answer" or row["score"] is not None
        },
        rules=dict(Counter(str(row["rule"]) for row in answered)),
        asked=digest(sorted([*key, row["asked"] or ""] for key, row in rows.items())),
    )


def rescored(folder: RunFolder, tasks: Iterable[str]) -> dict[str, dict[Key, Scored]]:
    """Return the scores of a run's tasks, every record parsed and scored anew.

    Raises
    ------
    RunError
        If a file cannot be read, or a task does not load here.
    """
    known = {task.name: task for task in tasks_of(folder)}
    found: dict[str, dict[Key, Scored]] = {task: {} for task in tasks}
    records: Iterable[Record] = RecordIndex(folder.records)
    for record in records:
        if record.task in found:
            row = scored_row(known[record.task], record)
            if row.failed or SCORE in row.scores:
                score = None if row.failed else row.scores[SCORE]
                key = record.sample_id, condition_key(record.condition)
                found[record.task][key] = Scored(record.cluster, record.condition, score)
    return found
