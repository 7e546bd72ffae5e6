"""What a comparison of two runs gives."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vlm_eval.core.types import Level
from vlm_eval.stats.results import Comparison


@dataclass(frozen=True)
class Change:
    """A trial that the two runs answered differently, or of which the score differs.

    Attributes
    ----------
    sample_id, condition
        Which trial.
    answers
        Parsed answers of A and B; None if unparsed.
    scores
        Scores of A and B.
    """

    sample_id: str
    condition: Mapping[str, Level]
    answers: tuple[str | None, str | None]
    scores: tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class TaskDifference:
    """One task asked of both runs. All differences are B minus A.

    Attributes
    ----------
    task, version, title
        From the task file.
    synthetic
        Whether the data are a generated stand-in.
    overall
        Over all trials. Its Holm family is that of all compared tasks.
    parts
        At each level of each factor and, of several factors, under each condition. One family.
    gaps
        For each level of each factor but the baseline: the change from baseline to level in B
        minus that in A (A's gap minus B's, where a gap is baseline minus level), paired by sample
        and the rest of the condition. ``baseline_value`` and ``level_value`` are the two changes.
        One family.
    changes
        Trials with another answer or score, by sample and condition.
    answers_changed, both
        How many parsed answers differ, of how many trials that both answered.
    notes
        What a reader must know: limits that differ, trials that are missing.
    """

    task: str
    version: str
    title: str
    synthetic: bool
    overall: Comparison
    parts: tuple[Comparison, ...]
    gaps: tuple[Comparison, ...]
    changes: tuple[Change, ...]
    answers_changed: int
    both: int
    notes: tuple[str, ...]

    def rows(self) -> Iterator[tuple[str, Comparison]]:
        """Yield every comparison with its kind: ``overall``, ``part`` or ``gap``."""
        yield "overall", self.overall
        for part in self.parts:
            yield "part", part
        for gap in self.gaps:
            yield "gap", gap


@dataclass(frozen=True, kw_only=True)
class RunComparison:
    """What :func:`vlm_eval.compare` returns.

    Attributes
    ----------
    names
        What A and B are called: the models, or the folders where the models are the same.
    folders
        The run folders.
    score
        The score compared.
    tasks
        One for each shared task, in the order of A.
    notes
        What holds for all of them.
    """

    names: tuple[str, str]
    folders: tuple[Path, Path]
    score: str
    tasks: tuple[TaskDifference, ...]
    notes: tuple[str, ...]

    def __getitem__(self, task: str) -> TaskDifference:
        """Return a task's difference by name. Raises KeyError if it was not compared."""
        for found in self.tasks:
            if found.task == task:
                return found
        raise KeyError(task)

    def to_rows(self) -> list[dict[str, Any]]:
        """Return every comparison as a flat mapping with ``task`` and ``kind``, for tables."""
        return [
            {"task": task.task, "kind": kind, **dataclasses.asdict(comparison)}
            for task in self.tasks
            for kind, comparison in task.rows()
        ]
