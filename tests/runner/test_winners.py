"""Which of several records counts, decided at once as it is decided one by one."""

from __future__ import annotations

from array import array
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vlm_eval.runner.records import Record
from vlm_eval.runner.winners import Keys, Winners

ANSWER = Record(
    request_hash="r", task="t", sample_id="s", cluster="c", condition={"rule": "std"}, fields={},
    gold="X", prompt="Who?", images=(), choices=None, outcome="answer", raw="X", finish="stop",
)  # fmt: skip
FAILURE = {"kind": "oom", "message": "too big", "attempts": 3}


def record(sample: str, kind: str) -> Record:
    made = replace(ANSWER, sample_id=sample)
    return {
        "answer": made,
        "failure": replace(made, outcome="failure", failure=FAILURE),
        "unasked": replace(made, outcome="failure", failure=FAILURE, request_hash=""),
        "followed": replace(made, request_hash="f", fields={"first_answer": "Y"}),
    }[kind]


kinds = st.sampled_from(["answer", "failure", "unasked", "followed"])
records = st.lists(st.builds(record, st.sampled_from("abc"), kinds), max_size=20)


def found(given: list[Record]) -> Winners:
    """Return what counts of records that are found, which are numbered from 0."""
    keys = Keys()
    for one in given:
        keys.add(one)
    return Winners(keys.found(array("Q", range(len(given)))))


def noted(winners: Winners, given: list[Record], start: int = 0) -> Winners:
    for number, one in enumerate(given, start):
        winners.add(one, number, one.key)
    return winners


def slow(given: list[Record]) -> dict[bytes, int]:
    """Return the number that counts under each key, as the rule says it."""
    counts: dict[bytes, int] = {}
    for key in {one.key for one in given}:
        mine = [number for number, one in enumerate(given) if one.key == key]
        answers = [number for number in mine if given[number].failure is None]
        counts[key] = (answers or mine)[-1]
    asked = {one.unasked_key for one in given if "first_answer" in one.fields}
    return {key: number for key, number in counts.items() if key not in asked}


@given(records)
def test_at_once_as_the_rule_says(given) -> None:
    keys = Keys()
    for one in given:
        keys.add(one)
    assert keys.winners().dtype == np.intp
    assert keys.winners().tolist() == sorted(slow(given).values())


@given(records, st.integers(0, 20))
def test_what_is_found_and_what_is_noted_later_are_one(given, cut) -> None:
    winners = noted(found(given[:cut]), given[cut:], len(given[:cut]))
    expected = slow(given)
    assert sorted(winners) == sorted(expected.values())
    assert winners.count() == len(expected)
    answered = {key: n for key, n in expected.items() if given[n].failure is None}
    assert winners.count(answered=True) == len(answered)
    for one in given:
        assert winners.get(one.key) == expected.get(one.key)
        assert winners.get(one.key, answered=True) == answered.get(one.key)


@pytest.mark.parametrize("make", [found, lambda given: noted(Winners(), given)])
def test_what_is_dropped_is_not_there_and_can_be_noted_again(make) -> None:
    one, other = record("a", "failure"), record("b", "answer")
    winners = make([one, other])
    winners.drop(one.key)
    winners.drop(record("c", "answer").key)  # it is not there
    assert (winners.get(one.key), winners.get(other.key)) == (None, 1)
    assert list(winners) == [1]
    winners.add(one, 7, one.key)
    assert winners.get(one.key) == 7
    assert winners.count() == 2
