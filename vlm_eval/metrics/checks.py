"""What can be wrong between a metric's options and the table that it gets.

Factors and levels are checked on an empty table too, so that calling a metric on a table without
rows finds a wrong option before any model is asked.
"""

from __future__ import annotations

from vlm_eval.core.errors import DataError, TaskError, did_you_mean
from vlm_eval.core.types import Level
from vlm_eval.metrics.table import Table


def check_trials(table: Table, score: str) -> None:
    """Check that some trial has the score, if any has a score, and that no trial is there twice.

    Raises
    ------
    TaskError
        If trials are scored but none has this score.
    DataError
        If two rows have one sample and condition: both would count.
    """
    if table.scores and score not in table.scores:
        raise TaskError(
            f"a metric asks for the score {score!r}, which no trial has",
            where=table.task,
            hint=did_you_mean(score, table.scores),
        )
    if table.twice is not None:
        sample_id, condition = table.twice
        raise DataError(
            f"sample {sample_id!r} has two trials under the condition {condition!r}",
            where=table.task,
            hint="give each sample an id of its own",
        )


def check_level(table: Table, factor: str, *wanted: Level) -> None:
    """Check that the task has a factor, and that the factor has these levels.

    Raises
    ------
    TaskError
        If it does not, with the nearest name.
    """
    if factor not in table.factors:
        raise TaskError(
            f"a metric asks for the factor {factor!r}, which the task does not have",
            where=table.task,
            hint=did_you_mean(factor, table.factors),
        )
    known = table.factors[factor]
    for level in wanted:
        if level not in known:
            raise TaskError(
                f"a metric asks for the level {level!r} of {factor!r}, which it does not have",
                where=table.task,
                hint=did_you_mean(str(level), map(str, known)),
            )


def check_field(table: Table, name: str) -> None:
    """Check that rows have a factor or field, and that its values are scalars.

    Raises
    ------
    TaskError
        If no row has it, with the nearest name, or its values cannot name a slice. That it is None
        in every row is no fault: then there is nothing to break down by.
    """
    if name in table.factors or not table.rows:
        return
    if not any(name in row.condition or name in row.fields for row in table.rows):
        known = {*table.factors, *(field for row in table.rows for field in row.fields)}
        raise TaskError(
            f"a metric asks for the field {name!r}, which no row has",
            where=table.task,
            hint=did_you_mean(name, known),
        )
    values, codes = table.codes(name)
    if any(not isinstance(values[code], (str, int, float, type(None))) for code in set(codes)):
        raise TaskError(
            f"a metric cannot break results down by {name!r}, whose values are lists or mappings",
            where=table.task,
        )
