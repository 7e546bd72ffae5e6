"""A model without weights, for tests of tasks, runners and reports.

Its answers depend on the seed and on the request's id alone, so they are the same in any order and
in any batch. ``mock`` answers at random; options go after the colon or into ``--model_args``:
``mock:constant=Yes``, ``mock:seed=3,fail=0.1``, ``mock:first``, ``mock:echo``,
``mock:delay=0.01``.
"""

from __future__ import annotations

import dataclasses
import math
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from random import Random
from typing import Annotated, Any

from pydantic import Field

from vlm_eval.core.hashing import derive_seed
from vlm_eval.core.options import configurable
from vlm_eval.core.types import Answer, Failure, Outcome, Request, Response, Text
from vlm_eval.models.args import make_options, parse_args
from vlm_eval.models.base import Capabilities


@configurable
class MockOptions:
    """How the mock answers.

    Attributes
    ----------
    seed
        Whose random answers to give.
    constant
        Generate this text, and prefer the option that equals it.
    first
        Prefer the first option, whatever it says.
    echo
        Generate the text of the last turn.
    fail
        Share of requests, 0 to 1, that fail.
    delay
        Seconds that a request takes on average: some next to none, some several times as long.
    """

    seed: int = 0
    constant: str | None = None
    first: bool = False
    echo: bool = False
    fail: Annotated[float, Field(ge=0, le=1)] = 0.0
    delay: Annotated[float, Field(ge=0)] = 0.0


def load(
    target: str,
    *,
    name: str,
    args: Mapping[str, Any],
    batch_size: int | None = None,  # noqa: ARG001  (a backend's signature)
    device: str | None = None,  # noqa: ARG001
    dtype: str | None = None,  # noqa: ARG001
) -> Mock:
    """Return the mock model; its options stand in the target, in ``args``, or in both."""
    options = make_options(MockOptions, {**parse_args(target), **args}, what="the mock model")
    return Mock(options, name=name)


class Mock:
    """The mock backend. Images are neither loaded nor looked at."""

    def __init__(self, options: MockOptions | None = None, *, name: str = "mock") -> None:
        self._options = options or MockOptions()
        self._name = name

    @property
    def name(self) -> str:
        """What to call the model."""
        return self._name

    @property
    def capabilities(self) -> Capabilities:
        """Everything but hidden states."""
        return Capabilities()

    def describe(self) -> Mapping[str, Any]:
        """Return the options that decide the answers; a mock has no more provenance."""
        options = dataclasses.asdict(self._options)
        del options["delay"]
        return {"backend": "mock", "options": options}

    def generate(self, requests: Sequence[Request]) -> Iterator[Response]:
        """Answer each request with a text."""
        for request in requests:
            yield Response(request.id, self._failure(request) or self._text(request), 0.0)

    def loglikelihood(self, requests: Sequence[Request]) -> Iterator[Response]:
        """Score each request's options; their probabilities sum to one."""
        for request in requests:
            yield Response(request.id, self._failure(request) or self._scores(request), 0.0)

    def _failure(self, request: Request) -> Outcome | None:
        if self._options.delay:
            time.sleep(_random(0, request, "delay").expovariate(1 / self._options.delay))
        if not self._options.fail:
            return None
        failed = _random(self._options.seed, request, "fail").random() < self._options.fail
        return Failure("provider", "the mock was told to fail") if failed else None

    def _text(self, request: Request) -> Answer:
        turn = " ".join(part.text for part in request.messages[-1].parts if isinstance(part, Text))
        if self._options.echo:
            return Answer(text=turn)
        if self._options.constant is not None:
            return Answer(text=self._options.constant)
        words = re.findall(r"\w+", turn) or [""]
        return Answer(text=_random(self._options.seed, request, "text").choice(words))

    def _scores(self, request: Request) -> Answer:
        choices = request.choices or ()
        random = _random(self._options.seed, request, "scores")
        scores = [random.gauss() for _ in choices]
        best = 0 if self._options.first else None
        if self._options.constant in choices:
            best = choices.index(self._options.constant)
        if best is not None:
            scores[best] = max(scores) + 1.0
        total = math.log(math.fsum(map(math.exp, scores)))
        return Answer(
            logprobs=tuple(score - total for score in scores),
            token_counts=tuple(len(choice.split()) or 1 for choice in choices),
            finish="scored",
        )


def _random(seed: int, request: Request, purpose: str) -> Random:
    """Return a generator for one request. NumPy's takes five times as long to make."""
    return Random(derive_seed(seed, request.id, purpose))
