"""Asking and recording: joined by id, failures kept apart, nothing asked twice."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import pytest

from vlm_eval.core.errors import ModelError
from vlm_eval.core.types import Answer, Failure, Outcome, Request, Response
from vlm_eval.models.base import Capabilities
from vlm_eval.runner.execute import (
    Executor,
    checked,
    joined,
    make_record,
    outcome_of,
    unsupported,
)
from vlm_eval.runner.records import Record, RecordIndex, RecordWriter
from vlm_eval.tasks.index import TaskIndex
from vlm_eval.tasks.trials import expand

from .stubs import Stub, Tally


@pytest.fixture
def task(write, folder):
    write()
    return TaskIndex([folder]).load("toy")


@pytest.fixture
def work(task, tmp_path):
    """Return what runs all trials, in one unit or several, and returns the records."""

    def run(model: object, *, size: int = 1000, retry: bool = False) -> tuple[list[Record], Tally]:
        trials, tally = list(expand(task)), Tally()
        with RecordWriter(tmp_path / "records" / "rank-000.jsonl") as writer:
            index = RecordIndex(tmp_path / "records")
            executor = Executor(model, index, writer, tally, retry_failures=retry)
            for start in range(0, len(trials), size):
                executor.run(task, trials[start : start + size])
        return list(RecordIndex(tmp_path / "records")), tally

    return run


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_each_trial_gets_the_answer_to_its_own_request(work, task, size) -> None:
    class Telling(Stub):
        def outcome(self, request: Request) -> Outcome:
            return Answer(text=request.id)

    records, _ = work(Telling(Capabilities(loglikelihood=False)), size=size)
    asked = [r for r in records if r.outcome == "answer"]
    assert len(asked) > 1
    assert all(r.raw == r.request_hash for r in asked)
    trials = {(t.sample_id, str(t.condition)): t for t in expand(task)}
    assert len(records) == len(trials)
    for record in records:
        trial = trials[record.sample_id, str(record.condition)]
        assert record.request_hash == trial.request.id
        assert record.prompt == trial.prompt
        assert record.gold == trial.gold


def test_nothing_is_asked_twice(work) -> None:
    model = Stub()
    records, tally = work(model)
    assert tally.done == len(records)
    assert len(model.asked) == len(set(model.asked)) == len({r.request_hash for r in records})
    again = Stub()
    more, tally = work(again)
    assert again.asked == []
    assert tally.done == 0
    assert more == records


def test_a_shared_request_costs_once(work) -> None:
    records, _ = work(Stub(), size=1)
    by_request: dict[str, list[Record]] = {}
    for record in records:
        by_request.setdefault(record.request_hash, []).append(record)
    for shared in by_request.values():
        assert sorted(r.seconds for r in shared) == [0.0] * (len(shared) - 1) + [0.5]


def test_failures_are_recorded_counted_and_retried_only_on_demand(work) -> None:
    class Failing(Stub):
        def outcome(self, _: Request) -> Outcome:
            return Failure("oom", "out of memory", attempts=3)

    records, tally = work(Failing())
    assert tally.failed == tally.done == len(records)
    for record in records:
        assert record.outcome == "failure"
        assert record.failure == {"kind": "oom", "message": "out of memory", "attempts": 3}
        assert (record.answer, record.scores, record.raw, record.logprobs) == (None, {}, None, None)
    model = Stub()
    work(model)
    assert model.asked == []
    records, _ = work(model, retry=True)
    assert len(model.asked) == len({r.request_hash for r in records})
    assert {r.outcome for r in records} == {"answer"}


def test_what_a_model_cannot_do_is_a_failure_not_a_gap(work) -> None:
    model = Stub(Capabilities(loglikelihood=False, generate=False))
    records, _ = work(model)
    assert model.asked == []
    assert records
    assert {r.failure["kind"] for r in records if r.failure} == {"unsupported"}
    assert all(r.outcome == "failure" for r in records)


def request(images: int = 1, choices: tuple[str, ...] | None = ("a", "b")) -> Request:
    from vlm_eval.core.types import Decoding, ImageRef, Message, Picture, Text

    picture = Picture(ImageRef("k", lambda: None))  # type: ignore[arg-type, return-value]
    message = Message("user", (*[picture] * images, Text("?")))
    return Request("id", (message,), choices, None if choices else Decoding())


@pytest.mark.parametrize(
    ("able", "images", "choices", "word"),
    [
        (Capabilities(loglikelihood=False), 1, ("a", "b"), "score"),
        (Capabilities(generate=False), 1, None, "generate"),
        (Capabilities(multi_image=False), 2, ("a", "b"), "one image"),
        (Capabilities(text_only=False), 0, ("a", "b"), "needs an image"),
    ],
)
def test_unsupported_says_why(able, images, choices, word) -> None:
    why = unsupported(request(images, choices), able)
    assert why is not None
    assert word in why
    assert unsupported(request(images, choices), Capabilities()) is None


def test_capabilities_that_suffice_are_no_obstacle() -> None:
    assert unsupported(request(1), Capabilities(multi_image=False, text_only=False)) is None
    assert unsupported(request(1, None), Capabilities(loglikelihood=False)) is None
    assert unsupported(request(1), Capabilities(generate=False)) is None


@pytest.mark.parametrize(
    ("answers", "word"),
    [(["a"], "left out 1 of 2"), (["a", "b", "b"], "twice"), (["a", "x"], "not asked")],
)
def test_a_backend_must_answer_each_request_once(answers, word) -> None:
    requests = [Request(name, ()) for name in ("a", "b")]

    def ask(_: Sequence[Request]) -> Iterator[Response]:
        return iter([Response(name, Answer(text=""), 0.0) for name in answers])

    with pytest.raises(ModelError, match=word):
        list(joined(ask, requests))


def test_a_backend_is_not_called_for_nothing() -> None:
    assert list(joined(lambda _: pytest.fail("called"), [])) == []


@pytest.mark.parametrize(
    ("outcome", "word"),
    [
        (Answer(text="a"), "0 log-likelihoods for 2"),
        (Answer(logprobs=(-1.0,)), "1 log-likelihoods for 2"),
        (Answer(logprobs=(-1.0, math.nan)), "not finite"),
        (Answer(logprobs=(-1.0, -math.inf)), "not finite"),
        (Answer(logprobs=(-1.0, -2.0), token_counts=(1,)), "1 token counts for 2"),
    ],
)
def test_an_answer_to_another_question_is_a_failure(outcome, word) -> None:
    found = checked(request(), outcome)
    assert isinstance(found, Failure)
    assert found.kind == "bug"
    assert word in found.message


def test_a_good_answer_and_a_failure_pass_unchanged() -> None:
    for outcome in (Answer(logprobs=(-1.0, -2.0), token_counts=(1, 2)), Failure("oom", "x")):
        assert checked(request(), outcome) is outcome
    assert checked(request(choices=None), Answer(text="")) == Answer(text="")
    assert isinstance(checked(request(choices=None), Answer(logprobs=(0.0,))), Failure)


@pytest.mark.parametrize(
    "outcome",
    [
        Answer(logprobs=(-1.0, -2.0), token_counts=(1, 2), finish="scored"),
        Answer(text="Yes", prompt_tokens=90, image_tokens=64),
        Answer(text="Yes", prompt_tokens=90),
        Answer(text="Yes", image_sizes=((448, 336), None)),
        Answer(text="", finish="length"),
        Failure("provider", "no", attempts=2),
    ],
)
def test_a_record_gives_the_outcome_back(task, outcome) -> None:
    trial = next(iter(expand(task)))
    record = make_record(task, trial, outcome, 1.0)
    assert outcome_of(Record.from_line(record.to_line())) == outcome
