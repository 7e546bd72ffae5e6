from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch

from vlm_eval.core.errors import ModelError
from vlm_eval.core.types import Answer, Failure, Request
from vlm_eval.models import inputs
from vlm_eval.models.hf import HfModel
from vlm_eval.models.inputs import Row
from vlm_eval.models.lru import Lru

from .questions import PHRASES, WORDS, ask, mixed_requests, picture
from .reference import Reference

ARCHITECTURES = [
    "qwen2_5_vl",
    "qwen3_vl",
    "llava",
    "llava_onevision",
    "idefics3",
    "gemma3",
    "internvl",
    "qwen3_5",
]
# PaliGemma takes no request without an image.
EVERY = [*ARCHITECTURES, "paligemma"]

Backend = Callable[..., HfModel]
Of = Callable[[str], Reference]


def questions(name: str) -> list[Request]:
    return [q for q in mixed_requests() if name != "paligemma" or q.images]


def scored(model: HfModel, requests: Sequence[Request]) -> dict[str, Answer]:
    answers = {}
    for response in model.loglikelihood(requests):
        assert isinstance(response.outcome, Answer), response.outcome
        answers[response.request_id] = response.outcome
    return answers


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("batch_size", [1, 3, 8])
def test_equals_one_at_a_time(name: str, batch_size: int, backend: Backend, reference: Of) -> None:
    requests = questions(name)
    random.Random(batch_size).shuffle(requests)
    answers = scored(backend(name, batch_size), requests)
    assert reference(name).worst(answers, requests) < 1e-4


@pytest.mark.parametrize("name", EVERY)
def test_equals_one_at_a_time_with_pixels_in_every_pass(
    name: str, backend: Backend, reference: Of
) -> None:
    model = backend(name, 3, "vision_memo_mb=0")
    assert not model.describe()["engine"]["vision_memo"]
    requests = questions(name)
    assert reference(name).worst(scored(model, requests), requests) < 1e-4


@pytest.mark.parametrize("name", EVERY)
def test_the_memo_changes_not_one_bit(name: str, backend: Backend) -> None:
    requests = [q for q in questions(name) if len(q.images) == 1]
    with_memo, without = backend(name, 1), backend(name, 1, "vision_memo_mb=0")
    assert scored(with_memo, requests) == scored(without, requests)


@pytest.mark.parametrize("name", EVERY)
def test_images_matter(name: str, reference: Of) -> None:
    """Else equality would prove little: another picture must move the scores."""
    one = ask("q", picture(1), "which colour?", choices=WORDS)
    two = ask("q", picture(2), "which colour?", choices=WORDS)
    scores, others = (reference(name).scores(request)[0] for request in (one, two))
    assert max(abs(a - b) for a, b in zip(scores, others, strict=True)) > 0.01


@pytest.mark.parametrize(
    ("name", "argument"),
    [
        ("qwen2_5_vl", "mm_token_type_ids"),
        ("gemma3", "token_type_ids"),
    ],
)
def test_the_check_sees_lost_token_types(
    name: str, argument: str, reference: Of, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    requests = [q for q in questions(name) if q.images and q.choices == WORDS]
    kept = tuple(key for key in inputs._TYPES if key != argument)
    monkeypatch.setattr(inputs, "_TYPES", kept)
    monkeypatch.setattr(inputs, "_NOT_IMAGES", inputs._NOT_IMAGES | {argument})
    model = HfModel(backend(name)._checkpoint, name=name, batch_size=3)  # has made no tokens yet
    assert reference(name).worst(scored(model, requests), requests) > 0.01


def test_the_check_sees_swapped_images(reference: Of, backend: Backend) -> None:
    pair = [q for q in mixed_requests() if q.id == "pair"]
    swapped = ask("pair", picture(2), " or ", picture(1), " which board?", choices=WORDS)
    answers = scored(backend("llava"), [swapped])
    assert reference("llava").worst(answers, pair) > 0.01


def test_one_token_options_share_one_row(backend: Backend) -> None:
    model = backend("qwen2_5_vl")
    encoded = model._encoder.encode(ask("q", picture(1), "which?", choices=WORDS))
    assert isinstance(encoded, inputs.Encoded)
    (row,) = model._engine.scoring.rows(encoded)
    assert row.options == (0, 1, 2)
    assert row.tokens.ids.tolist() == encoded.prompt.ids.tolist()


def test_options_that_differ_in_their_last_token_share_a_row(backend: Backend) -> None:
    choices = ("the red", "the blue", "yes")
    model = backend("qwen2_5_vl")
    encoded = model._encoder.encode(ask("q", "which?", choices=choices))
    assert isinstance(encoded, inputs.Encoded)
    assert [row.options for row in model._engine.scoring.rows(encoded)] == [(0, 1), (2,)]


def test_options_merged_with_the_prompt_are_scored_from_where_all_agree(
    backend: Backend, reference: Of
) -> None:
    """The prompt ends in the middle of a word that the tokeniser knows."""
    model, by_hand = backend("llava_without_template"), reference("llava_without_template")
    request = ask("q", "which boa", choices=("rd", "x"))
    ids = [
        by_hand.processor.tokenizer("which boa" + choice, return_tensors="pt").input_ids
        for choice in ("", "rd", "x")
    ]
    start = ids[1].shape[1] - 1  # "board" is one token
    assert ids[0][0, start] != ids[1][0, start]
    before = model.describe()["counters"]["merged_boundaries"]
    answer = scored(model, [request])["q"]
    assert model.describe()["counters"]["merged_boundaries"] == before + 1
    assert answer.token_counts == (1, ids[2].shape[1] - start)
    assert answer.logprobs is not None
    for option, logprob in zip(ids[1:], answer.logprobs, strict=True):
        with torch.inference_mode():
            table = by_hand.model(input_ids=option).logits[0].log_softmax(-1)
        picked = table[start - 1 : -1].gather(-1, option[0, start:, None])
        assert logprob == pytest.approx(picked.sum().item(), abs=1e-4)


def test_an_empty_option_fails_its_request_only(backend: Backend) -> None:
    requests = [ask("bad", "which?", choices=("red", "")), ask("good", "which?", choices=WORDS)]
    outcomes = {r.request_id: r.outcome for r in backend("llava").loglikelihood(requests)}
    assert isinstance(outcomes["good"], Answer)
    assert isinstance(outcomes["bad"], Failure)
    assert outcomes["bad"].kind == "unsupported"
    assert "''" in outcomes["bad"].message


def test_attention_that_is_not_causal_is_refused(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PaliGemma whose answer is not marked as such: later tokens leak into earlier scores."""
    model = backend("paligemma", 2)
    monkeypatch.setattr(model._engine.sharing, "causal", False)
    monkeypatch.setattr(model._encoder, "_takes_suffix", False)
    monkeypatch.setattr(model._encoder, "_answers", Lru(1))  # other tests ask this too
    with pytest.raises(ModelError, match="later tokens"):
        list(model.loglikelihood([ask("q", picture(1), "which?", choices=PHRASES)]))


def test_a_score_that_is_no_number_fails_its_request(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As half precision overflows."""
    model = backend("llava", 3, "engine=memo")
    logits = model._engine.scoring._forward.logits

    def overflow(rows: Sequence[Row], *given: Any) -> torch.Tensor:
        made = logits(rows, *given)
        made[[row.encoded.request.id == "bad" for row in rows]] = float("nan")
        return made

    monkeypatch.setattr(model._engine.scoring._forward, "logits", overflow)
    requests = [ask(name, f"{name}?", choices=WORDS) for name in ("good", "bad", "fine")]
    outcomes = {r.request_id: r.outcome for r in model.loglikelihood(requests)}
    bad = outcomes.pop("bad")
    assert isinstance(bad, Failure)
    assert "not finite" in bad.message
    assert all(isinstance(outcome, Answer) for outcome in outcomes.values())


def test_requests_without_choices_are_a_mistake(backend: Backend) -> None:
    with pytest.raises(ValueError, match="choices"):
        backend("llava").loglikelihood([ask("q", "which?")])


@pytest.mark.parametrize("name", ["qwen2_5_vl", "llava", "gemma3"])
def test_the_end_of_the_turn_is_scored_where_asked(
    name: str, backend: Backend, reference: Of
) -> None:
    """The option is the whole answer: what the chat template writes after it counts too."""
    model, by_hand = backend(name), reference(name)
    closing = {"qwen2_5_vl": "<|im_end|>\n", "llava": " ", "gemma3": "<|im_end|>\n"}[name]
    plain = ask("q", picture(1), "which?", choices=PHRASES)
    closed = dataclasses.replace(plain, id="closed", end_of_turn=True)
    longer = dataclasses.replace(plain, id="closed", choices=tuple(p + closing for p in PHRASES))
    answers = scored(model, [plain, closed])
    assert answers["q"].token_counts != answers["closed"].token_counts
    assert by_hand.worst({"closed": answers["closed"]}, [longer]) < 1e-4
