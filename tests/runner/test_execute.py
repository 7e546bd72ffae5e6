"""Asking and recording: joined by id, failures kept apart, nothing asked twice."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
import pytest

from vlm_eval.core.capture import Captured, CaptureSpec
from vlm_eval.core.errors import ModelError
from vlm_eval.core.types import Answer, Failure, Outcome, Request, Response
from vlm_eval.models.base import Capabilities
from vlm_eval.runner.captures import CaptureIndex
from vlm_eval.runner.capturing import CaptureWriter, Wish
from vlm_eval.runner.execute import (
    Executor,
    checked,
    joined,
    make_record,
    outcome_of,
    unsupported,
)
from vlm_eval.runner.progress import Silence
from vlm_eval.runner.records import Record, RecordIndex, RecordWriter
from vlm_eval.tasks.index import TaskIndex
from vlm_eval.tasks.trials import expand


class Stub:
    """Answers with the first option, in reverse order, and counts what it is asked."""

    name = "stub"

    def __init__(self, capabilities: Capabilities | None = None) -> None:
        self.capabilities = capabilities or Capabilities()
        self.asked: list[str] = []

    def describe(self) -> dict[str, object]:
        return {}

    def outcome(self, request: Request) -> Outcome:
        if request.choices is None:
            return Answer(text="Yes")
        scores = tuple(-float(i + 1) for i in range(len(request.choices)))
        return Answer(logprobs=scores, token_counts=(1,) * len(scores), finish="scored")

    def loglikelihood(self, requests: Sequence[Request]) -> Iterator[Response]:
        for request in reversed(requests):
            self.asked.append(request.id)
            yield Response(request.id, self.outcome(request), 0.5)

    generate = loglikelihood


class Tally(Silence):
    def __init__(self) -> None:
        self.done, self.failed = 0, 0

    def advance(self, *, failed: bool) -> None:
        self.done += 1
        self.failed += failed


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
        Answer(text="", finish="length"),
        Failure("provider", "no", attempts=2),
    ],
)
def test_a_record_gives_the_outcome_back(task, outcome) -> None:
    trial = next(iter(expand(task)))
    record = make_record(task, trial, outcome, 1.0)
    assert outcome_of(Record.from_line(record.to_line())) == outcome


class Showing(Stub):
    """Shows states: of each request the number of its position among those captured."""

    def __init__(self, capabilities: Capabilities | None = None) -> None:
        super().__init__(capabilities or Capabilities(capture=True))
        self.captured: list[str] = []

    def capture(
        self, requests: Sequence[Request], spec: CaptureSpec
    ) -> Iterator[tuple[Response, Captured | None]]:
        for response in self.loglikelihood(requests):
            self.captured.append(response.request_id)
            arrays = {site: np.full((1, 2), len(self.captured), np.float32) for site in spec.sites}
            captured = Captured(response.request_id, ("norm",), arrays, {})
            answered = isinstance(response.outcome, Answer)
            yield response, captured if answered else None


@pytest.fixture
def capture_run(load_toy, tmp_path):
    """Return what runs the toy task, of which the direct questions are captured."""
    task = load_toy(("metrics:\n", "capture: {when: \"ask == 'direct'\"}\nmetrics:\n"))
    trials = list(expand(task))

    def run(model, *, elsewhere=(), flush=True, retry=False, shared=()):
        tally = Tally()
        shards = CaptureWriter(tmp_path / "captures" / "rank-000")
        with RecordWriter(tmp_path / "records" / "rank-000.jsonl") as writer:
            executor = Executor(
                model, RecordIndex(tmp_path / "records"), writer, tally,
                captures=CaptureIndex(tmp_path / "captures"), shards=shards, retry_failures=retry,
            )  # fmt: skip
            if not flush:  # the process is killed before
                shards.flush = lambda: None
            executor.run(task, trials, elsewhere, Wish(task, 0, None, shared))
        index = CaptureIndex(tmp_path / "captures")
        return list(RecordIndex(tmp_path / "records")), index, tally

    run.direct = {t.request.id for t in trials if t.condition["ask"] == "direct"}
    run.trials = trials
    return run


def test_what_is_to_be_captured_is_captured_with_its_answer(capture_run) -> None:
    model = Showing()
    records, index, tally = capture_run(model)
    assert set(model.captured) == set(index) == capture_run.direct
    assert len(model.asked) == len(set(model.asked)) == len({r.request_hash for r in records})
    assert tally.done == len(records) == len(capture_run.trials)
    for record in records:
        found = index.load(record.request_hash)
        assert (found is not None) == (record.condition["ask"] == "direct")
        if found is not None:
            number = 1 + model.captured.index(record.request_hash)
            assert found.arrays["prompt_last"].tolist() == [[number, number]]
    again = Showing()
    capture_run(again)
    assert again.asked == []


def test_a_trial_whose_states_were_lost_is_asked_again(capture_run, tmp_path) -> None:
    class Other(Showing):
        def outcome(self, request: Request) -> Outcome:
            if request.choices is None:
                return Answer(text="No")
            return (
                Failure("oom", "out of memory")
                if request.id == unlucky
                else Answer(logprobs=(-2.0, -1.0), token_counts=(1, 1), finish="scored")
            )

    unlucky = min(capture_run.direct)
    records, index, _ = capture_run(Showing(), flush=False)
    assert len(index) == 0
    model = Other()
    again, index, tally = capture_run(model)
    assert set(model.asked) == set(model.captured) == capture_run.direct
    assert set(index) == capture_run.direct - {unlucky}
    assert again == records
    assert tally.done == 0, "they are recorded already"
    lines = (tmp_path / "records" / "rank-000.jsonl").read_bytes().count(b"\n")
    assert lines == len(records), "the answers stay what they were"


def test_states_whose_record_was_lost_are_not_captured_twice(capture_run, tmp_path) -> None:
    _, before, _ = capture_run(Showing())
    (tmp_path / "records" / "rank-000.jsonl").write_bytes(b"")
    model = Showing()
    records, index, _ = capture_run(model)
    assert model.captured == []
    assert set(model.asked) == {r.request_hash for r in records}
    assert (len(index), index.shards) == (len(before), before.shards)


def test_failures_have_no_states_and_are_not_asked_for_them(capture_run) -> None:
    class Failing(Showing):
        def outcome(self, _: Request) -> Outcome:
            return Failure("oom", "out of memory")

    records, index, _ = capture_run(Failing())
    assert {r.outcome for r in records} == {"failure"}
    assert len(index) == 0
    model = Showing()
    capture_run(model)
    assert model.asked == []
    _, index, _ = capture_run(model, retry=True)
    assert set(model.captured) == set(index) == capture_run.direct


def test_an_answer_that_is_none_has_no_states(capture_run) -> None:
    class Wrong(Showing):
        def outcome(self, _: Request) -> Outcome:
            return Answer(logprobs=(-math.inf, 0.0), finish="scored")

    records, index, _ = capture_run(Wrong())
    assert {r.failure["kind"] for r in records if r.failure} == {"bug"}
    assert len(index) == 0


def test_an_answer_without_states_is_not_asked_again(capture_run) -> None:
    class Blind(Showing):
        def capture(self, requests, _):
            return ((response, None) for response in self.loglikelihood(requests))

    _, index, _ = capture_run(Blind())
    assert set(index) == capture_run.direct
    found = index.load(next(iter(index)))
    assert found is not None
    assert found.missing == {"prompt_last": "the model gave no states"}
    model = Showing()
    capture_run(model)
    assert model.asked == []


def test_a_model_that_shows_no_states_is_asked_as_ever(capture_run) -> None:
    model = Showing(Capabilities())
    records, index, _ = capture_run(model)
    assert model.captured == []
    assert len(index) == 0
    assert {r.outcome for r in records} == {"answer"}


def test_what_another_unit_asks_is_captured_there(capture_run) -> None:
    elsewhere = frozenset(sorted(capture_run.direct)[:2])
    model = Showing()
    records, index, _ = capture_run(model, elsewhere=elsewhere)
    assert set(index) == capture_run.direct - elsewhere
    assert not elsewhere & {r.request_hash for r in records}
    lines = len(records)
    records, index, tally = capture_run(Showing())
    assert set(index) == capture_run.direct
    # when it is recorded there but its states are not, it is still not asked here
    assert tally.done == len(records) - lines


def test_what_another_unit_wants_captured_is_captured_here(capture_run) -> None:
    others = {t.request.id for t in capture_run.trials} - capture_run.direct
    _, index, _ = capture_run(Showing(), shared=frozenset(sorted(others)[:1]))
    assert set(index) == capture_run.direct | set(sorted(others)[:1])


def test_a_backend_that_captures_for_another_request_is_refused(capture_run) -> None:
    class Confused(Showing):
        def capture(self, requests, spec):
            for response, captured in super().capture(requests, spec):
                yield Response("another", response.outcome, 0.0), captured

    with pytest.raises(ModelError, match="was not asked"):
        capture_run(Confused())
