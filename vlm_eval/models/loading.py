"""Loading a Hugging Face checkpoint, and saying exactly what was loaded."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
from huggingface_hub.errors import StrictDataclassError
from pydantic import Field
from safetensors import SafetensorError
from transformers import AutoConfig, AutoModelForImageTextToText, GenerationConfig
from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING
from transformers.utils import logging as hf_logging

from vlm_eval.core.errors import ModelError, UsageError
from vlm_eval.core.hashing import digest
from vlm_eval.core.options import configurable
from vlm_eval.models.processor import describe_processor, load_processor, set_pixel_budget

_FAULTS = (
    OSError, ValueError, KeyError, TypeError, ImportError, RuntimeError, SafetensorError,
    StrictDataclassError,
)  # fmt: skip
_COMMIT = re.compile(r"[0-9a-f]{40}")
_DTYPES = {
    **dict.fromkeys(("float32", "fp32"), torch.float32),
    **dict.fromkeys(("bfloat16", "bf16"), torch.bfloat16),
    **dict.fromkeys(("float16", "fp16"), torch.float16),
}

log = logging.getLogger(__name__)


@configurable
class HfOptions:
    """Options of the ``hf`` backend, as given in ``--model_args``.

    Attributes
    ----------
    revision
        Branch, tag or commit of a hub checkpoint.
    accelerator_dtype
        Number format on an accelerator where ``--dtype`` does not say; on CPU it is float32.
    device_map
        Spread the model over devices, such as ``auto`` (accelerate); excludes ``--device``.
    attn_implementation
        ``sdpa``, ``eager``, ``flash_attention_2``, ...; the library's choice if None.
    min_pixels, max_pixels
        Bounds of an image's area after resizing, in pixels. Only where the image processor has
        such bounds (Qwen-VL and its relatives).
    image_backend
        Prepare images with ``pil`` or ``torchvision``; the library's choice if None.
    trust_remote_code
        Run the checkpoint's own Python code; a hub checkpoint then needs ``revision`` to be a
        full commit hash.
    vision_memo_mb
        Megabytes of image features kept for reuse; 0 encodes images anew in every forward pass.
    """

    revision: str | None = None
    accelerator_dtype: Literal["bfloat16", "float16", "float32"] = "bfloat16"
    device_map: str | None = None
    attn_implementation: str | None = None
    min_pixels: Annotated[int, Field(ge=1)] | None = None
    max_pixels: Annotated[int, Field(ge=1)] | None = None
    image_backend: Literal["pil", "torchvision"] | None = None
    trust_remote_code: bool = False
    vision_memo_mb: Annotated[int, Field(ge=0)] = 512


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
    """

    source: str
    model: Any
    processor: Any
    options: HfOptions
    generation_defaults: dict[str, Any]

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
            **_revision(self.source, model.config),
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
            "versions": {name: _version(name) for name in _PACKAGES},
        }


_PACKAGES = ("torch", "transformers", "tokenizers", "accelerate", "pillow", "torchvision")


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
        broken or incomplete.
    """
    _check(source, options, device)
    place = {"revision": options.revision} if options.revision else {}
    shared = {**place, "trust_remote_code": options.trust_remote_code}
    with _quiet():
        config = _load_config(source, shared)
        backend = {"backend": options.image_backend} if options.image_backend else {}
        processor = load_processor(source, config, **shared, **backend)
        _check_backend(source, options, processor)
        set_pixel_budget(processor, options.min_pixels, options.max_pixels)
        target = _device(device)
        model = _load_model(source, options, shared, target, _dtype(dtype, options, target))
    defaults = model.generation_config.to_diff_dict()
    model.generation_config = _stopping(model.generation_config, processor.tokenizer)
    return Checkpoint(source, model, processor, options, _decoding_only(defaults))


def _check(source: str, options: HfOptions, device: str | None) -> None:
    folder = Path(source).is_dir()
    pinned = options.revision is not None and _COMMIT.fullmatch(options.revision)
    if options.trust_remote_code and not folder and not pinned:
        raise UsageError(
            "trust_remote_code needs a pinned revision",
            hint="add revision=<the full commit hash whose code you have read>",
        )
    if options.revision is not None and folder:
        raise UsageError(
            f"revision {options.revision!r} is given for a folder, which has none",
            hint="leave revision out, or give a hub id",
        )
    if options.device_map is not None and device is not None:
        raise UsageError("device and device_map exclude each other", hint="give one of them")
    if folder and not (Path(source) / "config.json").is_file():
        raise ModelError("it holds no config.json", where=source, hint="give a checkpoint's folder")


def _check_backend(source: str, options: HfOptions, processor: Any) -> None:
    # transformers takes another backend than the one asked for, and says nothing.
    asked, got = options.image_backend, getattr(processor.image_processor, "backend", None)
    if asked not in (None, got):
        raise ModelError(
            f"its images cannot be prepared with {asked}, only with {got}",
            where=source,
            hint="leave image_backend out"
            + (", or pip install 'paired-vlm-eval[vision]'" if asked == "torchvision" else ""),
        )


def _load_config(source: str, shared: dict[str, Any]) -> Any:
    try:
        config = AutoConfig.from_pretrained(source, **shared)
    except _FAULTS as error:
        raise ModelError(
            f"its configuration does not load: {_line(error)}", where=source
        ) from error
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
    return config


def _load_model(
    source: str,
    options: HfOptions,
    shared: dict[str, Any],
    device: torch.device,
    dtype: torch.dtype,
) -> Any:
    chosen = {"attn_implementation": options.attn_implementation, "device_map": options.device_map}
    try:
        model, report = AutoModelForImageTextToText.from_pretrained(
            source,
            dtype=dtype,
            use_safetensors=True,
            output_loading_info=True,
            **{key: value for key, value in chosen.items() if value is not None},
            **shared,
        )
        if options.device_map is None:
            model = model.to(device)
    except _FAULTS as error:
        pickled = any(Path(source).glob("*.bin")) and not any(Path(source).glob("*.safetensors"))
        raise ModelError(
            f"its weights do not load: {_reason(error)}",
            where=source,
            hint="save them as safetensors: pickled weights can run code" if pickled else "",
        ) from error
    missing = sorted(report["missing_keys"])
    if missing:
        # transformers fills them with random numbers and goes on.
        raise ModelError(
            f"{len(missing)} of its weights are missing, such as {missing[0]}",
            where=source,
            hint="the files are incomplete or belong to another architecture",
        )
    return model.eval().requires_grad_(False)


def _reason(error: Exception) -> str:
    if "ignore_mismatched_sizes" in str(error):  # an option that is not offered here
        return "some have another shape than config.json says"
    return _line(error).rstrip(".")


def _device(asked: str | None) -> torch.device:
    if asked in (None, "auto"):
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(asked)
        torch.zeros(1, device=device).item()
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise UsageError(f"device {asked!r} is not available: {_line(error)}") from error
    return device


def _dtype(asked: str | None, options: HfOptions, device: torch.device) -> torch.dtype:
    if asked in (None, "auto"):
        asked = "float32" if device.type == "cpu" else options.accelerator_dtype
    if asked not in _DTYPES:
        raise UsageError(f"unknown dtype {asked!r}", hint=f"known: auto, {', '.join(_DTYPES)}")
    return _DTYPES[asked]


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


def _revision(source: str, config: Any) -> dict[str, Any]:
    """Return the commit of a hub checkpoint, or a digest of a folder's weights and code."""
    if not Path(source).is_dir():
        return {"revision": getattr(config, "_commit_hash", None)}
    hashes = {}
    for path in sorted(Path(source).iterdir()):
        if path.suffix in {".safetensors", ".py"}:
            with path.open("rb") as file:
                hashes[path.name] = hashlib.file_digest(file, "sha256").hexdigest()
    return {"revision": None, "weights_digest": digest(hashes)}


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _line(error: Exception) -> str:
    """Return an error's first line: transformers explains itself at length."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)[:300]


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silence transformers' notes and bars while it loads; what matters is raised."""
    level, bars = hf_logging.get_verbosity(), hf_logging.is_progress_bar_enabled()
    hf_logging.set_verbosity_error()
    hf_logging.disable_progress_bar()
    try:
        yield
    finally:
        hf_logging.set_verbosity(level)
        if bars:
            hf_logging.enable_progress_bar()
