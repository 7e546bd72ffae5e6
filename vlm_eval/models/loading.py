"""Loading a vision-language model that generates text, and saying exactly what was loaded."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import torch
from pydantic import Field
from transformers import AutoModelForImageTextToText, GenerationConfig
from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING

from vlm_eval.core.errors import ModelError
from vlm_eval.core.options import configurable
from vlm_eval.models.adapters import find_adapter, merge_adapter
from vlm_eval.models.checkpoint import (
    CheckpointOptions,
    check_image_backend,
    check_options,
    load_config,
    load_weights,
    package_versions,
    pick_device,
    pick_dtype,
    quiet,
    revision_of,
)
from vlm_eval.models.processor import describe_processor, load_processor, set_pixel_budget


@configurable
class HfOptions(CheckpointOptions):
    """Options of the ``hf`` backend, as given in ``--model_args``, besides those of any checkpoint.

    Attributes
    ----------
    min_pixels, max_pixels
        Bounds of an image's area after resizing, in pixels. Only where the image processor has
        such bounds (Qwen-VL and its relatives).
    vision_memo_mb
        Megabytes of image features kept for reuse; 0 encodes images anew in every forward pass.
    engine
        How much work is shared: ``naive``, ``memo``, ``prefix``, ``tree``, or ``auto`` for the
        highest that is exact for the model (:mod:`vlm_eval.models.sharing`).
    verify
        How many groups of requests, each about the same images, to ask again by the naive engine;
        differences and flips are recorded.
    batch_tokens
        Tokens a forward pass at most, padding included; None lets the device decide.
    prepare_threads
        In how many threads images are decoded, corrupted and prepared; None lets the device decide.
    adapter
        Folder or hub id of a peft adapter (LoRA) that is merged into the weights before anything
        else; safetensors only.
    adapter_revision
        Branch, tag or commit of a hub adapter.
    """

    min_pixels: Annotated[int, Field(ge=1)] | None = None
    max_pixels: Annotated[int, Field(ge=1)] | None = None
    vision_memo_mb: Annotated[int, Field(ge=0)] = 512
    engine: Literal["auto", "naive", "memo", "prefix", "tree"] = "auto"
    verify: Annotated[int, Field(ge=0)] = 0
    batch_tokens: Annotated[int, Field(ge=1)] | None = None
    prepare_threads: Annotated[int, Field(ge=1)] | None = None
    adapter: str | None = None
    adapter_revision: str | None = None

    def __post_init__(self) -> None:
        if self.adapter_revision is not None and self.adapter is None:
            raise ValueError("adapter_revision is given without an adapter")


@dataclass(frozen=True)
class Checkpoint:
    """A loaded checkpoint.

    Attributes
    ----------
    source
        Folder or hub id.
    model, processor
        The transformers objects, the model in evaluation mode.
    options
        What was asked for.
    generation_defaults
        Decoding settings that the checkpoint ships and that are *not* used: a request says how to
        decode.
    adapter
        Where the merged adapter comes from, JSON-able; None without one.
    """

    source: str
    model: Any
    processor: Any
    options: HfOptions
    generation_defaults: dict[str, Any]
    adapter: dict[str, Any] | None = None

    @property
    def device(self) -> torch.device:
        """Where the model's inputs go, also if ``device_map`` has spread it over several."""
        hook = getattr(self.model, "_hf_hook", None)
        main = getattr(hook, "execution_device", None)
        return torch.device(self.model.device if main is None else main)

    @functools.cached_property
    def provenance(self) -> dict[str, Any]:
        """What determines the model's answers, JSON-able. Hashes local weights: takes time."""
        model = self.model
        return {
            "backend": "hf",
            "source": self.source,
            **revision_of(self.source, model.config),
            **({} if self.adapter is None else {"adapter": self.adapter}),
            "trust_remote_code": self.options.trust_remote_code,
            "class": type(model).__name__,
            "parameters": sum(p.numel() for p in model.parameters()),
            "dtype": str(model.dtype).removeprefix("torch."),
            "attention": model.config._attn_implementation,
            "device": str(self.device),
            "device_map": self.options.device_map,
            **describe_processor(self.processor),
            "pixel_budget": [self.options.min_pixels, self.options.max_pixels],
            "unused_generation_defaults": self.generation_defaults,
            "versions": package_versions(),
        }


def load_checkpoint(
    source: str, options: HfOptions, *, device: str | None = None, dtype: str | None = None
) -> Checkpoint:
    """Load a vision-language model and its processor.

    Parameters
    ----------
    source
        Folder or hub id.
    options
        The backend's options.
    device
        Such as ``cpu`` or ``cuda:1``; the first GPU if there is one when None.
    dtype
        ``float32``, ``bfloat16``, ``float16`` (or fp32, bf16, fp16) or ``auto``.

    Raises
    ------
    UsageError
        If the options contradict each other.
    ModelError
        If there is no such checkpoint, it is no vision-language model, or its files are missing,
        broken or incomplete; or of its adapter.
    """
    check_options(source, options, device)
    adapter = options.adapter and find_adapter(options.adapter, options.adapter_revision)
    with quiet():
        config = load_config(source, options)
        _check_generates(source, config)
        backend = {"backend": options.image_backend} if options.image_backend else {}
        processor = load_processor(source, config, **options.place, **backend)
        check_image_backend(source, options, processor.image_processor)
        set_pixel_budget(processor, options.min_pixels, options.max_pixels)
        target = pick_device(device)
        number_format = pick_dtype(dtype, options, target)
        model = load_weights(AutoModelForImageTextToText, source, options, target, number_format)
        merged = None
        if adapter:
            model, merged = merge_adapter(model, adapter)
    defaults = model.generation_config.to_diff_dict()
    model.generation_config = _stopping(model.generation_config, processor.tokenizer)
    return Checkpoint(source, model, processor, options, _decoding_only(defaults), merged)


def _check_generates(source: str, config: Any) -> None:
    remote = getattr(config, "auto_map", None) or {}
    known = type(config) in MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING
    if not known and AutoModelForImageTextToText.__name__ not in remote:
        raise ModelError(
            f"a {config.model_type} checkpoint is no vision-language model that generates text",
            where=source,
            hint="choose one that transformers loads with AutoModelForImageTextToText",
        )
    if config.is_encoder_decoder:
        raise ModelError(
            f"{config.model_type} is an encoder-decoder model, which is not supported", where=source
        )


def _stopping(shipped: Any, tokenizer: Any) -> Any:
    """Return greedy decoding with the checkpoint's own end and padding tokens, and nothing else.

    Checkpoints ship sampling settings and repetition penalties; transformers applies what a call
    does not override, so that "greedy" would mean something else for each model.
    """
    end = shipped.eos_token_id if shipped.eos_token_id is not None else tokenizer.eos_token_id
    pad = next((x for x in (shipped.pad_token_id, tokenizer.pad_token_id) if x is not None), None)
    if pad is None:
        pad = end[0] if isinstance(end, list) else end
    return GenerationConfig(bos_token_id=shipped.bos_token_id, eos_token_id=end, pad_token_id=pad)


def _decoding_only(settings: dict[str, Any]) -> dict[str, Any]:
    return {
        key: value
        for key, value in settings.items()
        if not key.startswith("_") and not key.endswith("token_id") and "version" not in key
    }
