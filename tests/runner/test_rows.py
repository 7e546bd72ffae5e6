"""Records as rows of tables: scored anew, one a trial."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

import vlm_eval
from vlm_eval.core.types import condition_key
from vlm_eval.runner.folder import RunFolder
from vlm_eval.runner.records import Record, RecordIndex
from vlm_eval.runner.rows import read_trials, scored_row
from vlm_eval.runner.summarise import tasks_of
from vlm_eval.tasks.task import Task

OOM = {"kind": "oom", "message": "too big", "attempts": 3}


@pytest.fixture
def asked(write, folder) -> tuple[Task, list[Record]]:
    write()
    vlm_eval.evaluate("mock", "toy", include_path=[folder], output_path="run", progress=False)
    (task,) = tasks_of(RunFolder("run"))
    return task, list(RecordIndex(Path("run/records")))


def failed(record: Record, kind: str = "oom") -> Record:
    return replace(
        record, outcome="failure", failure={**OOM, "kind": kind}, raw=None, logprobs=None,
        token_counts=None, answer=None, scores={}, seconds=100.0,
    )  # fmt: skip


def test_a_row_holds_what_the_record_does(asked) -> None:
    task, records = asked
    for record in records:
        row = scored_row(task, record)
        assert (row.sample_id, row.cluster, row.gold) == (
            record.sample_id, record.cluster, record.gold,
        )  # fmt: skip
        assert (row.condition, row.fields) == (record.condition, record.fields)
        assert (row.choices, row.logprobs, row.text) == (
            record.choices, record.logprobs, record.raw,
        )  # fmt: skip
        assert (row.answer, row.scores) == (record.answer, record.scores)
        assert row.parser_rule == (record.parser_rule or "")
        assert not row.failed
        assert scored_row(task, failed(record)).failed


def test_trials_are_read_by_sample_and_condition_in_whatever_order_they_stand(asked) -> None:
    task, records = asked
    expected = sorted(
        (scored_row(task, record) for record in records),
        key=lambda row: (row.sample_id, condition_key(row.condition)),
    )
    for order in (records, records[::-1]):
        trials = read_trials(task, iter(order))
        assert trials.rows == expected
        assert trials.seconds == pytest.approx(sum(record.seconds for record in records))
        assert trials.asked == len({record.request_hash for record in records})


def test_an_answer_counts_before_a_failure_and_the_last_of_each(asked) -> None:
    task, records = asked
    one, other, *rest = (replace(record, seconds=1.0) for record in records)
    again = [
        failed(one), one, failed(one, "timeout"),  # an answer, wherever it stands
        failed(other), failed(other, "timeout"),
        *rest,
    ]  # fmt: skip
    trials = read_trials(task, again)
    assert len(trials.rows) == len(records)
    assert sum(row.failed for row in trials.rows) == 1
    kinds = Counter(trials.failures.values[code] for code in trials.failures.codes)
    assert kinds == {None: len(records) - 1, "timeout": 1}
    assert trials.seconds == len(records) - 1 + 100.0
    assert trials.asked == len({record.request_hash for record in records})


def test_what_could_not_be_asked_does_not_count_once_it_has_been(asked) -> None:
    task, (record, *_) = asked
    unasked = failed(replace(record, request_hash=""), "first_answer")
    followed = replace(record, fields={**record.fields, "first_answer": "Yes"})
    for order in ([unasked, followed], [followed, unasked]):
        (row,) = read_trials(task, order).rows
        assert row.request == record.request_hash
    (row,) = read_trials(task, [unasked]).rows
    assert row.failed


def test_no_records_are_no_trials(asked) -> None:
    trials = read_trials(asked[0], [])
    assert (len(trials.rows), trials.asked, trials.seconds) == (0, 0, 0)
