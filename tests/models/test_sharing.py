"""The levels are exact, wrong ones are refused, and a wrong computation is seen."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from vlm_eval.core.capture import CaptureSpec
from vlm_eval.core.errors import ModelError
from vlm_eval.core.types import Answer, Decoding, Request
from vlm_eval.models import prefix as prefix_module
from vlm_eval.models.hf import HfModel
from vlm_eval.models.inputs import Encoded
from vlm_eval.models.tree import TokenTree

from .questions import PHRASES, WORDS, ask, picture, to_generate
from .reference import Reference

Backend = Callable[..., HfModel]
Of = Callable[[str], Reference]

HIGHEST = {
    "qwen2_5_vl": "tree",
    "qwen3_vl": "tree",
    "llava": "tree",
    "llava_onevision": "tree",
    "idefics3": "tree",
    "internvl": "tree",
    "gemma3": "prefix",  # a sliding window shorter than the prompt
    "qwen3_5": "prefix",  # linear attention
    "paligemma": "memo",  # the image attends to the prompt
}
LEVELS = ["naive", "memo", "prefix", "tree"]


def grid() -> list[Request]:
    """Two images, each asked several things, some of them before the image; and pairs of images."""
    asked = ["which colour?", "which board is it, left or right?", "red yes or no:", "red or"]
    found = []
    for image in (1, 2):
        for i, text in enumerate(asked):
            choices = PHRASES if i % 2 else WORDS
            found.append(ask(f"{image}-{i}", picture(image), text, choices=choices))
            found.append(ask(f"{image}-{i}-t", text, picture(image), choices=PHRASES))
    for i, text in enumerate(asked[:2]):
        pair = ask(f"pair-{i}", "1", picture(1), "2", picture(2), text, choices=PHRASES)
        found.append(pair)
    return found


def scored(model: HfModel, requests: Sequence[Request]) -> dict[str, Answer]:
    answers = {}
    for response in model.loglikelihood(requests):
        assert isinstance(response.outcome, Answer), response.outcome
        answers[response.request_id] = response.outcome
    return answers


@pytest.mark.parametrize("name", HIGHEST)
def test_auto_takes_the_highest_exact_level(name: str, backend: Backend, reference: Of) -> None:
    model = backend(name, 4)
    assert reference(name).worst(scored(model, grid()), grid()) < 1e-4
    engine = model.describe()["engine"]
    assert (engine["level"], engine["proven"]) == (HIGHEST[name], True)
    assert (engine["why"] == "") == (engine["level"] == "tree")


@pytest.mark.parametrize(
    ("name", "level"),
    [(n, level) for n, top in HIGHEST.items() for level in LEVELS[: LEVELS.index(top) + 1]],
)
@pytest.mark.parametrize("batch_size", [1, 5])
def test_every_level_is_exact(
    name: str, level: str, batch_size: int, backend: Backend, reference: Of
) -> None:
    model = backend(name, batch_size, f"engine={level}")
    assert reference(name).worst(scored(model, grid()), grid()) < 1e-4


@pytest.mark.parametrize(
    ("name", "level"),
    [(n, level) for n, top in HIGHEST.items() for level in LEVELS[LEVELS.index(top) + 1 :]],
)
def test_a_level_that_is_wrong_for_the_architecture_is_refused(
    name: str, level: str, backend: Backend
) -> None:
    with pytest.raises(ModelError, match=f"--engine {level}: .*highest level for it is"):
        backend(name, 1, f"engine={level}")


@pytest.mark.parametrize("name", HIGHEST)
def test_generated_answers_are_the_same_at_every_level(
    name: str, backend: Backend, reference: Of
) -> None:
    by_hand = reference(name)
    requests = to_generate(grid(), Decoding(max_new_tokens=6))
    expected = {q.id: by_hand.decode(by_hand.generated(q)) for q in requests}
    for level in LEVELS[: LEVELS.index(HIGHEST[name]) + 1]:
        responses = backend(name, 5, f"engine={level}").generate(requests)
        assert {r.request_id: r.outcome.text for r in responses} == expected  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("name", "level"),
    [(n, level) for n, top in HIGHEST.items() for level in LEVELS[: LEVELS.index(top) + 1]],
)
def test_what_has_the_same_pixels_is_answered_the_same_to_the_bit(
    name: str, level: str, backend: Backend
) -> None:
    """An identity or a lossless round trip has a name of its own, and the content of the image."""
    requests = []
    for seed in (1, 2, 3):
        image = picture(seed + 30)
        copies = {f"{recipe}-{seed}": replace(image, key=f"{recipe} of {image.key}")
                  for recipe in ("identity", "reencode")}  # fmt: skip
        turned = picture(seed + 40)
        for text in ("which colour?", "which board is it, left or right?"):
            for kind, shown in {f"clean-{seed}": image, **copies, f"turned-{seed}": turned}.items():
                requests.append(ask(f"{kind} {text}", shown, text, choices=PHRASES))
    model = backend(name, 3, f"engine={level}")
    spec = CaptureSpec(sites=("prompt_last", "answer_mean", "vision_mean"))
    encoded = model.describe()["counters"]["images_encoded"]
    found = {response.request_id: (response, states)
             for response, states in model.capture(requests, spec)}  # fmt: skip
    assert found.keys() == {request.id for request in requests}
    if model.describe()["engine"]["vision_memo"]:
        assert model.describe()["counters"]["images_encoded"] == encoded + 6
    for request in requests:
        kind, text = request.id.split(" ", 1)
        response, states = found[request.id]
        same, others = found[f"clean-{kind[-1]} {text}"]
        assert states.request_id == request.id
        unchanged = not kind.startswith("turned")
        assert (response.outcome == same.outcome) is unchanged
        for site, array in states.arrays.items():
            assert np.array_equal(array, others.arrays[site]) is unchanged, (kind, site)


def test_long_tails_are_cut_into_several_passes(
    backend: Backend, reference: Of, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prefix_module, "_TAILS", 12)
    for level in ("prefix", "tree"):
        model = backend("qwen2_5_vl", 5, f"engine={level},batch_tokens=12")
        assert reference("qwen2_5_vl").worst(scored(model, grid()), grid()) < 1e-4


def test_nothing_is_computed_twice(backend: Backend) -> None:
    """What is fed is each distinct beginning of a sequence, once."""
    model = backend("qwen2_5_vl", 1, "engine=tree")
    asked = [q for q in grid() if not q.id.endswith("-t") and len(q.images) == 1]
    scored(model, asked)  # the level is proved
    fed = 0

    def count(_: object, __: object, given: dict[str, torch.Tensor]) -> None:
        nonlocal fed
        fed += given["input_ids"].numel()

    hook = model._checkpoint.model.register_forward_pre_hook(count, with_kwargs=True)
    scored(model, asked)
    hook.remove()
    distinct = set()
    for request in asked:
        encoded = model._encoder.encode(request)
        assert isinstance(encoded, Encoded)
        for row in model._engine.scoring.rows(encoded):
            ids = tuple(row.tokens.ids.tolist())
            distinct |= {(request.images, ids[: i + 1]) for i in range(len(ids))}
    assert fed == len(distinct)


def broken_positions(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tokens counted from 0 on, as if the image were text: M-RoPE lost."""
    positions = prefix_module.Forward.positions

    def plain(self: Any, rows: Any) -> torch.Tensor:
        found = positions(self, rows)
        return torch.arange(found.shape[-1]).expand(found.shape).clone()

    monkeypatch.setattr(prefix_module.Forward, "positions", plain)


def broken_mask(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every node sees every node before it, whether ancestor or not."""

    def causal(_: Any, size: int) -> torch.Tensor:
        return torch.ones(size, size, dtype=torch.bool).tril()

    monkeypatch.setattr(TokenTree, "ancestry", causal)


def shuffled_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    """The values of a layer in another order."""
    compute = prefix_module.Prefix._compute

    def flipped(self: Any) -> Any:
        cache = compute(self)
        cache.layers[0].values = cache.layers[0].values.flip(-2)
        return cache

    monkeypatch.setattr(prefix_module.Prefix, "_compute", flipped)


@pytest.mark.parametrize(
    ("damage", "falls_to"),
    [(broken_positions, "memo"), (broken_mask, "prefix"), (shuffled_cache, "memo")],
)
def test_a_wrong_computation_steps_down_loudly(
    damage: Callable[[pytest.MonkeyPatch], None],
    falls_to: str,
    backend: Backend,
    reference: Of,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    fresh = HfModel(backend("qwen2_5_vl")._checkpoint, name="fresh", batch_size=4)
    damage(monkeypatch)
    with caplog.at_level(logging.WARNING):
        answers = scored(fresh, grid())
    assert fresh.describe()["engine"]["level"] == falls_to
    assert "steps down from tree to prefix" in caplog.text
    assert reference("qwen2_5_vl").worst(answers, grid()) < 1e-4


def test_a_wrong_computation_of_a_named_level_is_an_error(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = backend("qwen2_5_vl", 7, "engine=tree")
    broken_mask(monkeypatch)
    with pytest.raises(ModelError, match="not exact for this model"):
        scored(model, grid())


def test_the_damage_is_real(
    backend: Backend, reference: Of, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the check catches would have changed the scores, had nobody looked."""
    for damage in (broken_positions, broken_mask, shuffled_cache):
        model = HfModel(backend("qwen2_5_vl")._checkpoint, name="fresh", batch_size=4)
        model._engine.sharing.proven = True
        with pytest.MonkeyPatch.context() as patch:
            damage(patch)
            assert reference("qwen2_5_vl").worst(scored(model, grid()), grid()) > 0.01


@pytest.mark.parametrize("engine", ["auto", "tree"])
def test_lack_of_memory_in_the_probe_is_no_difference(
    engine: str,
    backend: Backend,
    reference: Of,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The level stays; the batch is halved and its requests are asked again."""
    model = HfModel(
        backend("qwen2_5_vl", 3, f"engine={engine}")._checkpoint, name="m", batch_size=4
    )
    compute, refused = prefix_module.Prefix._compute, []

    def small(self: Any) -> Any:
        if len(refused) < 2:
            refused.append(len(self.rows))
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return compute(self)

    monkeypatch.setattr(prefix_module.Prefix, "_compute", small)
    with caplog.at_level(logging.WARNING):
        answers = scored(model, grid())
    described = model.describe()["engine"]
    assert (described["level"], described["why"], described["proven"]) == ("tree", "", True)
    assert len(refused) == 2
    assert "steps down" not in caplog.text
    assert "out of memory" in caplog.text
    assert reference("qwen2_5_vl").worst(answers, grid()) < 1e-4
