"""Which of several records counts, decided at once as it is decided one by one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
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


@given(st.lists(st.builds(record, st.sampled_from("abc"), kinds)))
def test_at_once_as_one_by_one(records: list[Record]) -> None:
    keys: Keys = Keys()
    winners: Winners[int] = Winners()
    for number, one in enumerate(records):
        keys.add(one)
        winners.add(one, number)
    found = keys.winners()
    assert found.dtype == np.intp
    assert found.tolist() == sorted(winners)
