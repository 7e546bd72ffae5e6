from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from PIL import Image
from transformers import AutoConfig, AutoProcessor, ProcessorMixin

from vlm_eval.core.errors import ModelError
from vlm_eval.models import processor as module
from vlm_eval.models.processor import (
    describe_processor,
    load_processor,
    set_pixel_budget,
    without_video,
)

from .checkpoints import BUILDERS

Folder = Callable[[str], Path]

VIDEO_FIRST, VIDEO_BETWEEN, VIDEO_LAST = (
    ["video_processor", "image_processor", "tokenizer"],
    ["image_processor", "video_processor", "tokenizer"],
    ["image_processor", "tokenizer", "video_processor"],
)


def load(folder: Path) -> Any:
    return load_processor(str(folder), AutoConfig.from_pretrained(folder))


@pytest.mark.parametrize("name", ["qwen2_5_vl", "qwen3_vl", "llava_onevision", "internvl"])
def test_a_processor_with_a_video_slot_loads_without_it(name: str, checkpoint: Folder) -> None:
    folder = checkpoint(name)
    loaded = load(folder)
    if find_spec("torchvision") is None:
        with pytest.raises((ImportError, OSError)):
            AutoProcessor.from_pretrained(folder)
        assert "video_processor" not in loaded.get_attributes()
    assert type(loaded).__name__.endswith("Processor")
    assert loaded.chat_template is not None
    made = loaded(
        images=[[Image.new("RGB", (60, 60))]],
        text=[loaded.apply_chat_template([{"role": "user", "content": [{"type": "image"}]}])],
        return_tensors="pt",
    )
    assert made["pixel_values"].shape[0] > 0


@pytest.mark.parametrize("name", ["llava", "idefics3", "gemma3", "paligemma"])
def test_other_processors_load_as_they_are(name: str, checkpoint: Folder) -> None:
    folder = checkpoint(name)
    assert type(load(folder)) is type(AutoProcessor.from_pretrained(folder))


@pytest.mark.parametrize("order", [VIDEO_FIRST, VIDEO_BETWEEN, VIDEO_LAST])
def test_wherever_the_slot_stands(order: list[str], checkpoint: Folder) -> None:
    """Some classes take the video processor first or between: the others must not move."""
    kinds = {
        "video_processor, image_processor, tokenizer": "LlavaNextVideoProcessor",
        "image_processor, video_processor, tokenizer": "VideoLlavaProcessor",
        "image_processor, tokenizer, video_processor": "LlavaOnevisionProcessor",
    }
    base = getattr(transformers, kinds[", ".join(order)])
    assert base.get_attributes() == order
    loaded = without_video(base).from_pretrained(checkpoint("llava_onevision"))
    assert type(loaded.image_processor).__name__.startswith("LlavaOnevisionImageProcessor")
    assert isinstance(loaded.tokenizer, transformers.PreTrainedTokenizerFast)
    assert "video_processor" not in vars(loaded)
    assert isinstance(loaded, ProcessorMixin)


def test_video_settings_in_the_checkpoint_are_ignored(checkpoint: Folder, tmp_path: Path) -> None:
    """As saved by transformers where torchvision is installed."""
    folder = tmp_path / "copy"
    shutil.copytree(checkpoint("qwen2_5_vl"), folder)
    path = folder / "processor_config.json"
    settings = json.loads(path.read_text())
    settings["video_processor"] = {"video_processor_type": "Qwen2VLVideoProcessor", "fps": 2}
    path.write_text(json.dumps(settings))
    loaded = load(folder)
    assert type(loaded.image_processor).__name__.startswith("Qwen2VLImageProcessor")


@pytest.mark.parametrize("name", ["qwen2_5_vl", "internvl"])
def test_a_folder_that_does_not_name_its_processor(
    name: str, checkpoint: Folder, tmp_path: Path
) -> None:
    """As older checkpoints, and as the embedded ones: the model's type says which it is."""
    folder = tmp_path / "copy"
    shutil.copytree(checkpoint(name), folder)
    whole = load(checkpoint(name))
    (folder / "processor_config.json").unlink()
    whole.image_processor.save_pretrained(folder)
    path = folder / "preprocessor_config.json"
    settings = json.loads(path.read_text())
    settings.pop("processor_class", None)
    path.write_text(json.dumps(settings))
    loaded = load(folder)
    assert type(loaded).__name__ == type(whole).__name__
    assert loaded.chat_template == whole.chat_template
    assert describe_processor(loaded)["image_size"] == describe_processor(whole)["image_size"]


def test_a_lack_of_torchvision_is_named(
    checkpoint: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise ImportError("Llama4ImageProcessor requires the Torchvision library but it was not f")

    monkeypatch.setattr(module.AutoProcessor, "from_pretrained", refuse)
    monkeypatch.setattr(module, "find_spec", lambda _: None)
    with pytest.raises(ModelError) as caught:
        load(checkpoint("llava"))
    assert "pip install 'paired-vlm-eval[vision]'" in str(caught.value)


def test_a_folder_without_an_image_processor(checkpoint: Folder, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(checkpoint("llava"), folder)
    for name in ("processor_config.json", "preprocessor_config.json"):
        (folder / name).unlink(missing_ok=True)
    with pytest.raises(ModelError) as caught:
        load(folder)
    assert str(folder) in str(caught.value)
    assert "\n" not in str(caught.value)


def patches(loaded: Any) -> int:
    made = loaded.image_processor([Image.new("RGB", (400, 300))], return_tensors="pt")
    return int(torch.as_tensor(made["image_grid_thw"]).prod())


def test_a_pixel_budget_bounds_the_patches(checkpoint: Folder) -> None:
    loaded = load(checkpoint("qwen2_5_vl"))
    for maximum in (56 * 56, 112 * 112, 224 * 224):
        set_pixel_budget(loaded, 28 * 28, maximum)
        assert patches(loaded) * 14 * 14 <= maximum
    few = patches(loaded)
    set_pixel_budget(loaded, 448 * 448, 512 * 512)
    assert patches(loaded) > few
    assert describe_processor(loaded)["image_size"] == {
        "shortest_edge": 448 * 448,
        "longest_edge": 512 * 512,
    }


def test_a_pixel_budget_where_there_is_none(checkpoint: Folder) -> None:
    loaded = load(checkpoint("llava"))
    set_pixel_budget(loaded, None, None)
    with pytest.raises(ModelError, match="has no pixel budget"):
        set_pixel_budget(loaded, None, 10_000)
    with pytest.raises(ModelError, match="is empty"):
        set_pixel_budget(load(checkpoint("qwen2_5_vl")), 500, 100)


def test_the_digest_tells_processors_apart(checkpoint: Folder) -> None:
    loaded = load(checkpoint("qwen2_5_vl"))
    described = describe_processor(loaded)
    assert described == describe_processor(load(checkpoint("qwen2_5_vl")))
    assert described["image_backend"] in {"pil", "torchvision"}
    json.dumps(described)
    digests = {described["processor_digest"]}
    set_pixel_budget(loaded, None, 3136)
    digests.add(describe_processor(loaded)["processor_digest"])
    loaded.chat_template += " "
    digests.add(describe_processor(loaded)["processor_digest"])
    loaded.tokenizer.add_tokens(["<new>"])
    digests.add(describe_processor(loaded)["processor_digest"])
    assert len(digests) == 4


def smolvlm(folder: Path) -> Path:
    """Write the processor of an Idefics3, whose parts SmolVLM shares, under SmolVLM's name."""
    _, processor = BUILDERS["idefics3"]()
    processor.save_pretrained(folder)
    for path in folder.glob("*processor*.json"):
        path.write_text(path.read_text().replace("Idefics3", "SmolVLM"))
    return folder


def test_conversations_are_rendered_without_a_video_slot(monkeypatch: Any, tmp_path: Path) -> None:
    """SmolVLM asks its video processor for settings even where there is no video."""
    monkeypatch.setattr("transformers.models.smolvlm.processing_smolvlm.num2words", str)
    loaded = load_processor(str(smolvlm(tmp_path)), transformers.SmolVLMConfig())
    image, text = {"type": "image"}, {"type": "text", "text": "red?"}
    turns = [{"role": "user", "content": [image, text]}]
    assert type(loaded).__name__ == "SmolVLMProcessor"
    assert "<image>red?" in loaded.apply_chat_template(turns, tokenize=False)


def test_a_package_that_a_processor_needs_is_named(monkeypatch: Any, tmp_path: Path) -> None:
    monkeypatch.setattr("transformers.models.smolvlm.processing_smolvlm.num2words", None)
    with pytest.raises(ModelError, match=r"needs num2words.*pip install 'paired-vlm-eval\[vision"):
        load_processor(str(smolvlm(tmp_path)), transformers.SmolVLMConfig())
