"""The one protocol of model backends.

A backend answers requests. It may answer them in any order and in any grouping; it yields a
response for *every* request, carrying the request's id, as soon as it has it, so that the runner
can write each batch to disk before the next begins. A request that cannot be answered yields a
:class:`~vlm_eval.core.types.Failure`; only a fault of the whole backend raises ModelError.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from vlm_eval.core.capture import Captured, CaptureSpec
from vlm_eval.core.types import Request, Response


@dataclass(frozen=True)
class Capabilities:
    """What a backend can do.

    Attributes
    ----------
    generate, loglikelihood, capture
        Whether it has the operation at all.
    multi_image
        Whether a request may hold more than one image.
    text_only
        Whether a request may hold no image.
    chat
        Whether it reads the messages. A contrastive model (CLIP, SigLIP) does not: it answers
        requests for ``choices`` that have a ``match``, and no others.
    """

    generate: bool = True
    loglikelihood: bool = True
    capture: bool = False
    multi_image: bool = True
    text_only: bool = True
    chat: bool = True


class Model(Protocol):
    """A model backend."""

    @property
    def name(self) -> str:
        """What to call the model in tables and file names."""
        ...

    @property
    def capabilities(self) -> Capabilities:
        """What it can do."""
        ...

    def describe(self) -> Mapping[str, Any]:
        """Return JSON-able provenance: checkpoint, revision, dtype, processor, versions."""
        ...

    def generate(self, requests: Sequence[Request]) -> Iterator[Response]:
        """Answer requests that have a ``decoding``."""
        ...

    def loglikelihood(self, requests: Sequence[Request]) -> Iterator[Response]:
        """Score the options of requests that have ``choices``."""
        ...


class Captures(Model, Protocol):
    """A model backend that shows its hidden states: one with the capability ``capture``."""

    def capture(
        self, requests: Sequence[Request], spec: CaptureSpec
    ) -> Iterator[tuple[Response, Captured | None]]:
        """Answer requests of either kind, and return what was captured with each answer."""
        ...


@runtime_checkable
class Expects(Protocol):
    """A model backend that wants to know how much is to come."""

    def expect(self, requests: int) -> None:
        """Take note of about how many requests a run will ask, of all its processes together."""
        ...
