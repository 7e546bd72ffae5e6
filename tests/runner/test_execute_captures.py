"""States are captured once, with the answer that they belong to."""

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
from vlm_eval.runner.execute import Executor
from vlm_eval.runner.records import RecordIndex, RecordWriter
from vlm_eval.tasks.trials import expand

from .stubs import Stub, Tally


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
