"""The logit lens: at the last layer it is the model itself, or it is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from vlm_eval.core.capture import CaptureSpec
from vlm_eval.core.errors import ModelError
from vlm_eval.core.types import Answer
from vlm_eval.models.hf import HfModel
from vlm_eval.models.lens import Lens

from .checkpoints import build
from .questions import ask, picture

Backend = Callable[..., HfModel]
NAMES = (
    "qwen2_5_vl",
    "qwen3_vl",
    "qwen3_5",
    "llava",
    "idefics3",
    "gemma3",
    "internvl",
    "paligemma",
)
LETTERS = ("X", "O", "Q")


def questions() -> list[Any]:
    return [
        ask("one", picture(1), "which player is the winner?", choices=LETTERS),
        ask("two", picture(2), "left or right of the board", choices=LETTERS),
    ]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("norm", ["before", "after"])
def test_at_the_last_layer_it_is_the_model(backend: Backend, name: str, norm: Any) -> None:
    model = backend(name)
    spec = CaptureSpec(sites=("prompt_last",), layers="all", norm=norm)
    for response, captured in model.capture(questions(), spec):
        assert isinstance(response.outcome, Answer)
        assert captured is not None
        request = next(q for q in questions() if q.id == response.request_id)
        options = model.first_tokens(request)
        assert isinstance(options, tuple)
        assert len(set(options)) == len(LETTERS)
        states = captured.arrays["prompt_last"]
        read = model.lens(states[-1], options, normed=norm == "after")
        assert response.outcome.token_counts == (1, 1, 1)
        np.testing.assert_allclose(read.full, response.outcome.logprobs, atol=1e-4)
        assert np.exp(read.restricted).sum() == pytest.approx(1)
        np.testing.assert_allclose(
            read.restricted[0] - read.restricted[1],
            response.outcome.logprobs[0] - response.outcome.logprobs[1],
            atol=1e-4,
        )
        earlier = model.lens(states[:-1], options)
        assert earlier.full.shape == (len(states) - 1, 3)
        assert np.abs(earlier.full - read.full).max() > 0.01


def test_many_states_are_read_as_one_by_one(backend: Backend) -> None:
    model = backend("llava")
    states = np.random.default_rng(0).normal(size=(3, 50, 64)).astype(np.float32)
    together = model.lens(states, (5, 9)).full
    assert together.shape == (3, 50, 2)
    np.testing.assert_allclose(together[2, 7], model.lens(states[2, 7], (5, 9)).full, atol=1e-5)


def test_a_soft_cap_that_the_model_applies_is_honoured(tmp_path: Any) -> None:
    wrapped = capped(tmp_path, config=2.0, applied=2.0)
    lens = Lens(wrapped, [5, 6, 7], torch.device("cpu"))
    states, own = run(wrapped)
    np.testing.assert_allclose(lens.read(states, range(640)).full, own, atol=1e-4)
    assert np.ptp(own) <= 4.0  # the cap is felt


def test_a_soft_cap_that_the_model_does_not_apply_is_not_applied(tmp_path: Any) -> None:
    wrapped = capped(tmp_path, config=2.0, applied=None)
    states, own = run(wrapped)
    lens = Lens(wrapped, [5, 6, 7], torch.device("cpu"))
    np.testing.assert_allclose(lens.read(states, range(640)).full, own, atol=1e-4)


def test_logits_that_nothing_explains_are_refused(tmp_path: Any) -> None:
    wrapped = capped(tmp_path, config=None, applied=2.0)
    with pytest.raises(ModelError, match="does more to its logits"):
        Lens(wrapped, [5, 6, 7], torch.device("cpu"))


def test_a_model_without_output_embeddings_is_refused() -> None:
    class Headless(nn.Module):
        def get_output_embeddings(self) -> None:
            return None

    with pytest.raises(ModelError, match="no output embeddings"):
        Lens(Headless(), [1, 2], torch.device("cpu"))


def test_options_that_begin_alike_have_one_first_token(backend: Backend) -> None:
    request = ask("alike", picture(1), "which?", choices=("red", "red piece", "blue"))
    first = backend("qwen2_5_vl").first_tokens(request)
    assert isinstance(first, tuple)
    assert first[0] == first[1] != first[2]


def capped(folder: Any, *, config: float | None, applied: float | None) -> Any:
    """A Gemma3 whose logits are capped, and whose configuration says so, or not."""
    from transformers import AutoModelForImageTextToText

    model: Any = AutoModelForImageTextToText.from_pretrained(build("gemma3", folder)).eval()
    model.config.get_text_config().final_logit_softcapping = config
    if applied is not None:
        plain = model.forward

        def forward(*args: Any, **named: Any) -> Any:
            made = plain(*args, **named)
            made.logits = applied * torch.tanh(made.logits / applied)
            return made

        model.forward = forward
    return model


@torch.inference_mode()
def run(model: Any) -> tuple[Any, Any]:
    """The states before the final norm at the last token of a text, and the model's own reading."""
    seen: list[Any] = []
    last = model.get_decoder().layers[-1]
    hook = last.register_forward_hook(lambda *given: seen.append(given[-1]))
    logits = model(input_ids=torch.tensor([[9, 11, 12, 3]])).logits[0, -1]
    hook.remove()
    states = seen[0] if isinstance(seen[0], torch.Tensor) else seen[0][0]
    return states[0, -1].numpy(), logits.float().log_softmax(-1).numpy()
