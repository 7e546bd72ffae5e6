"""How many tokens a question and its images take, told the same at every level and batch size."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from vlm_eval.core.types import Answer, Decoding
from vlm_eval.models.hf import HfModel
from vlm_eval.models.registry import load_model
from vlm_eval.models.sharing import LEVELS

from .questions import mixed_requests, to_generate
from .test_sharing import HIGHEST

Counts = dict[str, tuple[int | None, int | None]]


def counts(responses: Any) -> Counts:
    found = {}
    for response in responses:
        answer = response.outcome
        assert isinstance(answer, Answer)
        found[response.request_id] = (answer.prompt_tokens, answer.image_tokens)
    return found


@pytest.mark.parametrize("name", HIGHEST)
def test_the_counts_are_those_of_what_the_model_reads(
    name: str, backend: Callable[..., HfModel], reference: Callable[[str], Any]
) -> None:
    its = reference(name)
    config = its.model.config
    token = getattr(config, "image_token_id", getattr(config, "image_token_index", None))
    names = ["first", "pair", "tall", *(["text"] if name != "paligemma" else [])]
    requests = [request for request in mixed_requests() if request.id in names]
    expected: Counts = {}
    for request in requests:
        ids = its.inputs(request)["input_ids"][0]
        expected[request.id] = len(ids), int((ids == token).sum())
    known = {request: image or 0 for request, (_, image) in expected.items()}
    assert known["first"] > 1
    assert known["pair"] > 1
    assert known.get("text", 0) == 0
    for level in LEVELS[: LEVELS.index(HIGHEST[name]) + 1]:
        model = backend(name, 1 if level == "naive" else 7, f"engine={level}")
        assert counts(model.loglikelihood(requests)) == expected
    generated = to_generate(requests, Decoding(max_new_tokens=2))
    assert counts(backend(name, 7, "engine=auto").generate(generated)) == expected


def test_other_backends_tell_nothing() -> None:
    model = load_model("mock")
    assert set(counts(model.loglikelihood(mixed_requests())).values()) == {(None, None)}
