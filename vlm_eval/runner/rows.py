"""Records as rows of the table that metrics read, scored anew."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

from vlm_eval.core.hashing import SHORT, short_digest
from vlm_eval.core.types import condition_key
from vlm_eval.metrics.columns import Coded
from vlm_eval.metrics.rows import TableRow, TableRows
from vlm_eval.runner.execute import outcome_of
from vlm_eval.runner.records import Record
from vlm_eval.runner.winners import Keys
from vlm_eval.tasks.scoring import Scored, score
from vlm_eval.tasks.task import Task


class Trials(NamedTuple):
    """What a task's records that count say of its trials.

    Attributes
    ----------
    rows
        The trials as metrics read them, by sample and printed condition.
    asked
        How many distinct requests they made.
    failures
        The kind of each one's failure, None for an answer.
    literal_rules
        By which rule the paper's own parser found each answer, None where it was not asked.
    seconds
        Wall seconds that they took.
    """

    rows: TableRows
    asked: int
    failures: Coded
    literal_rules: Coded
    seconds: float


def scored_row(task: Task, record: Record) -> TableRow:
    """Parse and score a record anew and return its row."""
    return _row(record, score_record(task, record))


def read_trials(task: Task, records: Iterable[Record]) -> Trials:
    """Parse and score a task's records anew, of which one a trial counts, see `Keys`.

    They are taken one by one; what is held of each are some bytes, see `TableRows`.
    """
    keys, requests, seconds = Keys(), bytearray(), array("d")
    failures: list[str | None] = []
    literal_rules: list[str | None] = []

    def rows() -> Iterator[TableRow]:
        for record in records:
            scored = score_record(task, record)
            keys.add(record)
            requests.extend(short_digest(record.request_hash))
            failures.append(None if record.failure is None else str(record.failure["kind"]))
            literal_rules.append(scored.literal_rule)
            seconds.append(record.seconds)
            yield _row(record, scored)

    read = TableRows(rows())
    count = keys.winners()
    won = read.part(count)
    samples, conditions = won.attribute("sample_id"), won.attribute("condition")
    order = count[np.lexsort([conditions.ranks(condition_key), samples.ranks(str)])]
    return Trials(
        rows=read.part(order),
        asked=len(np.unique(np.frombuffer(requests, SHORT)[order])),
        failures=Coded.of(failures).part(order),
        literal_rules=Coded.of(literal_rules).part(order),
        seconds=math.fsum(seconds[i] for i in order),
    )


def score_record(task: Task, record: Record) -> Scored:
    """Parse and score a record anew. Raises as `vlm_eval.tasks.scoring.score`."""
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
        failed=record.failure is not None,
        choices=record.choices,
        logprobs=record.logprobs,
        token_counts=record.token_counts,
        image_tokens=(record.tokens or {}).get("image"),
        parser_rule=scored.parser_rule,
        literal=scored.literal_answer,
        also=scored.also,
        text=record.raw,
        request=record.request_hash,
    )
