from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers as hf
from safetensors.torch import load_file, save_file

from vlm_eval import models
from vlm_eval.core.errors import ModelError, UsageError, VlmEvalError
from vlm_eval.core.types import Answer
from vlm_eval.models import checkpoint as hub
from vlm_eval.models.hf import HfModel
from vlm_eval.models.inputs import Encoded
from vlm_eval.models.registry import load_model

from .questions import PHRASES, ask, mixed_requests, picture

Folder = Callable[[str], Path]
Backend = Callable[..., HfModel]


@pytest.fixture
def copy(checkpoint: Folder, tmp_path: Path) -> Path:
    folder = tmp_path / "copy"
    shutil.copytree(checkpoint("llava"), folder)
    return folder


def fault(spec: object, **options: Any) -> VlmEvalError:
    """Load, and return the error, which must be one line that names the checkpoint or option."""
    with pytest.raises(VlmEvalError) as caught:
        load_model(str(spec), **{"device": "cpu", **options})
    assert "\n" not in str(caught.value)
    return caught.value


def test_a_text_model_is_refused(tmp_path: Path) -> None:
    config = hf.GPT2Config(n_layer=1, n_head=1, n_embd=8, vocab_size=20)
    hf.GPT2LMHeadModel(config).save_pretrained(tmp_path)
    error = fault(tmp_path)
    assert isinstance(error, ModelError)
    assert "gpt2 checkpoint is no vision-language model" in str(error)
    assert str(tmp_path) in str(error)


def test_a_classifier_is_refused(tmp_path: Path) -> None:
    config = hf.ViTConfig(
        hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8
    )
    hf.ViTForImageClassification(config).save_pretrained(tmp_path)
    assert "vit checkpoint is no vision-language model" in str(fault(tmp_path))


def test_an_encoder_decoder_is_refused(tmp_path: Path) -> None:
    hf.Florence2Config().save_pretrained(tmp_path)
    assert "encoder-decoder" in str(fault(tmp_path))


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    assert "holds no config.json" in str(fault(tmp_path))


def test_a_broken_config_is_refused(copy: Path) -> None:
    (copy / "config.json").write_text("{")
    assert "configuration does not load" in str(fault(copy))


def test_missing_weights_files_are_told(copy: Path) -> None:
    (copy / "model.safetensors").unlink()
    error = fault(copy)
    assert "weights do not load" in str(error)
    assert "safetensors" in str(error)


def test_pickled_weights_are_not_read(copy: Path) -> None:
    torch.save(load_file(copy / "model.safetensors"), copy / "pytorch_model.bin")
    (copy / "model.safetensors").unlink()
    assert "weights do not load" in str(fault(copy))
    assert "save them as safetensors" in str(fault(copy))


def test_truncated_weights_are_told(copy: Path) -> None:
    path = copy / "model.safetensors"
    path.write_bytes(path.read_bytes()[:5000])
    assert "weights do not load" in str(fault(copy))


def test_incomplete_weights_are_refused(copy: Path) -> None:
    """transformers would fill them with random numbers."""
    weights = load_file(copy / "model.safetensors")
    gone = next(key for key in weights if "vision" in key and key.endswith("q_proj.weight"))
    del weights[gone]
    save_file(weights, copy / "model.safetensors", metadata={"format": "pt"})
    error = fault(copy)
    assert "1 of its weights are missing" in str(error)
    assert "q_proj.weight" in str(error)


@pytest.mark.parametrize("rows", [-1, 5])
def test_weights_of_another_shape_are_refused(rows: int, copy: Path) -> None:
    weights = load_file(copy / "model.safetensors")
    name = next(key for key in weights if "embed_tokens" in key)
    weights[name] = weights[name][:rows].clone()
    save_file(weights, copy / "model.safetensors", metadata={"format": "pt"})
    error = fault(copy)
    assert isinstance(error, ModelError)
    assert "some have another shape than config.json says" in str(error)


def test_a_configuration_alone_is_refused(copy: Path, tmp_path: Path) -> None:
    (tmp_path / "alone").mkdir()
    shutil.copy(copy / "config.json", tmp_path / "alone")
    assert "its processor does not load: Can't load" in str(fault(tmp_path / "alone"))
    assert "make sure" not in str(fault(tmp_path / "alone"))


def test_a_broken_chat_template_is_told(copy: Path) -> None:
    (copy / "chat_template.jinja").write_text("{{ bos_token }}\n{% for %}")
    error = fault(copy)
    assert isinstance(error, ModelError)
    assert str(error).startswith(f"{copy}: its chat template, line 2: ")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"args": "max_pixls=1"}, "no option 'max_pixls'; did you mean max_pixels"),
        ({"args": "max_pixels=big"}, "option 'max_pixels'"),
        ({"args": "max_pixels=5000"}, "has no pixel budget"),
        ({"args": "image_backend=opencv"}, "option 'image_backend'"),
        ({"args": "attn_implementation=fast"}, "fast"),
        ({"dtype": "int8"}, "unknown dtype 'int8'"),
        ({"device": "cuda:7"}, "device 'cuda:7' is not available"),
        ({"device": "gpu"}, "device 'gpu' is not available"),
        ({"device": "meta"}, "device 'meta' is not available"),
        ({"args": "revision=main"}, "is given for a folder"),
        ({"args": "device_map=auto"}, "exclude each other"),
    ],
)
def test_wrong_options_are_told(options: dict[str, Any], message: str, checkpoint: Folder) -> None:
    assert message in str(fault(checkpoint("llava"), **options))


def test_the_image_backend_is_the_one_asked_for_or_none(checkpoint: Folder) -> None:
    folder = str(checkpoint("qwen2_5_vl"))
    model = load_model(folder, args="image_backend=pil", device="cpu")
    assert model.describe()["image_backend"] == "pil"
    if find_spec("torchvision") is None:
        error = fault(folder, args="image_backend=torchvision")
        assert "cannot be prepared with torchvision, only with pil" in str(error)


@pytest.mark.parametrize("revision", ["", ",revision=main", ",revision=0123abc"])
def test_remote_code_needs_a_pinned_revision(revision: str) -> None:
    error = fault("owner/name", args="trust_remote_code=true" + revision)
    assert isinstance(error, UsageError)
    assert "pinned revision" in str(error)


def test_remote_code_and_revision_are_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, Any] = {}

    def config(source: str, **kwargs: Any) -> None:
        seen.update(kwargs, source=source)
        raise OSError("no network here\nand a second line")

    monkeypatch.setattr(hub.AutoConfig, "from_pretrained", config)
    commit = "0123456789" * 4
    error = fault("owner/name", args=f"trust_remote_code=true,revision={commit}")
    assert seen == {"source": "owner/name", "revision": commit, "trust_remote_code": True}
    assert str(error) == "owner/name: its configuration does not load: no network here"
    fault("owner/name")
    assert seen["trust_remote_code"] is False


def test_the_weights_digest_follows_the_weights(copy: Path) -> None:
    before = load_model(str(copy), device="cpu").describe()
    assert before["revision"] is None
    weights = load_file(copy / "model.safetensors")
    next(iter(weights.values())).view(-1)[0] += 1
    save_file(weights, copy / "model.safetensors", metadata={"format": "pt"})
    after = load_model(str(copy), device="cpu").describe()
    assert before["weights_digest"] != after["weights_digest"]
    assert before["processor_digest"] == after["processor_digest"]


@pytest.mark.parametrize(
    ("dtype", "expected"), [("bf16", torch.bfloat16), ("float16", torch.float16)]
)
def test_half_precision(dtype: str, expected: torch.dtype, checkpoint: Folder) -> None:
    model = load_model(str(checkpoint("qwen2_5_vl")), dtype=dtype, device="cpu")
    assert isinstance(model, HfModel)
    assert model._checkpoint.model.dtype == expected
    assert model.describe()["dtype"] == str(expected).removeprefix("torch.")
    for response in model.loglikelihood(mixed_requests()):
        assert isinstance(response.outcome, Answer)
        assert all(score < 0 for score in response.outcome.logprobs or ())


@pytest.mark.parametrize("args", ["device_map=auto", "attn_implementation=eager"])
def test_placement_and_attention_do_not_change_the_scores(
    args: str, checkpoint: Folder, backend: Backend
) -> None:
    request = ask("q", picture(1), "which?", choices=PHRASES)
    model = load_model(str(checkpoint("qwen2_5_vl")), args=args)
    (one,), (other,) = (m.loglikelihood([request]) for m in (backend("qwen2_5_vl"), model))
    assert isinstance(one.outcome, Answer)
    assert isinstance(other.outcome, Answer)
    assert one.outcome.logprobs == pytest.approx(other.outcome.logprobs, abs=1e-4)


def test_a_pixel_budget_reaches_the_model(checkpoint: Folder) -> None:
    model = load_model(str(checkpoint("qwen2_5_vl")), args="max_pixels=3136", device="cpu")
    assert isinstance(model, HfModel)
    assert model.describe()["pixel_budget"] == [None, 3136]
    encoded = model._encoder.encode(ask("q", picture(1), "which?", choices=PHRASES))
    assert isinstance(encoded, Encoded)
    assert encoded.images.tensors["image_grid_thw"].prod() * 14 * 14 <= 3136


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    """Return a copy of the embedded checkpoint."""
    source = Path(models.__file__).parent / "tiny" / "checkpoints" / "tiny"
    return Path(shutil.copytree(source, tmp_path / "copied"))


def test_a_checkpoint_without_a_tokenizer_is_refused(tiny: Path) -> None:
    (tiny / "tokenizer.json").unlink()
    assert "its tokenizer knows no word" in str(fault(tiny))


def test_a_config_that_contradicts_itself_is_told(tiny: Path) -> None:
    config = json.loads((tiny / "config.json").read_text())
    config["text_config"]["num_hidden_layers"] = 99
    (tiny / "config.json").write_text(json.dumps(config))
    assert f"{tiny}: its configuration does not load" in str(fault(tiny))
