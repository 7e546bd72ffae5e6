from __future__ import annotations

import math
import time
from typing import Any

import pytest

from vlm_eval.core.errors import UsageError
from vlm_eval.core.types import Answer, Decoding, Failure, Outcome, Request
from vlm_eval.models.base import Model
from vlm_eval.models.registry import load_model

from .questions import ask, to_generate

CHOICES = ("red", "blue piece", "no")


def asked(count: int = 40) -> list[Request]:
    return [ask(f"r{i}", "which colour, red or blue?", choices=CHOICES) for i in range(count)]


def scores(spec: str, requests: list[Request]) -> dict[str, Outcome]:
    return {r.request_id: r.outcome for r in load_model(spec).loglikelihood(requests)}


def texts(spec: str, requests: list[Request]) -> dict[str, Any]:
    generated = load_model(spec).generate(to_generate(requests, Decoding()))
    return {r.request_id: r.outcome for r in generated}


def best(outcome: Outcome) -> str:
    assert isinstance(outcome, Answer)
    assert outcome.logprobs is not None
    return CHOICES[outcome.logprobs.index(max(outcome.logprobs))]


def test_answers_do_not_depend_on_the_order() -> None:
    requests = asked()
    assert scores("mock", requests) == scores("mock", requests[::-1])
    assert texts("mock", requests) == texts("mock", requests[::-1])


def test_answers_depend_on_the_request_and_on_the_seed() -> None:
    requests = asked()
    assert {best(outcome) for outcome in scores("mock", requests).values()} == set(CHOICES)
    assert scores("mock", requests) != scores("mock:seed=1", requests)


def test_scores_are_log_probabilities() -> None:
    for outcome in scores("mock", asked()).values():
        assert isinstance(outcome, Answer)
        assert outcome.finish == "scored"
        assert outcome.token_counts == (1, 2, 1)
        assert sum(math.exp(value) for value in outcome.logprobs or ()) == pytest.approx(1)


def test_constant() -> None:
    requests = asked()
    assert {best(o) for o in scores("mock:constant=blue piece", requests).values()} == {
        "blue piece"
    }
    assert {o.text for o in texts("mock:constant=Yes", requests).values()} == {"Yes"}


def test_first() -> None:
    assert {best(outcome) for outcome in scores("mock:first", asked()).values()} == {"red"}


def test_echo_and_words() -> None:
    requests = asked()
    assert {o.text for o in texts("mock:echo", requests).values()} == {"which colour, red or blue?"}
    words = {o.text for o in texts("mock", requests).values()}
    assert words == {"which", "colour", "red", "or", "blue"}


def test_a_share_of_the_requests_fails() -> None:
    outcomes = scores("mock:fail=0.25", asked(400))
    failed = {key for key, outcome in outcomes.items() if isinstance(outcome, Failure)}
    assert 60 < len(failed) < 140
    generated = texts("mock:fail=0.25", asked(400))
    assert failed == {key for key, outcome in generated.items() if isinstance(outcome, Failure)}


def test_options_from_the_command_line_are_added() -> None:
    model: Model = load_model("mock:seed=3", args="fail=1", device="cpu", dtype="auto")
    (response,) = model.loglikelihood(asked(1))
    assert isinstance(response.outcome, Failure)
    assert model.describe()["options"]["seed"] == 3


@pytest.mark.parametrize("spec", ["mock:sed=3", "mock:fail=2", "mock:seed=x"])
def test_wrong_options(spec: str) -> None:
    with pytest.raises(UsageError, match="mock"):
        load_model(spec)


def test_a_delay_is_slow_and_changes_nothing() -> None:
    requests, slow = asked(5), load_model("mock:", args={"delay": "0.02"})
    began = time.monotonic()
    answers = {r.request_id: r.outcome for r in slow.loglikelihood(requests)}
    assert time.monotonic() - began > 0.005
    assert answers == scores("mock:", requests)
    assert slow.describe() == load_model("mock:").describe(), "a run may go on at another speed"
