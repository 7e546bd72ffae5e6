"""Rows of tables: scored anew, and what is equal in many is one object."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

import vlm_eval
from vlm_eval.runner.folder import RunFolder
from vlm_eval.runner.records import Record, RecordIndex
from vlm_eval.runner.rows import MANY_SCORES, Rows, scored_row
from vlm_eval.runner.summarise import tasks_of
from vlm_eval.tasks.task import Task


@pytest.fixture
def asked(write, folder) -> tuple[Task, list[Record]]:
    write()
    vlm_eval.evaluate("mock", "toy", include_path=[folder], output_path="run", progress=False)
    (task,) = tasks_of(RunFolder("run"))
    return task, list(RecordIndex(Path("run/records")))


def test_a_row_holds_what_the_record_does(asked) -> None:
    task, records = asked
    rows = Rows(task)
    for record in records:
        row, scored = rows.of(record)
        assert row == scored_row(task, record)
        assert dict(row.fields) == dict(record.fields)
        assert list(row.fields) == list(record.fields)
        assert row.fields.get("no such field") is None
        assert (row.condition, row.choices) == (record.condition, record.choices)
        assert (row.answer, row.scores) == (record.answer, record.scores)
        assert scored.parser_rule == row.parser_rule == (record.parser_rule or "")


def test_what_is_equal_is_one_object(asked) -> None:
    task, records = asked
    rows = Rows(task)
    again = [Record.from_line(records[0].to_line()) for _ in range(2)]
    first, second = (rows.of(record)[0] for record in again)
    assert first.choices is second.choices
    assert first.condition is second.condition
    assert first.fields["word"] is second.fields["word"]
    assert first.scores is second.scores


def test_what_python_takes_for_equal_is_not_mixed_up(asked) -> None:
    task, records = asked
    scored = next(record for record in records if record.logprobs is not None)
    rows = Rows(task)
    names = ("Yes", "No")  # options that are also the names of all fields
    one = replace(scored, fields={"Yes": 1, "No": 1.0}, condition={"blur": 1, "ask": "direct"})
    other = replace(scored, fields={"Yes": True, "No": 0}, condition={"blur": 1, "ask": "polite"})
    found = [rows.of(record)[0] for record in (one, other)]
    assert [row.choices for row in found] == [names, names]
    assert [repr(dict(row.fields)) for row in found] == [repr(one.fields), repr(other.fields)]
    assert [row.condition["ask"] for row in found] == ["direct", "polite"]


def test_measures_of_texts_do_not_fill_the_memory(asked) -> None:
    shared = Rows(asked[0])._shared
    for number in range(MANY_SCORES + 5):
        shared.scores({"bleu": number / 7})
    assert len(shared._scores) == MANY_SCORES
