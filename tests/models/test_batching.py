from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from vlm_eval.core.errors import ModelError
from vlm_eval.core.types import Answer, Decoding, Failure, Request
from vlm_eval.models.batching import Batcher, ahead, in_order
from vlm_eval.models.images import prepared
from vlm_eval.models.inputs import Encoded, Row, Tokens
from vlm_eval.models.jobs import Job, alone

from .questions import ask, picture


def encode(request: Request) -> Encoded | Failure:
    """A request's length is that of its text; a text of 'bad' cannot be encoded."""
    text = request.messages[-1].parts[-1].text  # type: ignore[union-attr]
    if text == "bad":
        return Failure("image", "broken")
    tokens = Tokens(torch.zeros(len(text), dtype=torch.int64), {})
    return Encoded(request, prepared({}, [image.key for image in request.images]), tokens)


class Work:
    """Answers with the row's length; has memory for some rows, and trips over some requests."""

    def __init__(self, memory: int = 99, rows: int = 1, trips: Sequence[str] = ()) -> None:
        self.memory, self.copies, self.trips = memory, rows, trips
        self.batches: list[list[str]] = []
        self.lengths: list[list[int]] = []

    def jobs(self, alike: Sequence[Encoded]) -> list[Job]:
        return alone([Row(each, each.prompt) for each in alike for _ in range(self.copies)])

    def forward(self, jobs: Sequence[Job]) -> list[list[int]]:
        rows = [row for job in jobs for row in job.rows]
        if len(rows) > self.memory:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")
        names = [row.encoded.request.id for row in rows]
        if any(name in self.trips for name in names):
            raise IndexError("index 7 is out of range")
        self.batches.append(names)
        self.lengths.append([len(row.tokens) for row in rows])
        return [[len(row.tokens) for row in job.rows] for job in jobs]

    def answer(self, encoded: Encoded, results: Sequence[int]) -> Answer:  # noqa: ARG002
        return Answer(text=",".join(map(str, results)))


def each(
    encode: Callable[[Request], Encoded | Failure],
) -> Callable[[Sequence[Request]], list[Encoded | Failure]]:
    return lambda alike: [encode(request) for request in alike]


def run(work: Work, requests: Sequence[Request], batch_size: int) -> dict[str, Any]:
    responses = list(Batcher(each(encode), work, batch_size).run(requests))
    assert len(responses) == len(requests)
    return {response.request_id: response.outcome for response in responses}


def texts(count: int) -> list[Request]:
    return [ask(f"r{i}", "x" * (1 + i * 7 % 13)) for i in range(count)]


@pytest.mark.parametrize("batch_size", [1, 3, 8, 50])
@pytest.mark.parametrize("copies", [1, 4])
def test_every_request_is_answered(batch_size: int, copies: int) -> None:
    requests = texts(20)
    work = Work(rows=copies)
    outcomes = run(work, requests, batch_size)
    for request in requests:
        length = len(request.messages[0].parts[0].text)  # type: ignore[union-attr]
        assert outcomes[request.id] == Answer(text=",".join([str(length)] * copies))
    assert max(len(batch) for batch in work.batches) <= batch_size
    assert sum(len(batch) for batch in work.batches) == 20 * copies


def test_no_requests() -> None:
    assert run(Work(), [], 4) == {}


def test_requests_of_one_id_are_all_answered() -> None:
    responses = list(Batcher(each(encode), Work(), 4).run([ask("same", "x"), ask("same", "x")]))
    assert [response.request_id for response in responses] == ["same", "same"]


def test_similar_lengths_go_together_longest_first() -> None:
    work = Work()
    run(work, texts(12), 4)
    lengths = [length for batch in work.lengths for length in batch]
    assert lengths == sorted(lengths, reverse=True)


def test_a_batch_has_one_number_of_images_and_one_decoding() -> None:
    one = picture(1)
    mixed = [ask(f"t{i}", "x") for i in range(3)] + [ask(f"i{i}", one, "x") for i in range(3)]
    mixed += [Request(f"d{i}", ask("", "x").messages, decoding=Decoding(5)) for i in range(3)]
    work = Work()
    run(work, mixed, 8)
    assert sorted("".join(sorted(name[0] for name in batch)) for batch in work.batches) == [
        "ddd",
        "iii",
        "ttt",
    ]


def test_lack_of_memory_halves_the_batches(caplog: pytest.LogCaptureFixture) -> None:
    work = Work(memory=2)
    with caplog.at_level(logging.WARNING):
        outcomes = run(work, texts(16), 8)
    assert all(isinstance(outcome, Answer) for outcome in outcomes.values())
    assert sorted(name for batch in work.batches for name in batch) == sorted(outcomes)
    assert [record.message for record in caplog.records] == [
        "out of memory at 8 jobs; going on with 4",
        "out of memory at 4 jobs; going on with 2",
        "out of memory at 4 jobs; going on with 2",
    ]


def test_the_batches_stay_halved() -> None:
    work = Work(memory=2)
    batcher = Batcher(each(encode), work, 8)
    assert len(list(batcher.run(texts(8)))) == 8
    work.batches.clear()
    assert len(list(batcher.run(texts(8)))) == 8
    assert [len(batch) for batch in work.batches] == [2, 2, 2, 2]


def test_a_job_that_is_too_large_is_cut_between_its_rows() -> None:
    class Sharing(Work):
        def jobs(self, alike: Sequence[Encoded]) -> list[Job]:
            return [Job(tuple(Row(each, each.prompt) for each in alike), 1)]

    work = Sharing(memory=2)
    outcomes = run(work, [ask(f"r{i}", "x" * 5) for i in range(7)], 4)
    assert set(outcomes.values()) == {Answer(text="5")}
    assert max(map(len, work.batches)) == 2


def test_a_batch_has_a_budget_of_tokens() -> None:
    work = Work()
    list(Batcher(each(encode), work, 8, 24).run(texts(20)))
    for lengths in work.lengths:
        assert len(lengths) == 1 or len(lengths) * max(lengths) <= 24
    assert max(map(len, work.lengths)) > 1


def test_what_waits_is_a_few_batches_of_jobs_or_of_tokens() -> None:
    """Each job that waits holds its prepared images: of a large image, 50 MB."""
    for length, waits in ((1, 24), (8, 9), (40, 3)):
        taken: list[str] = []

        def taking(request: Request, taken: list[str] = taken) -> Encoded | Failure:
            taken.append(request.id)
            return encode(request)

        requests = [ask(f"r{i}", picture(i), "x" * length) for i in range(60)]
        next(iter(Batcher(each(taking), Work(), 8, 24).run(requests)))
        ahead_of_them = 2 * 8 + 2  # prepared, of which one is in the worker's hands
        assert waits <= len(taken) <= waits + ahead_of_them


def test_images_come_in_the_order_in_which_they_are_asked_about() -> None:
    """The versions of a sample, which the runner puts together, stay together."""
    requests = [ask(f"q{i}", picture(seed), "x") for i, seed in enumerate((5, 1, 5, 3, 1))]
    assert [request.id for request in in_order(requests)] == ["q0", "q2", "q1", "q4", "q3"]


def test_within_an_image_long_texts_come_first() -> None:
    requests = [ask(f"q{n}", picture(1), "x" * n) for n in (2, 9, 5)]
    assert [request.id for request in in_order(requests)] == ["q9", "q5", "q2"]


def test_lack_of_memory_for_one_row_is_its_failure() -> None:
    outcomes = run(Work(memory=0, rows=3), texts(3), 4)
    for outcome in outcomes.values():
        assert isinstance(outcome, Failure)
        assert outcome.kind == "oom"
        assert "out of memory" in outcome.message


def test_a_fault_costs_only_its_request() -> None:
    work = Work(rows=2, trips=["r5"])
    outcomes = run(work, texts(16), 8)
    failed = {key: value for key, value in outcomes.items() if isinstance(value, Failure)}
    assert failed == {"r5": Failure("bug", "IndexError: index 7 is out of range")}
    assert max(len(batch) for batch in work.batches) == 8  # the batch size stays


def test_a_request_that_cannot_be_encoded() -> None:
    outcomes = run(Work(), [ask("a", "bad"), ask("b", "xx")], 4)
    assert outcomes == {"a": Failure("image", "broken"), "b": Answer(text="2")}


def test_a_fault_of_the_whole_backend_is_raised() -> None:
    class Refusing(Work):
        def forward(self, jobs: Sequence[Job]) -> list[list[int]]:  # noqa: ARG002
            raise ModelError("not causal")

    with pytest.raises(ModelError, match="not causal"):
        run(Refusing(), texts(3), 2)


def test_answers_come_before_the_next_batch() -> None:
    """A run that is killed keeps what it had: nothing waits for the end."""
    work = Work()
    responses = Batcher(each(encode), work, 2).run(texts(40))
    next(responses)
    assert len(work.batches) == 1
    responses.close()


def test_ahead_keeps_the_order_and_its_distance() -> None:
    started: list[int] = []
    threads = set()

    def work(item: int) -> int:
        started.append(item)
        threads.add(threading.current_thread().name)
        return item * 2

    results = ahead(work, iter(range(100)), 4)
    assert next(results) == 0
    assert len(started) <= 6
    assert list(results) == [2 * item for item in range(1, 100)]
    assert len(threads) == 1
    assert threading.current_thread().name not in threads


def test_ahead_computes_in_several_threads_and_keeps_the_order() -> None:
    both = threading.Barrier(2, timeout=60)  # passed only by two at a time

    def work(item: int) -> int:
        both.wait()
        return item * 2

    assert list(ahead(work, range(10), 1, threads=2)) == [2 * item for item in range(10)]


@given(st.lists(st.integers(1, 5), max_size=30), st.integers(1, 12), st.integers(1, 3))
def test_ahead_is_as_far_as_items_weigh(weights, depth, threads) -> None:
    taken: list[int] = []

    def items() -> Iterator[int]:
        for weight in weights:
            taken.append(weight)
            yield weight

    results = ahead(lambda item: item, items(), depth, weight=lambda item: item, threads=threads)
    for number, item in enumerate(results, 1):
        assert item == weights[number - 1]
        waiting = taken[number:]
        assert len(waiting) >= min(threads, len(weights) - number)
        assert sum(waiting) >= min(depth, sum(weights[number:]))
        assert len(waiting) <= threads or sum(waiting[:-1]) < depth


def test_requests_about_one_image_are_prepared_together_and_texts_one_by_one() -> None:
    prepared: list[list[str]] = []

    def noting(alike: Sequence[Request]) -> list[Encoded | Failure]:
        prepared.append([request.id for request in alike])
        return each(encode)(alike)

    requests = [ask(f"i{i}", picture(i % 2), "x") for i in range(6)] + texts(3)
    assert len(list(Batcher(noting, Work(), 4, threads=2).run(requests))) == 9
    assert sorted(map(sorted, prepared)) == [
        ["i0", "i2", "i4"], ["i1", "i3", "i5"], ["r0"], ["r1"], ["r2"],
    ]  # fmt: skip


def test_ahead_stops_when_it_is_closed() -> None:
    started: list[int] = []
    results = ahead(lambda item: started.append(item), iter(range(1000)), 4)
    next(results)
    results.close()
    assert len(started) <= 6


def test_seconds_add_up_to_the_time_of_the_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(0, 1000, 6))
    monkeypatch.setattr(
        "vlm_eval.models.batching.time", SimpleNamespace(perf_counter=lambda: next(clock))
    )
    responses = list(Batcher(each(encode), Work(rows=2), 3).run(texts(3)))
    assert [response.seconds for response in responses] == [4.0, 4.0, 4.0]
