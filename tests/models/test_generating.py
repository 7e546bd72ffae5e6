from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from transformers import GenerationConfig

from vlm_eval.core.types import Answer, Decoding, Request
from vlm_eval.models.generating import SeededNoise
from vlm_eval.models.hf import HfModel

from .questions import ask, mixed_requests, picture, to_generate
from .reference import Reference

ARCHITECTURES = ["qwen2_5_vl", "qwen3_vl", "llava", "idefics3", "gemma3", "internvl", "paligemma"]
ARCHITECTURES += ["qwen3_5"]

Backend = Callable[..., HfModel]
Of = Callable[[str], Reference]


def questions(name: str, decoding: Decoding) -> list[Request]:
    asked = [q for q in mixed_requests() if name != "paligemma" or q.images]
    return to_generate(asked, decoding)


def answered(model: HfModel, requests: Sequence[Request]) -> dict[str, Answer]:
    answers = {}
    for response in model.generate(requests):
        assert isinstance(response.outcome, Answer), response.outcome
        answers[response.request_id] = response.outcome
    return answers


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_equals_one_at_a_time(name: str, backend: Backend, reference: Of) -> None:
    requests = questions(name, Decoding(max_new_tokens=8))
    random.Random(0).shuffle(requests)
    by_hand = reference(name)
    expected = {q.id: by_hand.decode(by_hand.generated(q)) for q in requests}
    for batch_size in (1, 3, 8) if name == "qwen2_5_vl" else (3,):
        answers = answered(backend(name, batch_size), requests)
        assert {key: answer.text for key, answer in answers.items()} == expected


def test_the_answers_differ(reference: Of) -> None:
    """Else equality would prove little."""
    requests = questions("qwen2_5_vl", Decoding(max_new_tokens=8))
    assert len({tuple(reference("qwen2_5_vl").generated(q)) for q in requests}) > 3


def test_pixels_in_every_pass_give_the_same_text(backend: Backend) -> None:
    requests = questions("qwen2_5_vl", Decoding(max_new_tokens=8))
    plain = backend("qwen2_5_vl", 3, "vision_memo_mb=0")
    assert answered(plain, requests) == answered(backend("qwen2_5_vl", 3), requests)


def test_the_end_of_text_ends_the_answer(
    backend: Backend, reference: Of, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, by_hand = backend("qwen2_5_vl", 3), reference("qwen2_5_vl")
    requests = questions("qwen2_5_vl", Decoding(max_new_tokens=8))
    tokens = {q.id: by_hand.generated(q) for q in requests}
    end = tokens["first"][3]
    monkeypatch.setattr(model._engine.generating, "_end", {end})
    monkeypatch.setattr(model._checkpoint.model.generation_config, "eos_token_id", end)
    answers = answered(model, requests)
    assert answers["first"].finish == "stop"
    for key, answer in answers.items():
        whole = tokens[key]
        assert answer.finish == ("stop" if end in whole else "length")
        assert answer.text == by_hand.decode(whole[: whole.index(end) if end in whole else None])


def test_a_stop_string_ends_the_answer_before_it(
    backend: Backend, reference: Of, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, by_hand = backend("llava", 3), reference("llava")
    plain = questions("llava", Decoding(max_new_tokens=10))
    tokens = {q.id: by_hand.generated(q) for q in plain}
    whole = {key: by_hand.decode(ids) for key, ids in tokens.items()}
    pairs = [text[i : i + 2] for text in whole.values() for i in range(1, len(text) - 1)]
    stop = next(pair for pair in pairs if pair.isascii() and pair.isprintable())
    steps = []
    network = model._checkpoint.model
    generate = network.generate

    def spy(**kwargs: Any) -> torch.Tensor:
        out: torch.Tensor = generate(**kwargs)
        steps.append(out.shape[1] - kwargs["input_ids"].shape[1])
        return out

    monkeypatch.setattr(network, "generate", spy)
    requests = questions("llava", Decoding(max_new_tokens=10, stop=("\x00", stop)))
    answers = answered(model, requests)
    assert any(stop in text for text in whole.values())
    for key, answer in answers.items():
        assert answer.text == whole[key].partition(stop)[0]
        assert answer.finish == ("stop" if stop in whole[key] else "length")
    stopped = next(q for q in requests if stop in whole[q.id])
    steps.clear()
    answered(backend("llava", 3), [stopped])
    ids = tokens[stopped.id]
    assert steps == [next(n for n in range(1, 11) if stop in by_hand.decode(ids[:n]))]


def test_a_sample_does_not_depend_on_its_batch(backend: Backend) -> None:
    decoding = Decoding(max_new_tokens=8, temperature=1.5, top_p=0.9)
    requests = questions("qwen2_5_vl", decoding)
    alone = answered(backend("qwen2_5_vl", 1), requests)
    together = answered(backend("qwen2_5_vl", 8), requests[::-1])
    assert alone == together
    assert alone != answered(backend("qwen2_5_vl", 8), questions("qwen2_5_vl", Decoding(8)))


def test_a_sample_depends_on_the_request(backend: Backend) -> None:
    decoding = Decoding(max_new_tokens=8, temperature=2.0)
    same = [ask(f"draw {i}", picture(1), "which?") for i in range(6)]
    answers = answered(backend("qwen2_5_vl", 3), to_generate(same, decoding))
    assert len({answer.text for answer in answers.values()}) == 6


def test_seeded_noise_draws_from_the_softmax() -> None:
    logits = torch.tensor([0.0, 1.0, 2.0, -1.0])
    draws = 4000
    noisy = SeededNoise([f"r{i}" for i in range(draws)])(None, logits.repeat(draws, 1))
    counts = Counter(noisy.argmax(-1).tolist())
    expected = logits.softmax(-1) * draws
    chi_square = sum((counts[i] - e) ** 2 / e for i, e in enumerate(expected.tolist()))
    assert chi_square < 16.3  # 3 degrees of freedom, p = 0.001


def test_the_checkpoints_own_decoding_settings_are_not_used(backend: Backend) -> None:
    model = backend("qwen2_5_vl", 3)
    shipped = GenerationConfig(repetition_penalty=1.3, temperature=0.1, do_sample=True)
    shipped.save_pretrained(model.describe()["source"])
    try:
        from vlm_eval.models.registry import load_model

        other = load_model(model.describe()["source"], device="cpu", batch_size=3)
        assert other.describe()["unused_generation_defaults"]["repetition_penalty"] == 1.3
        requests = questions("qwen2_5_vl", Decoding(max_new_tokens=8))
        texts = [{k: a.text for k, a in answered(m, requests).items()} for m in (model, other)]
        assert texts[0] == texts[1]
    finally:
        GenerationConfig(pad_token_id=0, bos_token_id=1, eos_token_id=2).save_pretrained(
            model.describe()["source"]
        )


def test_requests_without_a_decoding_are_a_mistake(backend: Backend) -> None:
    with pytest.raises(ValueError, match="decoding"):
        backend("llava").generate([ask("q", "which?")])
