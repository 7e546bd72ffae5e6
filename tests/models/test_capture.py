"""Captured states equal those of the plain model, one sequence at a time, whatever is shared."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from vlm_eval.core.capture import Captured, CaptureSpec
from vlm_eval.core.types import Answer, Decoding, Request
from vlm_eval.models import hooks
from vlm_eval.models.hooks import decoder_blocks

from .captured_states import (
    EVERYTHING,
    HIGHEST,
    LEVELS,
    Backend,
    Of,
    States,
    apart,
    asked,
    captured,
    check,
    fed_by,
)
from .questions import WORDS, ask, picture, to_generate


@pytest.mark.parametrize(
    ("name", "level"),
    [(n, level) for n, top in HIGHEST.items() for level in LEVELS[: LEVELS.index(top) + 1]],
)
def test_scored_equals_the_plain_model(
    name: str, level: str, backend: Backend, reference: Of, states: Callable[[str], States]
) -> None:
    requests = asked(name)
    random.Random(level).shuffle(requests)
    made = captured(backend(name, 5, f"engine={level}"), requests)
    for request in requests:
        check(made[request.id][1], states(name).expected(request))
    answers = {key: answer for key, (answer, _) in made.items()}
    assert reference(name).worst(answers, requests) < 1e-4


@pytest.mark.parametrize("level", LEVELS)
def test_sites_of_the_prompt_alone_feed_nothing_more(
    level: str, backend: Backend, states: Callable[[str], States]
) -> None:
    model, requests = backend("qwen2_5_vl", 5, f"engine={level}"), asked("qwen2_5_vl")
    list(model.loglikelihood(requests))  # the level is proved
    spec = CaptureSpec(norm="both")
    made: dict[str, tuple[Answer, Captured]] = {}
    plain = fed_by(model, lambda: list(model.loglikelihood(requests)))
    assert fed_by(model, lambda: made.update(captured(model, requests, spec))) == plain
    for request in requests:
        expected = states("qwen2_5_vl").expected(request)
        check(made[request.id][1], {k: v for k, v in expected.items() if "answer" not in k})


@pytest.mark.parametrize("batch_size", [1, 3, 16])
def test_neither_batch_nor_order_matters(batch_size: int, backend: Backend) -> None:
    requests = asked("qwen2_5_vl")
    first = captured(backend("qwen2_5_vl", 5), requests)
    random.Random(batch_size).shuffle(requests)
    second = captured(backend("qwen2_5_vl", batch_size), requests)
    for key, (_, kept) in first.items():
        check(second[key][1], {s: a for s, a in kept.arrays.items() if "grid" not in s})


@pytest.mark.parametrize(
    ("name", "level"),
    [
        (n, level)
        for n, top in HIGHEST.items()
        for level in (LEVELS if n == "qwen2_5_vl" else [top])
    ],
)
def test_generated_equals_the_plain_model(
    name: str, level: str, backend: Backend, reference: Of, states: Callable[[str], States]
) -> None:
    requests = to_generate(asked(name), Decoding(max_new_tokens=5))
    made = captured(backend(name, 5, f"engine={level}"), requests)
    for request in requests:
        answer, kept = made[request.id]
        tokens = reference(name).generated(request)
        assert answer.text == reference(name).decode(tokens)
        assert answer.finish == ("stop" if 2 in tokens else "length")
        tokens = tokens[: tokens.index(2)] if 2 in tokens else tokens
        expected = states(name).expected(request)
        if tokens:
            expected |= states(name).generated(request, tokens)
        check(kept, expected)


def test_an_answer_ends_before_the_end_token_or_the_end_of_a_stop_string(
    backend: Backend,
    reference: Of,
    states: Callable[[str], States],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model, by_hand = backend("qwen2_5_vl", 4), reference("qwen2_5_vl")
    requests = to_generate(asked("qwen2_5_vl"), Decoding(max_new_tokens=6))
    tokens = {q.id: by_hand.generated(q) for q in requests}
    end = tokens["first"][3]
    texts = [by_hand.decode(own) for own in tokens.values()]
    stop = max(
        (text[i : i + 2] for text in texts for i in range(len(text) - 1)),
        key=lambda pair: sum(pair in text for text in texts),
    )
    requests = [
        Request(q.id, q.messages, decoding=Decoding(max_new_tokens=6, stop=(stop,)))
        for q in requests
    ]
    monkeypatch.setattr(model._checkpoint.model.generation_config, "eos_token_id", end)
    monkeypatch.setattr(model._engine.generating, "_end", {end})
    made = captured(model, requests)
    lengths = set()
    for request in requests:
        own = tokens[request.id]
        own = own[: own.index(end)] if end in own else own
        held = [stop in by_hand.decode(own[: i + 1]) for i in range(len(own))]
        own = own[: held.index(True)] if True in held else own
        lengths.add(len(own))
        kept = made[request.id][1]
        if own:
            part = {s: a for s, a in kept.arrays.items() if s.startswith("answer")}
            made_by_hand = states("qwen2_5_vl").generated(request, own)
            assert all(apart(part[s], a) < 1e-4 for s, a in made_by_hand.items())
        else:
            assert kept.missing["answer_mean"] == "the answer is empty"
    assert len(lengths) > 2


def test_best_is_the_option_with_the_largest_score(backend: Backend) -> None:
    requests = asked("llava")
    every = captured(backend("llava"), requests)
    best = captured(backend("llava"), requests, CaptureSpec(sites=("answer_last",), norm="both"))
    chosen = set()
    for key, (answer, kept) in every.items():
        assert answer.logprobs is not None
        index = int(np.argmax(answer.logprobs))
        chosen.add(index)
        assert apart(best[key][1].arrays["answer_last"], kept.arrays["answer_last"][index]) < 1e-4
    assert len(chosen) > 1


@pytest.mark.parametrize(
    ("layers", "norm", "labels"),
    [
        ("all", "after", ("0", "1", "2", "norm")),
        ("all", "before", ("0", "1", "2", "3")),
        (2, "both", ("2", "3", "norm")),
        (12, "after", ("0", "1", "2", "norm")),
        ((0,), "both", ("0",)),
        ((-1, 1), "after", ("1", "norm")),
        ([3, 3], "before", ("3",)),
    ],
)
def test_layers_are_chosen(layers: Any, norm: Any, labels: Any, backend: Backend) -> None:
    question = [ask("q", picture(1), "which?", choices=WORDS)]
    _, every = captured(backend("llava"), question)["q"]
    assert every.layers == ("0", "1", "2", "3", "norm")
    spec = CaptureSpec(sites=("prompt_last",), layers=layers, norm=norm)
    _, kept = captured(backend("llava"), question, spec)["q"]
    assert kept.layers == labels
    rows = [every.layers.index(label) for label in labels]
    assert apart(kept.arrays["prompt_last"], every.arrays["prompt_last"][rows]) < 1e-5


def test_what_a_request_does_not_have_is_missing_with_a_reason(backend: Backend) -> None:
    made = captured(backend("idefics3"), asked("idefics3"))
    _, text = made["text"]
    assert text.missing == dict.fromkeys(("vision_mean", "vision_grid"), "the request has no image")
    assert made["pair"][1].missing == {
        "vision_grid": "the tokens of its images cannot be told apart"
    }
    _, first = made["first"]
    assert first.missing == {"vision_grid": "its image is cut into 5 tiles"}
    assert first.describe()["shapes"]["prompt_last"] == [5, 64]


def test_a_hook_on_the_wrong_layer_is_seen(
    backend: Backend, states: Callable[[str], States], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Negative controls: what the comparison must not let pass."""
    request = ask("q", picture(1), "which?", choices=WORDS)
    expected = states("llava").expected(request)["prompt_last"]

    def difference(damage: Callable[[pytest.MonkeyPatch], None]) -> float:
        with pytest.MonkeyPatch.context() as patch:
            damage(patch)
            _, kept = captured(backend("llava"), [request])["q"]
        return apart(kept.arrays["prompt_last"], expected)

    def shifted(patch: pytest.MonkeyPatch) -> None:
        def wrong(model: Any) -> Any:
            decoder, blocks = decoder_blocks(model)
            return decoder, torch.nn.ModuleList([*blocks[:1], *blocks[:-1]])

        patch.setattr(hooks, "decoder_blocks", wrong)

    def late(patch: pytest.MonkeyPatch) -> None:
        place = hooks.Recording.place

        def next_token(self: Any, row: Any, line: int, begin: int, columns: Any) -> None:
            place(self, row, line, begin, [column - 1 for column in columns])

        patch.setattr(hooks.Recording, "place", next_token)

    assert difference(lambda _: None) < 1e-4
    assert difference(shifted) > 0.1
    assert difference(late) > 0.1


def test_before_and_after_the_norm_differ(backend: Backend) -> None:
    request = ask("q", picture(1), "which?", choices=WORDS)
    for name in ("qwen2_5_vl", "llava"):
        _, kept = captured(backend(name), [request])["q"]
        before, after = kept.arrays["prompt_last"][-2:]
        assert apart(before, after) > 0.1


def test_the_last_layer_predicts_the_scores(backend: Backend) -> None:
    """The state after the norm at the last prompt token, through the head, gives the answer."""
    model = backend("qwen2_5_vl")
    request = ask("q", picture(1), "which?", choices=WORDS)
    answer, kept = captured(model, [request])["q"]
    head = model._checkpoint.model.get_output_embeddings()
    state = torch.from_numpy(kept.arrays["prompt_last"][-1])
    logprobs = head(state).double().log_softmax(-1)
    encoded: Any = model._encoder.encode(request)
    for option, score, count in zip(
        encoded.options, answer.logprobs or (), answer.token_counts or (), strict=True
    ):
        if count == 1:
            assert logprobs[option.ids[-1]].item() == pytest.approx(score, abs=1e-4)


def test_answers_are_verified_as_without_a_capture(backend: Backend) -> None:
    model = backend("qwen2_5_vl", 4, "verify=2")
    captured(model, asked("qwen2_5_vl"))
    verified = model.describe()["counters"]["verified"]
    assert verified["requests"] > 1
    assert verified["largest_per_token"] < 1e-4
    assert verified["flips"] == 0


def test_both_kinds_of_requests_and_neither(backend: Backend) -> None:
    model = backend("llava")
    scored = ask("scored", picture(1), "which?", choices=WORDS)
    (written,) = to_generate([ask("written", picture(1), "which?")], Decoding(max_new_tokens=2))
    made = captured(model, [written, scored])
    assert made["scored"][0].finish == "scored"
    assert made["written"][0].text is not None
    with pytest.raises(ValueError, match="choices or a decoding"):
        model.capture([ask("neither", "which?")], EVERYTHING)
