from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
import torch
from PIL import Image

from vlm_eval.core.errors import DataError
from vlm_eval.core.types import Answer, Decoding, Failure, ImageRef, Request
from vlm_eval.models.hf import HfModel
from vlm_eval.models.inputs import Encoded, Encoder, Row, Tokens, collate

from .questions import PHRASES, WORDS, ask, mixed_requests, picture, to_generate
from .reference import Reference

Backend = Callable[..., HfModel]
Of = Callable[[str], Reference]


def encoded(model: HfModel, request: Request) -> Encoded:
    made = model._encoder.encode(request)
    assert isinstance(made, Encoded), made
    return made


@pytest.mark.parametrize("name", ["qwen2_5_vl", "llava", "gemma3", "internvl"])
def test_prompts_are_tokenised_as_by_the_processor(
    name: str, backend: Backend, reference: Of
) -> None:
    model, by_hand = backend(name), reference(name)
    for request in mixed_requests():
        ids = by_hand.inputs(request)["input_ids"][0]
        assert torch.equal(encoded(model, request).prompt.ids, ids)


@pytest.mark.parametrize(
    ("name", "grafts"),
    [
        ("qwen2_5_vl", True),
        ("llava", True),
        ("llava_onevision", True),
        ("gemma3", True),
        ("internvl", True),
        ("idefics3", False),  # text follows an image whose placeholder is replaced by other tokens
        ("paligemma", False),  # takes answers as suffixes
    ],
)
def test_options_are_tokenised_as_by_the_processor(
    name: str, grafts: bool, backend: Backend, reference: Of, monkeypatch: pytest.MonkeyPatch
) -> None:
    by_hand, encoder = reference(name), Encoder(backend(name)._checkpoint.processor)
    grafted = []
    graft = encoder._graft
    monkeypatch.setattr(
        encoder, "_graft", lambda *args: grafted.append(graft(*args)) or grafted[-1]
    )
    requests = [request for request in mixed_requests() if request.images]
    for request in requests:
        made = encoder.encode(request)
        assert isinstance(made, Encoded)
        options = made.options
        for choice, option in zip(request.choices or (), options, strict=True):
            expected = by_hand.inputs(request, choice)
            assert torch.equal(option.ids, expected["input_ids"][0])
            for key, types in option.types.items():
                assert torch.equal(types, expected[key][0])
    assert sum(made is not None for made in grafted) == (len(requests) if grafts else 0)


@pytest.mark.parametrize("name", ["qwen2_5_vl", "llava_onevision", "idefics3", "paligemma"])
def test_what_was_made_once_serves_again(name: str, backend: Backend) -> None:
    """Any mixture of known and new texts, images and sizes is encoded as by a new encoder."""
    processor = backend(name)._checkpoint.processor
    kept = Encoder(processor)
    sizes = ((90, 60), (60, 90), (120, 60))
    asked = [
        ask("q", *(picture(seed, *size) for size in shown), text, choices=choices)
        for text in ("which?", "which piece?")
        for seed in (1, 2)
        for shown in ([sizes[0]], [sizes[1]], [sizes[0], sizes[2]], [sizes[2], sizes[0]])
        for choices in (WORDS, PHRASES)
    ]
    random.Random(0).shuffle(asked)
    for request in asked:
        made, fresh = kept.encode(request), Encoder(processor).encode(request)
        assert isinstance(made, Encoded)
        assert isinstance(fresh, Encoded)
        assert made.start == fresh.start
        for tokens, others in zip(
            (made.prompt, *made.options), (fresh.prompt, *fresh.options), strict=True
        ):
            assert torch.equal(tokens.ids, others.ids)
            assert tokens.types.keys() == others.types.keys()
            assert all(torch.equal(types, others.types[key]) for key, types in tokens.types.items())
        assert [unit.key for unit in made.images.units] == [u.key for u in fresh.images.units]
        assert made.images.tensors.keys() == fresh.images.tensors.keys()
        assert all(torch.equal(v, fresh.images.tensors[k]) for k, v in made.images.tensors.items())


def test_a_text_is_tokenised_once_for_all_images_of_a_size(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = Encoder(backend("qwen2_5_vl")._checkpoint.processor)
    seen: list[str] = []
    tokenise = encoder._tokenise

    def spy(text: str, pictures: list[Any], **more: Any) -> Any:
        seen.append(text)
        return tokenise(text, pictures, **more)

    monkeypatch.setattr(encoder, "_tokenise", spy)
    for text in ("which?", "which piece?"):
        for _ in range(3):
            encoder.encode(ask("q", picture(1), text, choices=WORDS))
    assert len(seen) == 2
    encoder.encode(ask("q", picture(1, 60, 90), "which?", choices=WORDS))
    assert len(seen) == 3


def test_an_option_that_holds_a_special_token(backend: Backend, reference: Of) -> None:
    request = ask("q", picture(1), "which?", choices=("red</s>", "blue"))
    options = encoded(backend("qwen2_5_vl"), request).options
    expected = reference("qwen2_5_vl").inputs(request, "red</s>")["input_ids"][0]
    assert torch.equal(options[0].ids, expected)
    assert options[0].ids[-1] == 2


def test_the_first_token_is_not_doubled(backend: Backend) -> None:
    """A template that writes <s> itself, with a tokeniser that adds one."""
    model = backend("gemma3")
    tokenizer = model._checkpoint.processor.tokenizer
    from tokenizers.processors import TemplateProcessing

    plain = tokenizer.backend_tokenizer.post_processor
    adding = TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    tokenizer.backend_tokenizer.post_processor = adding
    try:
        assert tokenizer("which?").input_ids[0] == 1
        made = Encoder(model._checkpoint.processor).encode(ask("q", picture(1), "which?"))
    finally:
        tokenizer.backend_tokenizer.post_processor = plain
    assert isinstance(made, Encoded)
    assert made.prompt.ids.tolist().count(1) == 1


def broken() -> ImageRef:
    def load() -> Image.Image:
        raise DataError("the file is truncated", where="cat.png")

    return ImageRef("broken", load)


@pytest.mark.parametrize("operation", ["loglikelihood", "generate"])
def test_a_broken_image_fails_its_request_only(operation: str, backend: Backend) -> None:
    requests = [
        ask("bad", broken(), "which?", choices=WORDS),
        ask("good", picture(1), "which?", choices=WORDS),
        ask("bad pair", picture(1), broken(), "which?", choices=WORDS),
    ]
    if operation == "generate":
        requests = to_generate(requests, Decoding(max_new_tokens=2))
    responses = list(getattr(backend("llava"), operation)(requests))
    outcomes = {response.request_id: response.outcome for response in responses}
    assert len(responses) == 3
    assert isinstance(outcomes["good"], Answer)
    for key in ("bad", "bad pair"):
        failure = outcomes[key]
        assert isinstance(failure, Failure)
        assert (failure.kind, failure.message) == ("image", "cat.png: the file is truncated")


def test_any_fault_of_a_loader_is_the_images(backend: Backend) -> None:
    def load() -> Image.Image:
        raise Image.DecompressionBombError("too large")

    request = ask("bomb", ImageRef("bomb", load), "which?", choices=WORDS)
    (response,) = backend("llava").loglikelihood([request])
    assert isinstance(response.outcome, Failure)
    assert response.outcome.kind == "image"


def test_an_image_of_another_mode_is_converted(backend: Backend) -> None:
    gray = ImageRef("gray", lambda: Image.new("L", (60, 60), 100))
    (response,) = backend("llava").loglikelihood([ask("q", gray, "which?", choices=WORDS)])
    assert isinstance(response.outcome, Answer)


@pytest.mark.parametrize(
    ("name", "request_"),
    [
        ("llava", ask("q", picture(1), "what is <image>?", choices=WORDS)),
        ("paligemma", ask("q", "text alone?", choices=WORDS)),
    ],
)
def test_what_a_processor_refuses_fails_that_request(
    name: str, request_: Request, backend: Backend
) -> None:
    (response,) = backend(name).loglikelihood([request_])
    assert isinstance(response.outcome, Failure)
    assert response.outcome.kind == "unsupported"
    assert "image" in response.outcome.message


def row(*ids: int) -> Row:
    tokens = Tokens(torch.tensor(ids), {"token_type_ids": torch.ones(len(ids), dtype=torch.int64)})
    return Row(encoded=None, tokens=tokens)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("side", "ids", "mask"),
    [
        ("right", [[5, 6, 7], [8, 9, 9]], [[1, 1, 1], [1, 0, 0]]),
        ("left", [[5, 6, 7], [9, 9, 8]], [[1, 1, 1], [0, 0, 1]]),
    ],
)
def test_collate(side: str, ids: list[list[int]], mask: list[list[int]]) -> None:
    batch = collate([row(5, 6, 7), row(8)], pad=9, side=side)  # type: ignore[arg-type]
    assert batch["input_ids"].tolist() == ids
    assert batch["attention_mask"].tolist() == mask
    assert batch["token_type_ids"].tolist() == mask
