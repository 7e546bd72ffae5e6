"""Edits of the residual stream: none changes nothing, and one does what it says, on every kind."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from vlm_eval.core.capture import CaptureSpec
from vlm_eval.core.errors import ModelError, UsageError
from vlm_eval.core.types import Answer, Decoding, Failure, ImageRef, Request, Response
from vlm_eval.models.hf import HfModel
from vlm_eval.models.hooks import decoder_blocks
from vlm_eval.models.interventions import At, Edit, Editing, Places, Residuals

from .questions import WORDS, ask, mixed_requests, picture, to_generate
from .reference import Reference

Backend = Callable[..., HfModel]
Of = Callable[[str], Reference]
Array = NDArray[np.float32]

# Positions with several components; plain; sliding windows; tiles; expanded image tokens; a mixture
# with states in place of keys; attention both ways.
KINDS = [
    "qwen2_5_vl",
    "qwen3_vl",
    "llava",
    "gemma3",
    "idefics3",
    "internvl",
    "qwen3_5",
    "paligemma",
]
LAYERS, WIDTH = 3, 64


def asked(name: str) -> list[Request]:
    found = mixed_requests()
    return [q for q in found if name != "paligemma" or (len(q.images) == 1 and q.id != "system")]


def answers(responses: Any) -> dict[str, Answer]:
    found = {}
    for response in responses:
        assert isinstance(response.outcome, Answer), response.outcome
        found[response.request_id] = response.outcome
    return found


def scores(answer: Answer) -> Array:
    assert answer.logprobs is not None
    return np.array(answer.logprobs)


def read(model: HfModel, requests: Sequence[Request], at: At = "prompt") -> dict[str, Residuals]:
    found = {}
    for response, residuals in model.residuals(requests, range(LAYERS + 1), at):
        assert isinstance(response.outcome, Answer), response.outcome
        assert residuals is not None
        found[response.request_id] = residuals
    return found


def noise(*shape: int) -> Array:
    return np.random.default_rng(0).normal(size=shape).astype(np.float32) * 30


def again(request: Request, name: str) -> Request:
    return dataclasses.replace(request, id=f"{request.id} {name}")


@pytest.mark.parametrize("name", KINDS)
def test_alpha_0_changes_nothing(name: str, backend: Backend) -> None:
    model, requests = backend(name, 4), asked(name)
    plain = answers(model.loglikelihood(requests))
    edits = [
        Edit(q.id, layer, "prompt", noise(WIDTH), how, alpha=0)
        for q in requests
        for layer, how in ((0, "set"), (1, "add"), (LAYERS, "set"))
    ]
    edited = answers(model.intervene(requests, edits))
    for request in requests:
        assert np.abs(scores(edited[request.id]) - scores(plain[request.id])).max() <= 1e-6
    # A step that is too small to change a float takes the way of all others.
    small = [dataclasses.replace(edit, alpha=1e-30) for edit in edits]
    edited = answers(model.intervene(requests, small))
    for request in requests:
        assert np.abs(scores(edited[request.id]) - scores(plain[request.id])).max() < 1e-4


@pytest.mark.parametrize("name", KINDS)
def test_alpha_0_generates_the_same_tokens(name: str, backend: Backend) -> None:
    requests = to_generate(asked(name), Decoding(max_new_tokens=5))
    model = backend(name, 4)
    plain = answers(model.generate(requests))
    for at in ("prompt", "prompt_last"):
        edits = [Edit(q.id, 2, at, noise(WIDTH), alpha=0) for q in requests]
        edited = answers(model.intervene(requests, edits))
        assert {k: a.text for k, a in edited.items()} == {k: a.text for k, a in plain.items()}


@pytest.mark.parametrize("name", KINDS)
def test_a_state_set_to_itself_changes_nothing(name: str, backend: Backend) -> None:
    model, requests = backend(name, 4), asked(name)
    plain, own = answers(model.intervene(requests, [])), read(model, requests)
    for layer in range(LAYERS + 1):
        edits = [Edit(q.id, layer, "prompt", own[q.id].states[layer]) for q in requests]
        edited = answers(model.intervene(requests, edits))
        for request in requests:
            assert scores(edited[request.id]) == pytest.approx(scores(plain[request.id]), abs=1e-4)


@pytest.mark.parametrize("name", KINDS)
def test_the_last_state_of_another_gives_its_next_token(name: str, backend: Backend) -> None:
    model = backend(name, 4)
    words = ("X", "!", "?")  # one token each
    one = ask("one", picture(1), "which player is the winner?", choices=words)
    other = ask("other", picture(3, 60, 120), "left or right:", choices=words)
    last = len(decoder_blocks(model._checkpoint.model)[1])
    plain = answers(model.intervene([one, other], []))
    ((_, state),) = model.residuals([other], (last,), "prompt_last")
    assert np.abs(scores(plain["one"]) - scores(plain["other"])).max() > 0.1
    assert state is not None
    edit = Edit("one", last, "prompt_last", state.states[0])
    edited = answers(model.intervene([one, other], [edit]))
    assert scores(edited["one"]) == pytest.approx(scores(plain["other"]), abs=1e-5)
    assert scores(edited["other"]) == pytest.approx(scores(plain["other"]), abs=1e-6)


@pytest.mark.parametrize("name", KINDS)
def test_all_states_of_another_give_its_answer(name: str, backend: Backend) -> None:
    """Two images in one prompt: from the embeddings on, everything is the other's."""
    model = backend(name, 4)
    words = (*WORDS, "the loser of the board")
    one, other = (
        ask(n, picture(i), "which player?", choices=words) for n, i in (("1", 1), ("2", 2))
    )
    plain, states = answers(model.intervene([one, other], [])), read(model, [other])["2"].states
    assert np.abs(scores(plain["1"]) - scores(plain["2"])).max() > 1e-3
    # Qwen3-VL adds features of the image to the first blocks' outputs once more.
    layers = [LAYERS] if name == "qwen3_vl" else range(LAYERS + 1)
    for layer in layers:
        edited = answers(model.intervene([one], [Edit("1", layer, "prompt", states[layer])]))
        apart = np.abs(scores(edited["1"]) - scores(plain["2"]))
        assert apart[2] < 1e-4, (layer, apart)  # the one-token option: nothing is fed after it
        if layer == 0:
            assert apart.max() < 1e-4, apart


@pytest.mark.parametrize("name", ["qwen2_5_vl", "llava", "gemma3", "internvl"])
def test_edits_equal_those_of_the_plain_model(name: str, backend: Backend, reference: Of) -> None:
    """By hand: one sequence, one hook that writes into one block's output."""
    by_hand, requests = reference(name), asked(name)
    edits = {
        q.id: Edit(q.id, 1 + i % LAYERS, (-1, -4, 2), noise(3, WIDTH), how, alpha=0.7)
        for i, q in enumerate(requests)
        for how in [("set", "add")[i % 2]]
    }
    edited = answers(backend(name, 3).intervene(requests, list(edits.values())))
    _, blocks = decoder_blocks(by_hand.model)
    for request in requests:
        edit = edits[request.id]
        start = by_hand.inputs(request)["input_ids"].shape[1]

        def write(_: Any, __: Any, output: Any, edit: Edit = edit, start: int = start) -> Any:
            states = (output if isinstance(output, torch.Tensor) else output[0]).clone()
            rows, vectors = [start - 1, start - 4, 2], torch.from_numpy(edit.states)
            old = states[0, rows]
            step = vectors if edit.how == "add" else vectors - old
            states[0, rows] = old + 0.7 * step
            return states if isinstance(output, torch.Tensor) else (states, *output[1:])

        handle = blocks[edit.layer - 1].register_forward_hook(write)
        expected, _ = by_hand._scores(request)
        handle.remove()
        assert scores(edited[request.id]) == pytest.approx(expected, abs=1e-4), request.id


@pytest.mark.parametrize("name", ["qwen2_5_vl", "llava", "gemma3", "qwen3_5"])
def test_generation_sees_the_edit_through_the_cache_alone(
    name: str, backend: Backend, reference: Of
) -> None:
    """By hand: the block's output is changed in the first pass only."""
    by_hand = reference(name)
    requests = to_generate(asked(name)[:4], Decoding(max_new_tokens=5))
    vectors = {q.id: noise(4, WIDTH)[i] for i, q in enumerate(requests)}
    edits = [Edit(q.id, 2, "prompt_last", vectors[q.id]) for q in requests]
    made = {b: answers(backend(name, b).intervene(requests, edits)) for b in (1, 3)}
    plain = answers(backend(name, 3).generate(requests))
    _, blocks = decoder_blocks(by_hand.model)
    changed = 0
    for request in requests:
        length = by_hand.inputs(request)["input_ids"].shape[1]

        def write(_: Any, __: Any, output: Any, length: int = length, of: str = request.id) -> Any:
            states = (output if isinstance(output, torch.Tensor) else output[0]).clone()
            if states.shape[1] == length:
                states[0, -1] = torch.from_numpy(vectors[of])
            return states if isinstance(output, torch.Tensor) else (states, *output[1:])

        handle = blocks[1].register_forward_hook(write)
        expected = by_hand.decode(by_hand.generated(request))
        handle.remove()
        assert made[1][request.id].text == made[3][request.id].text == expected
        changed += expected != plain[request.id].text
    assert changed


@pytest.mark.parametrize("name", ["qwen2_5_vl", "llava", "gemma3"])
def test_many_edits_of_one_question(name: str, backend: Backend) -> None:
    """What stands before the last token is computed once for all of them, and that is exact."""
    model = backend(name, 4)
    question = ask("q", picture(1), "which player is the winner?", choices=WORDS)
    variants = [again(question, str(i)) for i in range(9)]
    vectors = noise(9, WIDTH)
    last = [
        Edit(q.id, i % 4, "prompt_last", v)
        for i, (q, v) in enumerate(zip(variants, vectors, strict=True))
    ]
    fed: list[int] = []

    def count(_: object, __: object, given: dict[str, Any]) -> None:
        fed.append(given["input_ids"].numel())

    hook = model._checkpoint.model.register_forward_pre_hook(count, with_kwargs=True)
    together = answers(model.intervene(variants, last))
    shared = sum(fed)
    # An edit of the last token by its number: the same, but nothing is known of it beforehand.
    fed.clear()
    apart = answers(model.intervene(variants, [dataclasses.replace(e, at=(-1,)) for e in last]))
    hook.remove()
    assert shared < sum(fed)
    for variant in variants:
        assert scores(together[variant.id]) == pytest.approx(scores(apart[variant.id]), abs=1e-4)


def test_layers_are_those_of_capture(backend: Backend) -> None:
    model, requests = backend("llava", 3), asked("llava")
    spec = CaptureSpec(sites=("prompt_last",), norm="before")
    captured = {r.request_id: kept for r, kept in model.capture(requests, spec)}
    own = read(model, requests, "prompt_last")
    for request in requests:
        kept = captured[request.id]
        assert kept is not None
        assert own[request.id].states[:, 0] == pytest.approx(
            kept.arrays["prompt_last"], rel=1e-3, abs=1e-3
        )


def test_places(backend: Backend) -> None:
    model = backend("llava")
    places = read(model, asked("llava"))["first"].places
    first, last = places.image[0], places.image[-1]
    assert places.image == tuple(range(first, last + 1))
    assert len(places.image) == 16
    assert places.of("prompt") == tuple(range(places.tokens))
    assert places.of("after_image") == tuple(range(last + 1, places.tokens))
    assert places.of("prompt_last") == (places.tokens - 1,)
    assert places.of((-1, 0)) == (places.tokens - 1, 0)
    for wrong in ((), (0, 0), (places.tokens,), (-1, places.tokens - 1), (-places.tokens - 1,)):
        with pytest.raises(UsageError, match="no positions"):
            places.of(wrong)
    for at in ("image", "after_image"):
        with pytest.raises(UsageError, match="no image tokens"):
            Places(7, ()).of(at)


def refused(model: HfModel, request: Request, *edits: Edit) -> str:
    with pytest.raises((UsageError, ModelError)) as raised:
        list(model.intervene([request], edits))
    return str(raised.value)


def test_what_does_not_fit_is_refused(backend: Backend) -> None:
    model = backend("llava")
    request = ask("q", picture(1), "which?", choices=WORDS)
    one = noise(WIDTH)
    assert "no layer 4" in refused(model, request, Edit("q", 4, "prompt", one))
    assert "no layer -1" in refused(model, request, Edit("q", -1, "prompt", one))
    assert "not asked" in refused(model, request, Edit("p", 1, "prompt", one))
    assert "2 vectors for 1 tokens" in refused(
        model, request, Edit("q", 1, "prompt_last", noise(2, WIDTH))
    )
    assert "width 63" in refused(model, request, Edit("q", 1, "prompt_last", noise(63)))
    assert "shape (1, 1, 64)" in refused(model, request, Edit("q", 1, "image", noise(1, 1, WIDTH)))
    twice = Edit("q", 1, "prompt_last", one), Edit("q", 1, "prompt", one)
    assert "one token of a layer" in refused(model, request, *twice)
    with pytest.raises(ValueError, match="choices or a decoding"):
        model.intervene([ask("neither", "?")], [])
    with pytest.raises(UsageError, match="must rise"):
        model.residuals([request], (2, 1))
    with pytest.raises(UsageError, match="no layer 4"):
        model.residuals([request], (4,))


def test_blocks_that_cannot_be_found_or_edited_are_refused(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = backend("llava_onevision")
    request = ask("q", picture(1), "which?", choices=WORDS)
    edit = Edit("q", 1, "prompt_last", noise(WIDTH))
    inner = model._checkpoint.model
    with monkeypatch.context() as patch:
        patch.setattr(inner.config.get_text_config(), "num_hidden_layers", 7)
        assert "cannot be told" in refused(model, request, edit)
    with monkeypatch.context() as patch:  # a block that is listed but never called
        _, blocks = decoder_blocks(inner)
        silent = torch.nn.ModuleList([torch.nn.Identity(), *list(blocks)[1:]])
        patch.setattr(
            "vlm_eval.models.interventions.decoder_blocks", lambda m: (m.get_decoder(), silent)
        )
        assert "were not passed" in refused(model, request, edit)


def test_an_edit_that_met_no_token_is_no_answer(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = ask("q", picture(1), "which?", choices=WORDS)
    monkeypatch.setattr(Editing, "place", lambda *_: None)
    with pytest.raises(ModelError, match="met no token"):
        list(backend("llava").intervene([request], [Edit("q", 1, "prompt", noise(WIDTH))]))


def test_nothing_is_left_on_the_model_and_failures_stay_their_own(backend: Backend) -> None:
    def broken() -> Any:
        raise OSError("no such picture")

    model, requests = backend("qwen2_5_vl", 2), asked("qwen2_5_vl")
    modules = list(model._checkpoint.model.modules())

    def hooked() -> int:
        return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in modules)

    before = hooked()
    bad = ask("bad", ImageRef("broken", broken), "which?", choices=WORDS)
    edits = [Edit(q.id, 1, "prompt", noise(WIDTH)) for q in [*requests, bad]]
    found: dict[str, Response] = {r.request_id: r for r in model.intervene([*requests, bad], edits)}
    assert isinstance(found["bad"].outcome, Failure)
    assert all(isinstance(found[q.id].outcome, Answer) for q in requests)
    assert {r.request_id: kept for r, kept in model.residuals([bad], (1,))} == {"bad": None}
    running = model.intervene(requests, edits[:-1])
    next(running)
    assert hooked() == before
    del running


@pytest.mark.parametrize("engine", ["naive", "memo", "prefix", "tree"])
@pytest.mark.parametrize("at", ["prompt_last", "after_image"])
def test_the_engine_does_not_matter(
    engine: str, at: Literal["prompt_last", "after_image"], backend: Backend
) -> None:
    requests = [q for q in asked("qwen2_5_vl") if q.images]
    edits = [Edit(q.id, 1 + i % 3, at, noise(WIDTH), "add") for i, q in enumerate(requests)]
    made = answers(backend("qwen2_5_vl", 3, f"engine={engine}").intervene(requests, edits))
    auto = answers(backend("qwen2_5_vl", 5).intervene(requests, edits))
    for request in requests:
        assert scores(made[request.id]) == pytest.approx(scores(auto[request.id]), abs=1e-4)
