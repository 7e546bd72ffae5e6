"""Loading the processor of a checkpoint, with or without torchvision.

In transformers 5, a processor class with a slot for videos (Qwen2-VL and later, InternVL, SmolVLM,
LLaVA-OneVision and some thirty more) cannot be constructed where torchvision is absent or where the
checkpoint says nothing of videos, although its image half works on Pillow. :func:`load_processor`
then leaves the video slot empty.

Pillow and torchvision resize a little differently, so results name the backend that was used.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib.util import find_spec
from types import SimpleNamespace
from typing import Any

import transformers
from transformers import AutoProcessor, ProcessorMixin
from transformers.image_processing_base import ImageProcessingMixin
from transformers.models.auto.processing_auto import PROCESSOR_MAPPING

from vlm_eval.core.errors import ModelError
from vlm_eval.core.hashing import digest

_VIDEO = "video_processor"
_FIRST = re.compile(r"(?<=\.) (?=[A-Z])")
_SENTENCEPIECE = ("SentencePiece", "protobuf")
_FAULTS = (OSError, ValueError, TypeError, KeyError, AttributeError, ImportError)


class WithoutVideo(ProcessorMixin):  # type: ignore[misc]
    """A mixin that keeps a processor's video slot empty.

    It stands *after* the processor class in the order of inheritance, between that class and
    ProcessorMixin, so that it sees what the class passes on and drops the video part of it.
    """

    # SmolVLM looks up how videos are sampled whenever it renders a conversation.
    video_processor = SimpleNamespace(num_frames=None, fps=None)

    def __init__(self, *parts: Any, **named: Any) -> None:
        named.pop(_VIDEO, None)
        super().__init__(*(part for part in parts if part is not None), **named)

    @classmethod
    def get_attributes(cls) -> list[str]:
        """Return the names of the parts, without the video processor."""
        return [name for name in super().get_attributes() if name != _VIDEO]

    @classmethod
    def _get_arguments_from_pretrained(cls, *args: Any, **kwargs: Any) -> list[Any]:
        parts: list[Any] = super()._get_arguments_from_pretrained(*args, **kwargs)
        # The class takes its parts by position: the empty slot must be passed too.
        parts.insert(super().get_attributes().index(_VIDEO), None)
        return parts

    @classmethod
    def from_args_and_dict(cls, args: Any, processor_dict: Mapping[str, Any], **kwargs: Any) -> Any:
        """Construct from parts and settings, of which those of the video processor are dropped."""
        settings = {key: value for key, value in processor_dict.items() if key != _VIDEO}
        return super().from_args_and_dict(args, settings, **kwargs)


def without_video(kind: type[Any]) -> type[Any]:
    """Return a processor class like ``kind`` whose video slot stays empty."""
    return type(kind.__name__, (kind, WithoutVideo), {"__module__": kind.__module__})


def load_processor(source: str, config: Any, **kwargs: Any) -> Any:
    """Load the processor of a checkpoint.

    Parameters
    ----------
    source
        Folder or hub id.
    config
        The checkpoint's model configuration.
    kwargs
        For ``from_pretrained``: ``revision``, ``backend`` (``pil`` or ``torchvision``), ...

    Raises
    ------
    ModelError
        If there is none, it handles no images, or its image processor needs torchvision.
    """
    try:
        processor = _load(source, config, kwargs)
    except _FAULTS as error:
        raise _explain(source, error) from error
    if not isinstance(processor, ProcessorMixin) or not hasattr(processor, "image_processor"):
        raise ModelError(
            f"it has no image processor, only a {type(processor).__name__}",
            where=source,
            hint="add processor_config.json and preprocessor_config.json to the checkpoint",
        )
    # Without the tokenizer's files transformers makes one that knows no word, and says nothing.
    if not processor.tokenizer("Yes No 1", add_special_tokens=False)["input_ids"]:
        raise ModelError(
            "its tokenizer knows no word", where=source, hint="add tokenizer.json to the checkpoint"
        )
    return processor


def _load(source: str, config: Any, kwargs: Mapping[str, Any]) -> Any:
    try:
        return AutoProcessor.from_pretrained(source, **kwargs)
    except _FAULTS:
        kind = _processor_class(source, config, kwargs)
        if kind is None or _VIDEO not in kind.get_attributes():
            raise
        # No torchvision, or no settings for videos: they are not needed here.
        return without_video(kind).from_pretrained(source, **kwargs)


def _processor_class(source: str, config: Any, kwargs: Mapping[str, Any]) -> Any:
    """Return the class that the checkpoint names, or else the usual one of its model type."""
    place = {key: value for key, value in kwargs.items() if key in {"revision", "cache_dir"}}
    for read in (ProcessorMixin.get_processor_dict, ImageProcessingMixin.get_image_processor_dict):
        try:
            name = read(source, **place)[0].get("processor_class")
        except OSError:
            continue
        if name is not None and hasattr(transformers, name):
            return getattr(transformers, name)
    return PROCESSOR_MAPPING.get(type(config), None)


def _explain(source: str, error: Exception) -> ModelError:
    reason = " ".join(str(error).split()) or type(error).__name__
    if "torchvision" in reason.lower() and not find_spec("torchvision"):
        return ModelError(
            "its image processor needs torchvision, which is not installed",
            where=source,
            hint="pip install 'paired-vlm-eval[vision]'",
        )
    if "num2words" in reason:
        return ModelError(
            "its processor needs num2words, which is not installed",
            where=source,
            hint="pip install 'paired-vlm-eval[vision]'",
        )
    # transformers names one of the two, and the other once that is there.
    sentencepiece = any(f"requires the {name} library" in reason for name in _SENTENCEPIECE)
    hint = "pip install sentencepiece protobuf" if sentencepiece else None
    # What follows the first sentence is advice on hub names.
    what = f"its processor does not load: {_FIRST.split(reason)[0].rstrip('.')[:300]}"
    return ModelError(what, where=source, hint=hint)


def set_pixel_budget(processor: Any, minimum: int | None, maximum: int | None) -> None:
    """Bound the area, in pixels, to which the image processor resizes an image.

    Raises
    ------
    ModelError
        If the image processor has no such bounds (it resizes to a fixed size, or tiles).
    """
    if minimum is None and maximum is None:
        return
    images = processor.image_processor
    if "max_pixels" not in getattr(images.valid_kwargs, "__annotations__", {}):
        raise ModelError(
            f"{type(images).__name__} has no pixel budget", hint="leave min_pixels, max_pixels out"
        )
    size = dict(images.size)
    low = size["shortest_edge"] if minimum is None else minimum
    high = size["longest_edge"] if maximum is None else maximum
    if not 0 < low <= high:
        raise ModelError(
            f"a pixel budget from {low} to {high} is empty",
            hint="give min_pixels and max_pixels, in this order of size",
        )
    # Its names are misleading: for these processors both are areas, in pixels.
    images.size = type(images.size)(shortest_edge=low, longest_edge=high)


def describe_processor(processor: Any) -> dict[str, Any]:
    """Return what determines how pixels and text are prepared, and a digest of it."""
    images, tokenizer = processor.image_processor, processor.tokenizer
    size = {key: value for key, value in dict(images.size or {}).items() if value is not None}
    parts = {
        "images": images.to_json_string(),
        "template": chat_template(processor),
        "tokenizer": tokenizer.backend_tokenizer.to_str() if tokenizer.is_fast else str(tokenizer),
    }
    cropped = {"center_crop": True} if getattr(images, "do_center_crop", None) else {}
    return {
        "processor": type(processor).__name__,
        "image_processor": type(images).__name__,
        "image_backend": getattr(images, "backend", None),
        "image_size": size,
        **cropped,
        "processor_digest": digest(parts),
        "chat_template": digest(parts["template"]) if parts["template"] else None,
    }


def chat_template(processor: Any) -> Any:
    """Return the processor's chat template, or else its tokenizer's, or None."""
    return processor.chat_template or getattr(processor.tokenizer, "chat_template", None)
