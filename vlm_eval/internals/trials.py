"""What analyses of single trials share: which are clean, a draw of them, their other images."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

from vlm_eval.core.errors import TaskError
from vlm_eval.core.hashing import derive_rng
from vlm_eval.core.types import ImageRef, Message, Picture
from vlm_eval.internals.base import Study
from vlm_eval.metrics.table import TableRow


def clean_rows(study: Study, analysis: str) -> list[TableRow]:
    """Return the trials at the first level of every factor that scored options.

    Raises
    ------
    TaskError
        If there are none; the hint names the analysis.
    """
    rows = [
        row for row in study.table.rows
        if not row.failed and row.choices and row.logprobs and not any_differs(row, study)
    ]  # fmt: skip
    if not rows:
        raise TaskError(
            "no clean trial has options that were scored",
            where=study.task.name,
            hint=f"{analysis} needs a task with `output: {{kind: choice}}`",
        )
    return rows


def any_differs(row: TableRow, study: Study) -> bool:
    """Say whether a trial is at another than the first level of a factor."""
    return any(row.condition[name] != levels[0] for name, levels in study.table.factors.items())


def drawn(
    rows: Sequence[TableRow], samples: int | None, seed: int, analysis: str
) -> list[TableRow]:
    """Return at most so many rows, one a sample, drawn by the run's seed; None for all."""
    if samples is None or len(rows) <= samples:
        return list(rows)
    chosen = derive_rng(seed, analysis, "samples").permutation(len(rows))[:samples]
    return [rows[i] for i in sorted(chosen)]


def with_images(
    messages: Sequence[Message], change: Callable[[ImageRef], ImageRef]
) -> tuple[Message, ...]:
    """Return a conversation with another image in the place of each."""
    return tuple(
        dataclasses.replace(
            message,
            parts=tuple(
                Picture(change(part.image)) if isinstance(part, Picture) else part
                for part in message.parts
            ),
        )
        for message in messages
    )
