"""A model backend without a model: it always says the same."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from vlm_eval.core.errors import UsageError
from vlm_eval.core.types import Answer, Failure, Request, Response
from vlm_eval.models.base import Capabilities


def load(
    target: str,
    *,
    name: str,
    args: Mapping[str, Any],
    batch_size: int | None = None,  # noqa: ARG001 - a backend's signature
    device: str | None = None,  # noqa: ARG001
    dtype: str | None = None,  # noqa: ARG001
) -> Constant:
    """Return the model that ``plugin-model:SIDE`` names; without a side it says ``left``."""
    for option in args:
        raise UsageError(f"plugin-model has no option {option!r}", hint="it takes none")
    return Constant(name, target or "left")


class Constant:
    """Says one word, and prefers the option that is it."""

    def __init__(self, name: str, word: str) -> None:
        self._name, self._word = name, word

    @property
    def name(self) -> str:
        """What to call the model."""
        return self._name

    @property
    def capabilities(self) -> Capabilities:
        """Text and scored options; no hidden states."""
        return Capabilities()

    def describe(self) -> Mapping[str, Any]:
        """Return what goes into ``run.json``."""
        return {"backend": "plugin-model", "word": self._word}

    def generate(self, requests: Sequence[Request]) -> Iterator[Response]:
        """Answer each request with the word."""
        for request in requests:
            yield Response(request.id, Answer(text=self._word), 0.0)

    def loglikelihood(self, requests: Sequence[Request]) -> Iterator[Response]:
        """Score each request's options; a request that cannot be answered is a Failure."""
        for request in requests:
            yield Response(request.id, self._scores(request.choices or ()), 0.0)

    def _scores(self, choices: Sequence[str]) -> Answer | Failure:
        if self._word not in choices:
            return Failure("unsupported", f"{self._word!r} is none of the options")
        logprobs = tuple(-0.1 if choice == self._word else -3.0 for choice in choices)
        return Answer(logprobs=logprobs, token_counts=(1,) * len(choices), finish="scored")
