"""What the states of a model are, read off it one sequence at a time."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from vlm_eval.core.capture import Captured, CaptureSpec
from vlm_eval.core.types import Answer, Request
from vlm_eval.models.hf import HfModel

from .questions import WORDS, ask, mixed_requests, picture
from .reference import Reference

Backend = Callable[..., HfModel]
Of = Callable[[str], Reference]
Array = NDArray[np.float32]
HIGHEST = {
    "qwen2_5_vl": "tree",
    "qwen3_vl": "tree",
    "llava": "tree",
    "idefics3": "tree",
    "internvl": "tree",
    "gemma3": "prefix",
    "qwen3_5": "prefix",
    "paligemma": "memo",
}
LEVELS = ["naive", "memo", "prefix", "tree"]
EVERYTHING = CaptureSpec(
    sites=("prompt_last", "vision_mean", "answer_mean", "answer_last", "vision_grid"),
    norm="both",
    answers="all",
)


def asked(name: str) -> list[Request]:
    """Several questions an image, pairs of images, texts alone; letters and long options."""
    found = mixed_requests()
    for number, text in enumerate(["which board?", "left or right:"]):
        found.append(ask(f"more-{number}", picture(1), text, choices=WORDS))
        found.append(ask(f"two-{number}", picture(1), picture(2), text, choices=WORDS))
    return [q for q in found if name != "paligemma" or (len(q.images) == 1 and q.id != "system")]


class States:
    """The hidden states of the plain model, before and after its norm."""

    def __init__(self, reference: Reference) -> None:
        self.reference, self.model = reference, reference.model
        base = self.model.base_model
        text = base.text_model if hasattr(base, "text_model") else base.language_model
        self._last = text.layers[-1]
        self.of = functools.cache(self._of)

    def _of(self, request: Request, option: str | None = None) -> Array:
        return self.run(self.reference.inputs(request, option))

    @torch.inference_mode()
    def run(self, inputs: dict[str, Any]) -> Array:
        """Shape (layers + 2, tokens, width): embeddings, after each block, after the norm."""
        seen: list[Any] = []
        hook = self._last.register_forward_hook(lambda *given: seen.append(given[-1]))
        made = self.model(**inputs, use_cache=False, output_hidden_states=True).hidden_states
        hook.remove()
        last = seen[0] if isinstance(seen[0], torch.Tensor) else seen[0][0]
        states: Array = torch.stack([*made[:-1], last, made[-1]])[:, 0].numpy()
        return states

    def expected(self, request: Request) -> dict[str, Array]:
        prompt = self.reference.inputs(request)
        start = prompt["input_ids"].shape[1]
        # An option's tokens do not change what is before them; PaliGemma marks them, so take one.
        first = self.of(request, request.choices[0] if request.choices else None)
        found = {"prompt_last": first[:, start - 1]}
        if request.images:
            image = (prompt["input_ids"][0] == self.model.config.image_token_id).numpy()
            found["vision_mean"] = first[:, :start][:, image].mean(1)
        if request.choices:
            tails = [self.of(request, choice)[:, start:] for choice in request.choices]
            found["answer_mean"] = np.stack([tail.mean(1) for tail in tails])
            found["answer_last"] = np.stack([tail[:, -1] for tail in tails])
        return found

    def generated(self, request: Request, tokens: Sequence[int]) -> dict[str, Array]:
        """The states of the tokens of an answer that was generated."""
        inputs = self.reference.inputs(request)
        start = inputs["input_ids"].shape[1]
        more = torch.tensor([tokens])
        marks = type(self.reference.processor).__name__ == "PaliGemmaProcessor"
        new = {
            "input_ids": more,
            "attention_mask": torch.ones_like(more),
            "mm_token_type_ids": torch.zeros_like(more),
            "token_type_ids": torch.full_like(more, marks),
        }
        for key in new.keys() & inputs.keys():
            inputs[key] = torch.cat([inputs[key], new[key]], 1)
        tail = self.run(inputs)[:, start:]
        return {"answer_mean": tail.mean(1), "answer_last": tail[:, -1]}


def captured(
    model: HfModel, requests: Sequence[Request], spec: CaptureSpec = EVERYTHING
) -> dict[str, tuple[Answer, Captured]]:
    found = {}
    for response, kept in model.capture(requests, spec):
        assert isinstance(response.outcome, Answer), response.outcome
        assert kept is not None
        assert kept.request_id == response.request_id
        assert all(array.dtype == np.float32 for array in kept.arrays.values())
        found[response.request_id] = response.outcome, kept
    assert found.keys() == {request.id for request in requests}
    return found


def apart(found: Array, expected: Array) -> float:
    """The largest difference of a state, relative to the state's length."""
    assert found.shape == expected.shape
    lengths = np.linalg.norm(expected, axis=-1)
    return float((np.linalg.norm(found - expected, axis=-1) / lengths).max())


def check(found: Captured, expected: dict[str, Array]) -> None:
    assert (
        found.arrays.keys() - {"vision_grid", "vision_grid_1", "vision_grid_2"} == expected.keys()
    )
    for site, array in expected.items():
        assert apart(found.arrays[site], array) < 1e-4, (found.request_id, site)


def fed_by(model: HfModel, run: Callable[[], object]) -> list[int]:
    """How many tokens, padding included, each pass of a run was fed."""
    fed: list[int] = []

    def count(_: object, __: object, given: dict[str, torch.Tensor]) -> None:
        fed.append(given["input_ids"].numel())

    hook = model._checkpoint.model.register_forward_pre_hook(count, with_kwargs=True)
    run()
    hook.remove()
    return fed
