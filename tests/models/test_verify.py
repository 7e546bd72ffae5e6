from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict

import pytest

from vlm_eval.core.types import Answer, Decoding, Failure, Outcome, Request, Response
from vlm_eval.models.hf import HfModel
from vlm_eval.models.verify import Differences, Verifier, together

from .questions import PHRASES, WORDS, ask, picture, to_generate

Backend = Callable[..., HfModel]


def requests(images: int) -> list[Request]:
    return [
        ask(f"{i}-{text}", picture(i), text, choices=WORDS)
        for i in range(images)
        for text in ("which?", "left?")
    ]


def always(outcome: Outcome) -> Callable[[Sequence[Request]], Iterator[Response]]:
    def ask(asked: Sequence[Request]) -> Iterator[Response]:
        return (Response(request.id, outcome, 0.0) for request in asked)

    return ask


SAME = always(Answer(logprobs=(-1.0, -2.0), token_counts=(1, 1), finish="scored"))


def test_as_many_groups_as_wanted_are_asked_again() -> None:
    verifier = Verifier(5)
    for done in (4, 5, 5):
        assert len(list(verifier.run(requests(4), SAME, SAME))) == 8
        assert verifier.found.groups == done
    assert verifier.found.requests == 10
    assert (verifier.found.largest_per_token, verifier.found.flips) == (0.0, 0)


def test_they_are_spread_over_what_is_expected() -> None:
    verifier = Verifier(5)
    verifier.expect(48)
    for done in (2, 3, 4, 5, 5):
        assert len(list(verifier.run(requests(6), SAME, SAME))) == 12
        assert verifier.found.groups == done


def test_what_several_processes_have_found_is_put_together() -> None:
    none = Verifier(1).describe()
    some = Differences(1, 3, 0.25, 1, 0)
    more = Differences(2, 5, 0.125, 0, 2)
    found = together([none, asdict(some), {**asdict(more), "rounding": 0.1}])
    assert found == asdict(Differences(3, 8, 0.25, 1, 2))
    assert together([none])["largest_per_token"] is None


def test_differences_are_per_token_and_flips_are_counted() -> None:
    verifier = Verifier(1)
    one = always(Answer(logprobs=(-1.0, -2.0), token_counts=(1, 4), finish="scored"))
    other = always(Answer(logprobs=(-1.1, -1.0), token_counts=(1, 4), finish="scored"))
    list(verifier.run(requests(1), one, other))
    assert verifier.found.largest_per_token == pytest.approx(0.25)
    assert verifier.found.flips == 2


def test_a_failure_on_one_side_is_counted() -> None:
    verifier = Verifier(1)
    answer = always(Answer(text="red"))
    list(verifier.run(requests(1), answer, always(Failure("oom", "no memory"))))
    assert (verifier.found.failures, verifier.found.flips) == (2, 0)


@pytest.mark.parametrize("name", ["qwen2_5_vl", "gemma3", "paligemma"])
def test_the_engine_is_within_rounding_of_the_naive_one(name: str, backend: Backend) -> None:
    model = backend(name, 4, "verify=4")
    asked = [ask(f"{i}-{t}", picture(i), t, choices=PHRASES) for i in (1, 2, 3) for t in "abc"]
    assert len(list(model.loglikelihood(asked))) == 9
    assert len(list(model.generate(to_generate(asked, Decoding(max_new_tokens=4))))) == 9
    found = model.describe()["counters"]["verified"]
    assert found["groups"] == 4
    assert found["requests"] == 12
    assert found["largest_per_token"] < 1e-4
    assert (found["flips"], found["failures"], found["rounding"]) == (0, 0, 1e-4)


def test_nothing_is_asked_again_by_default(backend: Backend) -> None:
    assert "verified" not in backend("llava").describe()["counters"]
