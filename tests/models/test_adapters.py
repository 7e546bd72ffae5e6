"""A merged adapter computes what peft computes unmerged, and touches nothing else."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import peft
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForImageTextToText

from vlm_eval.core.errors import ModelError, UsageError, VlmEvalError
from vlm_eval.models.hooks import decoder_blocks
from vlm_eval.models.registry import load_model

from .questions import WORDS, ask, picture

Folder = Callable[[str], Path]
ARCHITECTURES = ["qwen2_5_vl", "llava", "gemma3", "idefics3"]
DECODER = r".*(language_model|text_model)\.layers\.\d+\..*(q_proj|v_proj|down_proj)"
EVERYTHING = "all-linear"


def plain(folder: Path) -> Any:
    return AutoModelForImageTextToText.from_pretrained(folder, dtype=torch.float32).eval()


def random_adapter(folder: Path, to: Path, targets: str = DECODER, **more: Any) -> Any:
    """Save an adapter with random weights and return peft's model, not merged."""
    torch.manual_seed(3)
    # A small change: large random ones make chaos of rounding.
    config = peft.LoraConfig(
        r=4, lora_alpha=1, target_modules=targets, init_lora_weights=False, **more
    )
    wrapped = peft.get_peft_model(plain(folder), config).eval()
    wrapped.save_pretrained(to)
    return wrapped


def fault(folder: Path, adapter: object, **more: Any) -> VlmEvalError:
    with pytest.raises(VlmEvalError) as caught:
        load_model(str(folder), args={"adapter": str(adapter), **more}, device="cpu")
    assert "\n" not in str(caught.value)
    return caught.value


@pytest.mark.parametrize("name", ARCHITECTURES)
@pytest.mark.parametrize("targets", [DECODER, EVERYTHING])
def test_merged_equals_unmerged(
    checkpoint: Folder, tmp_path: Path, name: str, targets: str
) -> None:
    folder = checkpoint(name)
    unmerged = random_adapter(folder, tmp_path / "lora", targets)
    base = load_model(str(folder), device="cpu")
    merged = load_model(str(folder), args=f"adapter={tmp_path / 'lora'}", device="cpu")
    ids = torch.randint(40, 400, (2, 12), generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        wanted = unmerged(input_ids=ids).logits
        assert torch.allclose(merged.module(input_ids=ids).logits, wanted, atol=1e-5, rtol=1e-5)
        assert not torch.allclose(base.module(input_ids=ids).logits, wanted, atol=1e-2)
    # With an image, through the ordinary path.
    request = ask("one", picture(1), "which player?", choices=WORDS)
    (changed,), (before,) = (list(m.loglikelihood([request])) for m in (merged, base))
    assert changed.outcome.logprobs != before.outcome.logprobs
    assert merged.name == f"{base.name}+lora"


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_an_adapter_of_the_decoder_leaves_all_else_as_it_is(
    checkpoint: Folder, tmp_path: Path, name: str
) -> None:
    folder = checkpoint(name)
    random_adapter(folder, tmp_path / "lora")
    base = dict(plain(folder).named_parameters())
    model = load_model(str(folder), args=f"adapter={tmp_path / 'lora'}", device="cpu").module
    merged = dict(model.named_parameters())
    assert merged.keys() == base.keys()
    assert not any(parameter.requires_grad for parameter in merged.values())
    inside = {id(parameter) for parameter in decoder_blocks(model)[1].parameters()}
    changed = {key for key, value in merged.items() if not value.equal(base[key])}
    assert changed == {
        key
        for key, value in merged.items()
        if id(value) in inside
        and key.endswith(("q_proj.weight", "v_proj.weight", "down_proj.weight"))
    }


def test_provenance_says_what_was_merged(checkpoint: Folder, tmp_path: Path) -> None:
    folder = checkpoint("llava")
    random_adapter(folder, tmp_path / "lora")
    args = {"adapter": str(tmp_path / "lora")}
    told = load_model(str(folder), args=args, device="cpu").describe()["adapter"]
    assert (told["source"], told["revision"], told["type"]) == (args["adapter"], None, "LORA")
    assert told["trained_on"] == str(folder)
    random_adapter(folder, tmp_path / "lora", r".*language_model.*up_proj")
    other = load_model(str(folder), args=args, device="cpu").describe()["adapter"]
    assert len(told["sha256"]) == 64
    assert other["sha256"] != told["sha256"]
    assert "adapter" not in load_model(str(folder), device="cpu").describe()


def test_an_adapter_for_another_model_is_refused(checkpoint: Folder, tmp_path: Path) -> None:
    random_adapter(checkpoint("qwen2_5_vl"), tmp_path / "lora", r".*visual.*gate_proj")
    folder = checkpoint("llava")
    error = fault(folder, tmp_path / "lora")
    assert isinstance(error, ModelError)
    assert "does not fit the model" in str(error)
    # Modules of the same names, in another shape.
    random_adapter(folder, tmp_path / "good")
    shutil.copytree(tmp_path / "good", tmp_path / "wide")
    weights = load_file(tmp_path / "wide" / "adapter_model.safetensors")
    wide = {k: torch.cat([v, v], 1) if "lora_A" in k else v for k, v in weights.items()}
    save_file(wide, tmp_path / "wide" / "adapter_model.safetensors")
    assert "does not fit the model" in str(fault(folder, tmp_path / "wide"))
    # Weights left out, which peft only warns of; and weights for a layer that is not there.
    first = next(iter(weights))
    fewer = {k: v for k, v in weights.items() if k != first}
    save_file(fewer, tmp_path / "wide" / "adapter_model.safetensors")
    assert "it lacks 1 weights" in str(fault(folder, tmp_path / "wide"))
    more = {**weights, first.replace("layers.0", "layers.9"): weights[first].clone()}
    save_file(more, tmp_path / "wide" / "adapter_model.safetensors")
    assert "it changes 1 others" in str(fault(folder, tmp_path / "wide"))


def test_only_safetensors_are_read(checkpoint: Folder, tmp_path: Path) -> None:
    folder = checkpoint("llava")
    random_adapter(folder, tmp_path / "lora")
    weights = tmp_path / "lora" / "adapter_model.safetensors"
    torch.save(load_file(weights), tmp_path / "lora" / "adapter_model.bin")
    weights.unlink()
    assert "save it as safetensors" in str(fault(folder, tmp_path / "lora"))
    (tmp_path / "lora" / "adapter_config.json").unlink()
    assert "it holds no adapter_config.json" in str(fault(folder, tmp_path / "lora"))


def test_an_adapter_that_changes_no_weights_is_refused(checkpoint: Folder, tmp_path: Path) -> None:
    folder = checkpoint("llava")
    random_adapter(folder, tmp_path / "lora")
    config = tmp_path / "lora" / "adapter_config.json"
    kept = json.loads(config.read_text())
    text = {"peft_type": "PROMPT_TUNING", "num_virtual_tokens": 2, "task_type": "CAUSAL_LM"}
    config.write_text(
        json.dumps({**text, "base_model_name_or_path": kept["base_model_name_or_path"]})
    )
    assert "lora: " in str(fault(folder, tmp_path / "lora"))


def test_options_that_contradict_each_other(checkpoint: Folder, tmp_path: Path) -> None:
    folder = checkpoint("llava")
    random_adapter(folder, tmp_path / "lora")
    error = fault(folder, tmp_path / "lora", adapter_revision="main")
    assert isinstance(error, UsageError)
    assert "given for a folder" in str(error)
    with pytest.raises(UsageError, match="adapter_revision is given without an adapter"):
        load_model(str(folder), args="adapter_revision=main", device="cpu")
    assert "no-such-folder" in str(fault(folder, tmp_path / "no-such-folder"))


def test_without_peft_the_extra_is_named(
    checkpoint: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    random_adapter(checkpoint("llava"), tmp_path / "lora")
    monkeypatch.setitem(sys.modules, "peft", None)
    error = fault(checkpoint("llava"), tmp_path / "lora")
    assert isinstance(error, UsageError)
    assert "pip install 'paired-vlm-eval[internals]'" in str(error)
