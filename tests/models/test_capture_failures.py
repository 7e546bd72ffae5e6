"""What fails while states are captured harms no other request, and leaves nothing behind."""

from __future__ import annotations

import functools
import gc
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pydantic
import pytest
import torch

from vlm_eval.core.capture import CaptureSpec
from vlm_eval.core.errors import ModelError, UsageError
from vlm_eval.core.types import Answer, Failure, ImageRef
from vlm_eval.models import hooks
from vlm_eval.models.hf import HfModel
from vlm_eval.models.hooks import decoder_blocks

from .captured_states import EVERYTHING, Backend, States, asked, check
from .questions import WORDS, ask, mixed_requests


def test_nothing_is_left_on_the_model_or_in_memory(backend: Backend) -> None:
    model = backend("qwen2_5_vl", 2)
    modules = list(model._checkpoint.model.modules())

    def hooked() -> int:
        return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in modules)

    before = hooked()
    alive: list[weakref.ref[Any]] = []
    for number, (_, kept) in enumerate(model.capture(asked("qwen2_5_vl"), EVERYTHING)):
        assert kept is not None
        alive += [weakref.ref(array) for site, array in kept.arrays.items() if "grid" not in site]
        assert all(array.base is None or "grid" in site for site, array in kept.arrays.items())
        del kept
        if number == 9:
            gc.collect()
            assert sum(found() is not None for found in alive) < len(alive) // 2
    assert hooked() == before
    running = model.capture(asked("qwen2_5_vl"), EVERYTHING)
    next(running)
    assert hooked() == before  # between batches, too
    del running


def test_a_failed_request_has_no_states_and_harms_no_other(
    backend: Backend, states: Callable[[str], States]
) -> None:
    def broken() -> Any:
        raise OSError("no such picture")

    requests = asked("llava")
    bad = ask("bad", ImageRef("broken", broken), "which?", choices=WORDS)
    found = {
        r.request_id: (r, kept)
        for r, kept in backend("llava").capture([*requests, bad], EVERYTHING)
    }
    response, kept = found.pop("bad")
    assert isinstance(response.outcome, Failure)
    assert kept is None
    for request in requests:
        made = found[request.id][1]
        assert made is not None
        check(made, states("llava").expected(request))


def test_halved_batches_give_the_same(
    backend: Backend, states: Callable[[str], States], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was summed in a pass that failed is forgotten."""
    model = HfModel(backend("qwen2_5_vl")._checkpoint, name="fresh", batch_size=8)
    requests = asked("qwen2_5_vl")
    list(model.loglikelihood(requests[:1]))
    forward = model._checkpoint.model.forward
    calls = 0

    @functools.wraps(forward)
    def sometimes(**given: Any) -> Any:
        nonlocal calls
        made = forward(**given)
        calls += 1
        if calls % 5 == 0:
            raise MemoryError
        return made

    monkeypatch.setattr(model._checkpoint.model, "forward", sometimes)
    answered = 0
    for response, kept in model.capture(requests, EVERYTHING):
        request = next(q for q in requests if q.id == response.request_id)
        if isinstance(response.outcome, Failure):
            assert kept is None
        else:
            answered += 1
            assert kept is not None
            check(kept, states("qwen2_5_vl").expected(request))
    assert calls > 5
    assert answered > len(requests) // 2


def test_states_that_are_not_finite_fail_their_request(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    end = hooks.Recording._end

    def spoilt(self: Any) -> None:
        end(self)
        for (row, _), (states, _) in self.found.items():
            if row.encoded.request.id == "tall":
                states[1, 0] = np.inf

    monkeypatch.setattr(hooks.Recording, "_end", spoilt)
    for response, kept in backend("llava").capture(mixed_requests(), CaptureSpec()):
        if response.request_id == "tall":
            assert isinstance(response.outcome, Failure)
            assert "hidden states are not finite" in response.outcome.message
        else:
            assert isinstance(response.outcome, Answer)
        assert (kept is None) == isinstance(response.outcome, Failure)


def test_a_wrong_specification_is_refused(backend: Backend) -> None:
    model = backend("llava")
    with pytest.raises(UsageError, match=r"no layer 4; it has 4: 0 \(embeddings\) to 3"):
        model.capture([], CaptureSpec(layers=(4,)))
    with pytest.raises(UsageError, match="no layer -5"):
        model.capture([], CaptureSpec(layers=(-5,)))
    wrong: list[dict[str, Any]] = [
        {"sites": ()},
        {"sites": ("prompt_last", "prompt_last")},
        {"sites": ("prompt",)},
        {"layers": 0},
        {"layers": ()},
        {"norm": "none"},
        {"layer": 1},
    ]
    for options in wrong:
        with pytest.raises(pydantic.ValidationError):
            CaptureSpec(**options)


def test_layers_that_cannot_be_told_are_refused(backend: Backend) -> None:
    class Twice(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one = torch.nn.ModuleList([torch.nn.Linear(1, 1)] * 3)
            self.two = torch.nn.ModuleList([torch.nn.Linear(1, 1)] * 3)
            self.config = backend("llava")._checkpoint.model.config

        def get_decoder(self) -> Any:
            return self

    with pytest.raises(ModelError, match="candidates: one, two"):
        decoder_blocks(Twice())
    model = backend("llava")._checkpoint.model
    decoder, blocks = decoder_blocks(model)
    assert decoder is model.base_model.language_model
    assert blocks is decoder.layers
