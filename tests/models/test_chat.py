from __future__ import annotations

from collections.abc import Callable

import pytest

from vlm_eval.core.types import Message, Request, Text
from vlm_eval.models.hf import HfModel

from .questions import WORDS, ask, mixed_requests, picture
from .reference import Reference

Backend = Callable[..., HfModel]


@pytest.mark.parametrize("name", ["qwen2_5_vl", "llava", "gemma3", "internvl"])
def test_the_text_is_the_chat_templates(
    name: str, backend: Backend, reference: Callable[[str], Reference]
) -> None:
    model, by_hand = backend(name), reference(name)
    for request in mixed_requests():
        assert model._encoder.chat.render(request.messages) == by_hand.prompt(request.messages)
    assert model.describe()["images_inlined"] is False


def test_a_template_that_puts_images_first_does_not_change_the_order(backend: Backend) -> None:
    model = backend("llava_images_first")
    assert model.describe()["images_inlined"] is True
    first = ask("q", picture(1), "which?")
    last = ask("q", "which?", picture(1))
    between = ask("q", picture(1), "or", picture(2), "which?")
    render = model._encoder.chat.render
    assert render(first.messages) == "USER: <image>\nwhich? ASSISTANT:"  # the template's own form
    assert render(last.messages) == "USER: which?\n<image> ASSISTANT:"
    assert render(between.messages) == "USER: <image>\nor\n<image>\nwhich? ASSISTANT:"
    asked = [
        Request(str(i), request.messages, choices=WORDS) for i, request in enumerate((first, last))
    ]
    scores = {r.request_id: r.outcome for r in model.loglikelihood(asked)}
    assert scores["0"] != scores["1"]


def test_without_a_template_parts_are_joined(backend: Backend) -> None:
    model = backend("llava_without_template")
    request = ask("q", "a", picture(1), "b", system="s")
    assert model._encoder.chat.render(request.messages) == "s\na<image>b"
    assert model.describe()["chat_template"] is None


def test_a_conversation_of_several_turns(backend: Backend) -> None:
    turns = (
        Message("user", (Text("which?"),)),
        Message("assistant", (Text("red"),)),
        Message("user", (Text("sure?"),)),
    )
    text = backend("llava")._encoder.chat.render(turns)
    assert text == "USER: which? ASSISTANT: red USER: sure? ASSISTANT:"
