"""Placement: everything is where the model needs it, on one accelerator or over several."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from vlm_eval.core.types import Answer, Decoding, Request
from vlm_eval.models.checkpoint import CheckpointOptions, load_weights, pick_device
from vlm_eval.models.forward import _Features
from vlm_eval.models.hf import HfModel
from vlm_eval.models.loading import HfOptions, load_checkpoint

from .devices import Pretended, place_of, put, spread, tensors
from .questions import PHRASES, WORDS, ask, picture, to_generate

Backend = Callable[..., HfModel]
CUDA = torch.device("cuda", 0)


def questions() -> list[Request]:
    asked = ["which colour?", "which board is it, left or right?"]
    found = [
        ask(f"{image}-{i}", picture(image), text, choices=PHRASES if i else WORDS)
        for image in (1, 2)
        for i, text in enumerate(asked)
    ]
    return [*found, ask("pair", "1", picture(1), "2", picture(2), asked[0], choices=PHRASES)]


def outcomes(model: HfModel, requests: Sequence[Request]) -> dict[str, Answer]:
    written = to_generate(requests, Decoding(max_new_tokens=4))
    found = {f"score {r.request_id}": r.outcome for r in model.loglikelihood(requests)}
    found |= {f"text {r.request_id}": r.outcome for r in model.generate(written)}
    failed = [outcome for outcome in found.values() if not isinstance(outcome, Answer)]
    assert not failed, failed[0]
    return found  # type: ignore[return-value]


def over_two(model: Any) -> dict[str, str]:
    """Spread a model as ``device_map=auto`` does: its last blocks and its head on the second."""
    text = model.get_decoder()
    name = next(name for name, module in model.named_modules() if module is text)
    second = {f"{name}.norm", *(f"{name}.layers.{i}" for i in range(1, len(text.layers)))}
    tied = model.lm_head.weight is text.embed_tokens.weight
    leaves = [key for key, _ in [*model.named_parameters(), *model.named_buffers()]]
    modules = {key.rpartition(".")[0] for key in leaves}
    places = {key: "cuda:0" for key in modules if not any(key.startswith(s) for s in second)}
    head = {"lm_head": "cuda:0" if tied else "cuda:1"}
    return {**places, **dict.fromkeys(second, "cuda:1"), **head}


@pytest.mark.parametrize("name", ["qwen3_vl", "llava", "gemma3"])
@pytest.mark.parametrize("devices", [1, 2])
def test_an_accelerator_gives_what_the_cpu_gives(
    name: str,
    devices: int,
    checkpoint: Callable[[str], Path],
    backend: Backend,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    expected = outcomes(backend(name), questions())
    loaded = load_checkpoint(str(checkpoint(name)), HfOptions(batch_tokens=1024), device="cpu")
    if devices == 1:
        for tensor in tensors(loaded.model):
            put(tensor, CUDA)
    else:
        spread(loaded.model, over_two(loaded.model), monkeypatch)
        assert {place_of(tensor) for tensor in tensors(loaded.model)} == {
            CUDA,
            torch.device("cuda", 1),
        }
    with Pretended():
        assert loaded.device == CUDA
        model = HfModel(loaded, name="there", batch_size=3)
        found = outcomes(model, questions())
    for key, answer in expected.items():
        assert found[key].text == answer.text
        assert found[key].logprobs == pytest.approx(answer.logprobs, abs=1e-5)
    here, there = (m.describe()["engine"] for m in (backend(name), model))
    assert (there["level"], there["why"]) == (here["level"], here["why"])


def on_one(path: Path, dtype: str | None = None, **options: Any) -> Any:
    """Return a checkpoint on a pretended GPU."""
    asked = HfOptions(batch_tokens=4096, **options)
    loaded = load_checkpoint(str(path), asked, device="cpu", dtype=dtype)
    for tensor in tensors(loaded.model):
        put(tensor, CUDA)
    return loaded


@pytest.mark.parametrize("level", ["memo", "prefix", "tree"])
def test_no_row_makes_the_accelerator_wait(level: str, checkpoint: Callable[[str], Path]) -> None:
    """What is asked about an image is sent together, and so are its scores fetched."""

    def crossed(image: int, prompts: int) -> int:
        texts = ["which " * (number + 1) for number in range(prompts)]
        asked = [ask(text, picture(image), text, choices=PHRASES) for text in texts]
        before = mode.crossed
        assert all(isinstance(r.outcome, Answer) for r in model.loglikelihood(asked))
        return mode.crossed - before

    loaded = on_one(checkpoint("llava"), engine=level)
    with Pretended() as mode:
        model = HfModel(loaded, name="there", batch_size=64)
        crossed(1, 2)  # the first proves the level
        assert crossed(2, 2) == crossed(3, 12) > 0


def test_pixels_get_the_models_number_format_on_the_accelerator(
    checkpoint: Callable[[str], Path],
) -> None:
    loaded = on_one(checkpoint("llava"), dtype="bfloat16")
    with Pretended() as mode:
        responses = HfModel(loaded, name="there", batch_size=3).loglikelihood(questions())
        assert all(isinstance(response.outcome, Answer) for response in responses)
        assert (mode.crossed > 0, mode.converted) == (True, 0)
        torch.zeros(2).to("cuda", torch.bfloat16)
        assert mode.converted == 1


def test_the_lens_reads_a_model_on_two_devices(
    checkpoint: Callable[[str], Path], backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its head is on another device than the logits that it brings back."""
    loaded = load_checkpoint(str(checkpoint("llava")), HfOptions(batch_tokens=1024), device="cpu")
    states = np.random.default_rng(0).normal(size=(3, 64)).astype(np.float32)
    expected = backend("llava").lens(states, [5, 6])
    spread(loaded.model, over_two(loaded.model), monkeypatch)
    with Pretended():
        found = HfModel(loaded, name="there", batch_size=3).lens(states, [5, 6])
    np.testing.assert_allclose(found.full, expected.full, atol=1e-5)


def test_pretended_devices_refuse_what_a_gpu_refuses() -> None:
    with Pretended():
        here, there = torch.ones(3), torch.ones(3, device="cuda:0")
        assert (here.device.type, there.device, there.cpu().device.type) == ("cpu", CUDA, "cpu")
        assert (there + torch.tensor(1.0)).device == there.to("cuda:0").device == CUDA
        assert there[torch.tensor([1])].device == there[[1]].device == CUDA
        for wrong in (
            lambda: here + there,
            lambda: torch.cat([here, there]),
            lambda: here[torch.tensor([1], device="cuda:0")],
            lambda: there.to("cuda:1")[torch.tensor([1], device="cuda:0")],
        ):
            with pytest.raises(RuntimeError):
                wrong()
        with pytest.raises(TypeError):
            there.numpy()


def test_features_of_numbered_layers_are_joined() -> None:
    """Granite Vision numbers the layers that its features go to."""
    parts = [
        _Features(dict, [torch.full((2, 3), i)], [(7, [torch.full((1, 3), i)])]) for i in (1.0, 2.0)
    ]
    assert parts[0].bytes() == 36
    joined = _Features.join([_Features(SimpleNamespace, p.pooled, p.deep) for p in parts])
    assert len(joined.pooler_output) == 2
    ((number, layer),) = joined.deepstack_features
    assert number == 7
    assert [float(each[0, 0]) for each in layer] == [1, 2]


@pytest.mark.parametrize(
    ("device", "options", "place"),
    [
        ("cpu", {}, None),
        ("cuda:1", {}, {"": torch.device("cuda:1")}),
        ("cuda:1", {"device_map": "auto"}, "auto"),
    ],
)
def test_weights_are_loaded_straight_to_an_accelerator(
    device: str, options: dict[str, str], place: Any
) -> None:
    seen: dict[str, Any] = {}

    def from_pretrained(_: str, **given: Any) -> Any:
        seen.update(given)
        return torch.nn.Linear(1, 1), {"missing_keys": []}

    kind = SimpleNamespace(from_pretrained=from_pretrained)
    load_weights(kind, "m", CheckpointOptions(**options), torch.device(device), torch.float32)  # type: ignore[arg-type]  # fmt: skip
    assert seen.get("device_map") == place


def test_a_numbered_gpu_becomes_the_current_one(monkeypatch: pytest.MonkeyPatch) -> None:
    current: list[torch.device] = []
    monkeypatch.setattr(torch, "zeros", lambda *_, **__: torch.ones(()))
    monkeypatch.setattr(torch.cuda, "set_device", current.append)
    pick_device("cuda:3")
    pick_device("cpu")
    assert current == [torch.device("cuda:3")]
