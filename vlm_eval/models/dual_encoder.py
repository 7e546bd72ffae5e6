"""A dual encoder: what it is given of an image or a text, and the vectors that it makes of them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, Literal

import torch
import transformers
from PIL import Image
from transformers import AutoModelForZeroShotImageClassification, PreTrainedConfig
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES,
    MODEL_FOR_ZERO_SHOT_IMAGE_CLASSIFICATION_MAPPING_NAMES,
)

from vlm_eval.core.errors import ModelError
from vlm_eval.core.options import configurable
from vlm_eval.models.checkpoint import (
    FAULTS,
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
from vlm_eval.models.images import Tensors
from vlm_eval.models.processor import describe_processor, load_processor
from vlm_eval.models.sizes import sizes_read


@configurable
class ContrastiveOptions(CheckpointOptions):
    """Options of the ``contrastive`` backend, besides those of any checkpoint.

    Attributes
    ----------
    accelerator_dtype
        As for any checkpoint, but float32: the models are small.
    letterbox
        Pad each image to a square with the processor's mean colour before it is prepared, so that
        nothing is cropped away or squashed. The stock processor of CLIP resizes the short side and
        crops the centre: of a 2048 x 1024 frame it sees the middle half. That of SigLIP squashes.
    """

    accelerator_dtype: Literal["bfloat16", "float16", "float32"] = "float32"
    letterbox: bool = False


def is_dual_encoder(source: str, revision: str | None) -> bool:
    """Return whether a checkpoint's configuration names a dual encoder.

    That is a model type of transformers' mapping for zero-shot image classification. Types that
    are also in the mapping for image-text-to-text are so only if the checkpoint names that class.
    False where there is no readable configuration: whoever loads it explains the fault.
    """
    place = {"revision": revision} if revision else {}
    try:
        with quiet():
            config, _ = PreTrainedConfig.get_config_dict(source, **place)
    except FAULTS:
        return False
    kind = config.get("model_type")
    name = MODEL_FOR_ZERO_SHOT_IMAGE_CLASSIFICATION_MAPPING_NAMES.get(kind)
    if name is None:
        return False
    # VideoPrism, which encodes videos, is in the mapping too.
    if not hasattr(getattr(transformers, name), "get_image_features"):
        return False
    generates = kind in MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES
    return not generates or name in (config.get("architectures") or ())


def load_dual_encoder(
    source: str, options: ContrastiveOptions, *, device: str | None, dtype: str | None
) -> DualEncoder:
    """Load both encoders and their processor.

    Parameters
    ----------
    source
        Folder or hub id.
    options
        The backend's options.
    device, dtype
        As in `vlm_eval.models.loading.load_checkpoint`.

    Raises
    ------
    UsageError
        If the options contradict each other.
    ModelError
        If there is no such checkpoint, it is no dual encoder, or its files are missing or broken.
    """
    check_options(source, options, device)
    with quiet():
        config = load_config(source, options)
        if not is_dual_encoder(source, options.revision):
            raise ModelError(
                f"a {config.model_type} checkpoint is no dual encoder",
                where=source,
                hint="choose one such as CLIP or SigLIP, or leave contrastive: out",
            )
        backend = {"backend": options.image_backend} if options.image_backend else {}
        processor = load_processor(source, config, **options.place, **backend)
        check_image_backend(source, options, processor.image_processor)
        target = pick_device(device)
        number_format = pick_dtype(dtype, options, target)
        kind = AutoModelForZeroShotImageClassification
        model = load_weights(kind, source, options, target, number_format)
    return DualEncoder(source, model, processor, options)


class DualEncoder:
    """A loaded checkpoint: what is prepared of an image or a text, and the vectors made of it."""

    def __init__(
        self, source: str, model: Any, processor: Any, options: ContrastiveOptions
    ) -> None:
        self._source, self._model, self._options = source, model, options
        self._processor = processor
        self.max_tokens = _max_tokens(model.config, processor.tokenizer)
        self.truncated = 0
        self.device = torch.device(model.device)

    def image(self, image: Image.Image) -> Tensors:
        """Prepare an image, mode RGB. The tensors hold one row."""
        if self._options.letterbox:
            image = letterbox(image, self._fill)
        made = self._processor.image_processor(images=[image], return_tensors="pt")
        return _accepted(made, self._model.get_image_features)

    def size_read(self, prepared: Tensors) -> tuple[int, int] | None:
        """Return the (width, height) at which a prepared image is read, None if it is not known."""
        if self._options.letterbox:
            return None
        sizes = sizes_read(prepared, 1, self._processor.image_processor)
        return sizes[0] if sizes else None

    def text(self, text: str) -> Tensors:
        """Tokenise a text, padded and cut to the length that the model was trained with."""
        made = self._processor(
            text=[text],
            padding="max_length",
            truncation=True,
            max_length=self.max_tokens,
            return_tensors="pt",
        )
        # A token is a byte at least, so that short texts need no second look.
        if len(text.encode()) + 2 > self.max_tokens:
            whole = self._processor.tokenizer(text, verbose=False)["input_ids"]
            self.truncated += len(whole) > self.max_tokens
        return _accepted(made, self._model.get_text_features)

    def image_vectors(self, batch: Tensors) -> torch.Tensor:
        """Return one vector a row, not normalised."""
        return self._features(self._model.get_image_features, batch)

    def text_vectors(self, batch: Tensors) -> torch.Tensor:
        """Return one vector a row, not normalised."""
        return self._features(self._model.get_text_features, batch)

    def describe(self) -> dict[str, Any]:
        """Return what determines the similarities, JSON-able."""
        model = self._model
        return {
            "backend": "contrastive",
            "source": self._source,
            **revision_of(self._source, model.config),
            "trust_remote_code": self._options.trust_remote_code,
            "class": type(model).__name__,
            "parameters": sum(p.numel() for p in model.parameters()),
            "dtype": str(model.dtype).removeprefix("torch."),
            "attention": model.config._attn_implementation,
            "device": str(self.device),
            "device_map": self._options.device_map,
            **describe_processor(self._processor),
            "preprocess": "letterbox" if self._options.letterbox else "stock",
            "center_crop": bool(getattr(self._processor.image_processor, "do_center_crop", False)),
            "max_tokens": self.max_tokens,
            "versions": package_versions(),
        }

    @property
    def _fill(self) -> tuple[int, ...]:
        mean = getattr(self._processor.image_processor, "image_mean", None) or [0.5] * 3
        return tuple(round(255 * value) for value in mean)

    @torch.inference_mode()
    def _features(self, encode: Callable[..., Any], batch: Tensors) -> torch.Tensor:
        placed = {
            key: value.to(self.device, self._model.dtype if value.is_floating_point() else None)
            for key, value in batch.items()
        }
        made = encode(**placed)
        vectors: torch.Tensor = getattr(made, "pooler_output", made)
        return vectors.float().cpu()


def letterbox(image: Image.Image, fill: tuple[int, ...]) -> Image.Image:
    """Return the image in the middle of a square of its longer side, the rest filled."""
    side = max(image.size)
    square = Image.new("RGB", (side, side), fill)
    square.paste(image, ((side - image.width) // 2, (side - image.height) // 2))
    return square


def _max_tokens(config: Any, tokenizer: Any) -> int:
    text = getattr(config, "text_config", config)
    # A tokenizer that does not know its limit says 1e30.
    limits = [text.max_position_embeddings, int(min(tokenizer.model_max_length, 2**31))]
    return int(min(limits))


def _accepted(tensors: Mapping[str, Any], encode: Callable[..., Any]) -> Tensors:
    known = inspect.signature(encode).parameters
    return {key: value for key, value in tensors.items() if key in known}
