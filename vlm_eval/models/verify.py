"""Asking again, one at a time: how far the shared results are from the naive ones.

What was asked about some images, drawn at random, is asked a second time by the naive engine. The
differences and flips go into the run's provenance.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypeAlias

from vlm_eval.core.hashing import derive_rng
from vlm_eval.core.types import Answer, ImageRef, Request, Response

Ask: TypeAlias = Callable[[Sequence[Request]], Iterator[Response]]


@dataclass
class Differences:
    """What came of asking again.

    Attributes
    ----------
    groups
        Groups of requests, each about the same images, that were asked again.
    requests
        How many requests those were.
    largest_per_token
        Largest difference of an option's log-likelihood, divided by its number of tokens, in nats;
        None if no options were scored.
    flips
        Requests whose best option, or generated text, differs.
    failures
        Requests that were answered only one of the two times.
    """

    groups: int = 0
    requests: int = 0
    largest_per_token: float | None = None
    flips: int = 0
    failures: int = 0

    def add(self, one: Response, other: Response) -> None:
        """Count the two responses to one request."""
        self.requests += 1
        first, second = one.outcome, other.outcome
        if not isinstance(first, Answer) or not isinstance(second, Answer):
            self.failures += type(first) is not type(second)
        elif first.logprobs is None or second.logprobs is None:
            self.flips += first.text != second.text
        else:
            self.flips += _best(first.logprobs) != _best(second.logprobs)
            counts = first.token_counts or (1,) * len(first.logprobs)
            triples = zip(first.logprobs, second.logprobs, counts, strict=True)
            apart = max(abs(a - b) / count for a, b, count in triples)
            self.largest_per_token = max(apart, self.largest_per_token or 0.0)


class Verifier:
    """Passes responses through, and has some of the requests answered again.

    Parameters
    ----------
    groups
        How many groups of requests to ask again in all. Where it is known how many requests will
        come (:meth:`expect`), each call has its share of them; else the first calls use them up.
    seed
        Fixes which.
    """

    def __init__(self, groups: int, seed: int = 0) -> None:
        self._groups, self._seed = groups, seed
        self._come = 0
        self._expected: int | None = None
        self.found = Differences()

    def expect(self, requests: int) -> None:
        """Spread what is asked again over so many requests, those of other processes included."""
        self._expected = requests

    def run(self, requests: Sequence[Request], ask: Ask, naive: Ask) -> Iterator[Response]:
        """Yield the responses of ``ask``; then ask ``naive`` what was drawn."""
        drawn = self._draw(requests)
        kept: dict[str, Response] = {}
        for response in ask(requests):
            if response.request_id in drawn:
                kept[response.request_id] = response
            yield response
        for again in naive(list(drawn.values())):
            self.found.add(kept[again.request_id], again)

    def _draw(self, requests: Sequence[Request]) -> dict[str, Request]:
        groups: dict[tuple[ImageRef, ...], list[Request]] = {}
        for request in requests:
            groups.setdefault(request.images, []).append(request)
        # What shares nothing is computed as the naive engine does: there is nothing to compare.
        several = [group for group in groups.values() if len(group) > 1] or list(groups.values())
        self._come += len(requests)
        count = min(len(several), self._due() - self.found.groups)
        if count <= 0:
            return {}
        self.found.groups += count
        rng = derive_rng(self._seed, "verify", several[0][0].id)
        chosen = rng.permutation(len(several))[:count].tolist()
        return {request.id: request for i in chosen for request in several[i]}

    def _due(self) -> int:
        """Return how many groups should have been asked again after the requests so far."""
        if self._expected is None:
            return self._groups
        # Requests of equal content come once, so that fewer may come than were expected.
        share = self._groups * self._come / max(1, self._expected)
        return min(self._groups, math.ceil(share))

    def describe(self) -> dict[str, Any]:
        """Return what was found."""
        return asdict(self.found)


def together(found: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return what several processes have found, each as :meth:`Verifier.describe` says it."""
    largest = [each["largest_per_token"] for each in found]
    counted = ("groups", "requests", "flips", "failures")
    return {
        **found[0],
        **{name: sum(each[name] for each in found) for name in counted},
        "largest_per_token": max((apart for apart in largest if apart is not None), default=None),
    }


def _best(logprobs: Sequence[float]) -> int:
    return max(range(len(logprobs)), key=logprobs.__getitem__)
