"""Answering many requests: in order of size, in batches, each image prepared ahead of its turn.

Worker threads prepare requests while the model computes. Requests about the same images are
planned together and become jobs, those of the same content as one; jobs wait in a window a few
batches long, from which the largest are taken together. A batch that fails is halved until what
fails is alone: a lack of memory also halves the batches to come, and any other fault costs only the
request that causes it.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import chain, groupby
from typing import Any, Generic, Protocol, TypeVar

from vlm_eval.core.errors import VlmEvalError
from vlm_eval.core.types import Answer, Failure, Request, Response, Text
from vlm_eval.models.inputs import Encoded, Row
from vlm_eval.models.jobs import Job
from vlm_eval.models.memory import lacks_memory, recover

A = TypeVar("A")
B = TypeVar("B")
R = TypeVar("R")

# Batches that wait to be sorted by size, and batches that are prepared ahead of them.
_WINDOW, _AHEAD = 3, 2

log = logging.getLogger(__name__)


class Work(Protocol[R]):
    """What is done with requests: scoring or generating."""

    def jobs(self, alike: Sequence[Encoded]) -> list[Job]:
        """Return what the model must compute for requests that show the same images."""
        ...

    def forward(self, jobs: Sequence[Job]) -> list[list[R]]:
        """Return one result a row for each job. The jobs have prefixes of one length."""
        ...

    def answer(self, encoded: Encoded, results: Sequence[R]) -> Answer:
        """Make the answer to a request out of the results of its rows, in any order."""
        ...


@dataclass(eq=False)
class _Open(Generic[R]):
    """A request some of whose rows are not computed yet."""

    encoded: Encoded
    results: list[R] = field(default_factory=list)
    rows: int = 0
    seconds: float = 0.0
    failed: bool = False

    def responses(self, outcome: Answer | Failure) -> Iterator[Response]:
        """Yield a response to each request that is answered by it."""
        for name in self.encoded.ids:
            yield Response(name, outcome, self.seconds / len(self.encoded.ids))


class Batcher(Generic[R]):
    """Answers requests batch by batch; one run at a time.

    Parameters
    ----------
    encode
        Prepares requests that name the same images; called in worker threads.
    work
        What to do with them.
    batch_size
        Jobs a forward pass, 1 or more. It stays halved once memory has run out.
    batch_tokens
        Tokens a forward pass, padding included; a larger job is computed by itself.
    merge
        Whether requests of the same content are computed once.
    threads
        In how many threads requests are prepared.
    """

    def __init__(
        self,
        encode: Callable[[Sequence[Request]], Sequence[Encoded | Failure]],
        work: Work[R],
        batch_size: int,
        batch_tokens: int = 2**30,
        *,
        merge: bool = False,
        threads: int = 1,
    ) -> None:
        self._threads = threads
        self._encode, self._work, self._size, self._merge = encode, work, batch_size, merge
        self._tokens = batch_tokens
        self._window: list[Job] = []
        self._open: dict[int, _Open[R]] = {}

    def run(self, requests: Iterable[Request]) -> Iterator[Response]:
        """Yield a response for each request, batch by batch, in an order of its own."""
        self._window, self._open = [], {}  # a run that was closed early leaves jobs behind
        for _, batchable in groupby(in_order(requests), key=_kind):
            groups = (list(alike) for _, alike in groupby(batchable, key=_together))
            depth = _AHEAD * self._size
            prepared = ahead(self._prepare, groups, depth, weight=len, threads=self._threads)
            pairs = chain.from_iterable(prepared)
            for _, alike in groupby(pairs, key=lambda pair: _shown(*pair)):
                yield from self._admit(list(alike))
                while self._full():
                    yield from self._step()
            while self._window:
                yield from self._step()

    def _prepare(self, alike: list[Request]) -> list[tuple[Request, Encoded | Failure]]:
        return list(zip(alike, self._encode(alike), strict=True))

    def _admit(self, alike: list[tuple[Request, Encoded | Failure]]) -> Iterator[Response]:
        ready = []
        for request, encoded in alike:
            if isinstance(encoded, Failure):
                yield Response(request.id, encoded, 0.0)
            else:
                ready.append(encoded)
        ready = _merged(ready) if self._merge else ready
        for encoded in ready:
            self._open[id(encoded)] = _Open(encoded)
        jobs = self._work.jobs(ready) if ready else []
        for job in jobs:
            for row in job.rows:
                self._open[id(row.encoded)].rows += 1
        self._window += jobs

    def _full(self) -> bool:
        """Whether a few batches wait. Large images fill one with few jobs, and memory with many."""
        tokens = sum(job.tokens for job in self._window)
        return len(self._window) >= _WINDOW * self._size or tokens >= _WINDOW * self._tokens

    def _step(self) -> Iterator[Response]:
        """Compute the largest jobs of the window that go together."""
        self._window.sort(key=lambda job: job.tokens, reverse=True)
        first = self._window[0]
        batch, rest = [first], []
        for job in self._window[1:]:
            fits = (len(batch) + 1) * first.tokens <= self._tokens
            if job.prefix == first.prefix and len(batch) < self._size and fits:
                batch.append(job)
            else:
                rest.append(job)
        self._window = rest
        yield from self._compute(batch)

    def _compute(self, batch: list[Job]) -> Iterator[Response]:
        batch = [job for job in batch if not all(self._of(row).failed for row in job.rows)]
        if not batch:
            return
        began = time.perf_counter()
        results = self._attempt(batch)
        share = (time.perf_counter() - began) / sum(len(job.rows) for job in batch)
        for job in batch:
            for row in job.rows:
                self._of(row).seconds += share
        if not isinstance(results, Failure):
            for job, found in zip(batch, results, strict=True):
                for row, result in zip(job.rows, found, strict=True):
                    yield from self._record(self._of(row), result)
            return
        halves = self._halves(batch, results)
        if halves is None:
            opened = self._of(batch[0].rows[0])
            if not opened.failed:
                opened.failed = True
                yield from opened.responses(results)
            return
        for half in halves:
            yield from self._compute(half)

    def _halves(self, batch: list[Job], failure: Failure) -> tuple[list[Job], list[Job]] | None:
        """Return a batch in two, None if it is a single row."""
        if len(batch) == 1:
            if len(batch[0].rows) == 1:
                return None
            one, other = batch[0].halves()
            return [one], [other]
        half = (len(batch) + 1) // 2
        if failure.kind == "oom":
            self._size = min(self._size, half)
            log.warning("out of memory at %d jobs; going on with %d", len(batch), half)
        return batch[:half], batch[half:]

    def _of(self, row: Row) -> _Open[R]:
        return self._open[id(row.encoded)]

    def _attempt(self, jobs: list[Job]) -> list[list[R]] | Failure:
        try:
            return self._work.forward(jobs)
        except VlmEvalError:
            raise
        except Exception as error:  # noqa: BLE001  (recorded as the failure of one request)
            message = f"{type(error).__name__}: {' '.join(str(error).split())[:500]}"
            short = lacks_memory(error)
        # Outside the handler, whose traceback holds on to the tensors of the failed pass.
        recover(memory=short)
        return Failure("oom" if short else "bug", message)

    def _record(self, opened: _Open[R], result: R) -> Iterator[Response]:
        opened.results.append(result)
        if len(opened.results) == opened.rows and not opened.failed:
            answer = self._work.answer(opened.encoded, opened.results)
            del self._open[id(opened.encoded)]
            yield from opened.responses(answer)


def _kind(request: Request) -> tuple[int, str]:
    """Return what the requests of one batch have in common."""
    return len(request.images), repr(request.decoding)


def _images(request: Request) -> tuple[str, ...]:
    return tuple(image.key for image in request.images)


def _together(request: Request) -> Hashable:
    """Return what requests have in common that are prepared together: their images, if any."""
    return _images(request) or request.id


def _shown(request: Request, encoded: Encoded | Failure) -> tuple[str, ...]:
    """Return the pixels that a request shows; its images' names, if they cannot be read."""
    return _images(request) if isinstance(encoded, Failure) else encoded.images.keys


def _merged(alike: Sequence[Encoded]) -> list[Encoded]:
    """Return one of each content, with the ids of the others."""
    found: dict[Hashable, list[Encoded]] = {}
    for encoded in alike:
        found.setdefault(encoded.content, []).append(encoded)
    return [
        replace(first, also=tuple(other.request.id for other in others)) if others else first
        for first, *others in found.values()
    ]


def in_order(requests: Iterable[Request]) -> list[Request]:
    """Return requests in the order of work: of one kind, then about the same images, together.

    Images come in the order in which they are first asked about, so that the versions of a sample
    stay neighbours and are computed alike. Within images, long texts come first.
    """
    given = list(requests)
    first: dict[tuple[str, ...], int] = {}
    for request in given:
        first.setdefault(_images(request), len(first))

    def key(request: Request) -> tuple[Any, ...]:
        texts = (len(p.text) for m in request.messages for p in m.parts if isinstance(p, Text))
        return *_kind(request), first[_images(request)], -sum(texts), request.id

    return sorted(given, key=key)


def ahead(
    function: Callable[[A], B],
    items: Iterable[A],
    depth: int,
    *,
    weight: Callable[[A], int] = lambda _: 1,
    threads: int = 1,
) -> Iterator[B]:
    """Yield ``function(item)`` in order, computed ahead in worker threads.

    Parameters
    ----------
    function, items
        What is computed, and of what; items are taken one by one.
    depth
        How much the items weigh together that are ahead, or one a thread if that is more.
    weight
        What an item weighs.
    threads
        How many items are computed at a time.
    """
    rest = iter(items)
    pending: deque[tuple[Future[B], int]] = deque()
    with ThreadPoolExecutor(max_workers=threads, thread_name_prefix="prepare") as pool:

        def fill() -> None:
            while len(pending) < threads or sum(weighs for _, weighs in pending) < depth:
                try:
                    item = next(rest)
                except StopIteration:
                    return
                pending.append((pool.submit(function, item), weight(item)))

        try:
            fill()
            while pending:
                result = pending.popleft()[0].result()
                fill()
                yield result
        finally:
            for future, _ in pending:
                future.cancel()
