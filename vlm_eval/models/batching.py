"""Answering many requests: in order of size, in batches, each image prepared ahead of its turn.

A worker thread prepares requests while the model computes. Prepared rows wait in a window a few
batches long, from which the longest are taken together, so that little is padded. A batch that
fails is halved until what fails is alone: a lack of memory also halves the batches to come, and any
other fault costs only the request that causes it.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import groupby, islice
from typing import Any, Generic, Protocol, TypeVar

from accelerate.utils.memory import clear_device_cache, should_reduce_batch_size

from vlm_eval.core.errors import VlmEvalError
from vlm_eval.core.types import Answer, Failure, Request, Response, Text
from vlm_eval.models.inputs import Encoded, Row

A = TypeVar("A")
B = TypeVar("B")
R = TypeVar("R")

# Batches that wait to be sorted by length, and batches that are prepared ahead of them.
_WINDOW, _AHEAD = 3, 2

log = logging.getLogger(__name__)


class Work(Protocol[R]):
    """What is done with requests: scoring or generating."""

    def rows(self, encoded: Encoded) -> list[Row]:
        """Return the sequences that the model must see."""
        ...

    def forward(self, rows: Sequence[Row]) -> list[R]:
        """Return one result a row. Rows may belong to different requests."""
        ...

    def answer(self, encoded: Encoded, results: Sequence[R]) -> Answer:
        """Make the answer to a request out of the results of its rows."""
        ...


@dataclass(eq=False)
class _Open(Generic[R]):
    """A request some of whose rows are not computed yet."""

    encoded: Encoded
    results: dict[int, R] = field(default_factory=dict)
    rows: int = 0
    seconds: float = 0.0
    failed: bool = False


@dataclass(frozen=True, eq=False)
class _Ticket(Generic[R]):
    """A row in the window, and where its result belongs."""

    row: Row
    open: _Open[R]
    index: int


class Batcher(Generic[R]):
    """Answers requests batch by batch; one run at a time.

    Parameters
    ----------
    encode
        Prepares one request; called in a worker thread.
    work
        What to do with them.
    batch_size
        Rows a forward pass, 1 or more. It stays halved once memory has run out.
    """

    def __init__(
        self, encode: Callable[[Request], Encoded | Failure], work: Work[R], batch_size: int
    ) -> None:
        self._encode, self._work, self._size = encode, work, batch_size
        self._window: list[_Ticket[R]] = []

    def run(self, requests: Iterable[Request]) -> Iterator[Response]:
        """Yield a response for each request, batch by batch, in an order of its own."""
        self._window = []  # a run that was closed early leaves rows behind
        for _, alike in groupby(sorted(requests, key=_order), key=_kind):
            for request, encoded in ahead(self._prepare, alike, _AHEAD * self._size):
                if isinstance(encoded, Failure):
                    yield Response(request.id, encoded, 0.0)
                    continue
                self._admit(encoded)
                while len(self._window) >= _WINDOW * self._size:
                    yield from self._step()
            while self._window:
                yield from self._step()

    def _prepare(self, request: Request) -> tuple[Request, Encoded | Failure]:
        return request, self._encode(request)

    def _admit(self, encoded: Encoded) -> None:
        opened: _Open[R] = _Open(encoded)
        rows = self._work.rows(encoded)
        opened.rows = len(rows)
        self._window += [_Ticket(row, opened, index) for index, row in enumerate(rows)]

    def _step(self) -> Iterator[Response]:
        """Compute the longest rows of the window."""
        self._window.sort(key=lambda ticket: len(ticket.row.tokens), reverse=True)
        batch, self._window = self._window[: self._size], self._window[self._size :]
        yield from self._compute(batch)

    def _compute(self, batch: list[_Ticket[R]]) -> Iterator[Response]:
        batch = [ticket for ticket in batch if not ticket.open.failed]
        if not batch:
            return
        began = time.perf_counter()
        results = self._attempt([ticket.row for ticket in batch])
        share = (time.perf_counter() - began) / len(batch)
        for ticket in batch:
            ticket.open.seconds += share
        if not isinstance(results, Failure):
            for ticket, result in zip(batch, results, strict=True):
                yield from self._record(ticket, result)
        elif len(batch) == 1:
            yield self._refuse(batch[0].open, results)
        else:
            half = (len(batch) + 1) // 2
            if results.kind == "oom":
                self._size = min(self._size, half)
                log.warning("out of memory at %d rows; going on with %d", len(batch), half)
            yield from self._compute(batch[:half])
            yield from self._compute(batch[half:])

    def _attempt(self, rows: list[Row]) -> list[R] | Failure:
        try:
            return self._work.forward(rows)
        except VlmEvalError:
            raise
        except Exception as error:  # noqa: BLE001  (recorded as the failure of one request)
            message = f"{type(error).__name__}: {' '.join(str(error).split())[:500]}"
            short = isinstance(error, MemoryError) or should_reduce_batch_size(error)
        # Outside the handler, whose traceback holds on to the tensors of the failed pass.
        if short:
            clear_device_cache(garbage_collection=True)
        return Failure("oom" if short else "bug", message)

    def _record(self, ticket: _Ticket[R], result: R) -> Iterator[Response]:
        opened = ticket.open
        opened.results[ticket.index] = result
        if len(opened.results) == opened.rows:
            results = [opened.results[index] for index in range(opened.rows)]
            answer = self._work.answer(opened.encoded, results)
            yield Response(opened.encoded.request.id, answer, opened.seconds)

    def _refuse(self, opened: _Open[R], failure: Failure) -> Response:
        opened.failed = True
        self._window = [ticket for ticket in self._window if ticket.open is not opened]
        return Response(opened.encoded.request.id, failure, opened.seconds)


def _kind(request: Request) -> tuple[int, str]:
    """Return what the requests of one batch have in common."""
    return len(request.images), repr(request.decoding)


def _order(request: Request) -> tuple[Any, ...]:
    """Return a sort key that brings the same images together, and then similar lengths."""
    texts = (len(p.text) for m in request.messages for p in m.parts if isinstance(p, Text))
    return *_kind(request), [image.key for image in request.images], -sum(texts), request.id


def ahead(function: Callable[[A], B], items: Iterable[A], depth: int) -> Iterator[B]:
    """Yield ``function(item)`` in order, up to ``depth`` items ahead, from one worker thread."""
    rest = iter(items)
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="prepare") as pool:
        pending = deque(pool.submit(function, item) for item in islice(rest, depth))
        try:
            while pending:
                result = pending.popleft().result()
                pending.extend(pool.submit(function, item) for item in islice(rest, 1))
                yield result
        finally:
            for future in pending:
                future.cancel()
