"""A model that answers at once, and a count of what was done."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from vlm_eval.core.types import Answer, Outcome, Request, Response
from vlm_eval.models.base import Capabilities
from vlm_eval.runner.progress import Silence


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
