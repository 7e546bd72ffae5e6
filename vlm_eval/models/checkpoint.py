"""What loading any Hugging Face checkpoint takes, whatever the model is for."""

from __future__ import annotations

import contextlib
import hashlib
import re
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal

import torch
from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError
from transformers import AutoConfig
from transformers.utils import logging as hf_logging

from vlm_eval.core.errors import ModelError, UsageError
from vlm_eval.core.hashing import digest
from vlm_eval.core.options import configurable

FAULTS = (
    OSError, ValueError, KeyError, TypeError, ImportError, RuntimeError, SafetensorError,
    StrictDataclassError,
)  # fmt: skip
_COMMIT = re.compile(r"[0-9a-f]{40}")
_DTYPES = {
    **dict.fromkeys(("float32", "fp32"), torch.float32),
    **dict.fromkeys(("bfloat16", "bf16"), torch.bfloat16),
    **dict.fromkeys(("float16", "fp16"), torch.float16),
}
_PACKAGES = ("torch", "transformers", "tokenizers", "accelerate", "pillow", "torchvision")


@configurable
class CheckpointOptions:
    """What every backend for Hugging Face checkpoints takes in ``--model_args``.

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
    image_backend
        Prepare images with ``pil`` or ``torchvision``; the library's choice if None.
    trust_remote_code
        Run the checkpoint's own Python code; a hub checkpoint then needs ``revision`` to be a
        full commit hash.
    """

    revision: str | None = None
    accelerator_dtype: Literal["bfloat16", "float16", "float32"] = "bfloat16"
    device_map: str | None = None
    attn_implementation: str | None = None
    image_backend: Literal["pil", "torchvision"] | None = None
    trust_remote_code: bool = False

    @property
    def place(self) -> dict[str, Any]:
        """What each ``from_pretrained`` is told of where to read."""
        revision = {"revision": self.revision} if self.revision else {}
        return {**revision, "trust_remote_code": self.trust_remote_code}


def check_options(source: str, options: CheckpointOptions, device: str | None) -> None:
    """Check what can be checked before anything is loaded.

    Raises
    ------
    UsageError
        If the options contradict each other, or remote code is not pinned.
    ModelError
        If a folder is no checkpoint.
    """
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


def check_image_backend(source: str, options: CheckpointOptions, images: Any) -> None:
    """Check that the image processor is of the backend that was asked for.

    Raises
    ------
    ModelError
        If it is of the other.
    """
    # transformers takes another backend than the one asked for, and says nothing.
    asked, got = options.image_backend, getattr(images, "backend", None)
    if asked not in (None, got):
        raise ModelError(
            f"its images cannot be prepared with {asked}, only with {got}",
            where=source,
            hint="leave image_backend out"
            + (", or pip install 'paired-vlm-eval[vision]'" if asked == "torchvision" else ""),
        )


def load_config(source: str, options: CheckpointOptions) -> Any:
    """Return the checkpoint's configuration. Raises ModelError if it does not load."""
    try:
        return AutoConfig.from_pretrained(source, **options.place)
    except FAULTS as error:
        raise ModelError(
            f"its configuration does not load: {reason(error)}", where=source
        ) from error


def load_weights(
    kind: Any, source: str, options: CheckpointOptions, device: torch.device, dtype: torch.dtype
) -> Any:
    """Load a model with an auto class of transformers, such as ``AutoModelForImageTextToText``.

    Returns
    -------
    The model on its device, in evaluation mode.

    Raises
    ------
    ModelError
        If the weights are pickled, broken, incomplete or of another architecture.
    """
    # Straight to an accelerator: several ranks would fill the host's memory with their copies.
    place = options.device_map or (None if device.type == "cpu" else {"": device})
    chosen = {"attn_implementation": options.attn_implementation, "device_map": place}
    try:
        model, report = kind.from_pretrained(
            source,
            dtype=dtype,
            use_safetensors=True,
            output_loading_info=True,
            **{key: value for key, value in chosen.items() if value is not None},
            **options.place,
        )
        if place is None:
            model = model.to(device)
    except FAULTS as error:
        pickled = any(Path(source).glob("*.bin")) and not any(Path(source).glob("*.safetensors"))
        raise ModelError(
            f"its weights do not load: {_why(error)}",
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


def _why(error: Exception) -> str:
    if "ignore_mismatched_sizes" in str(error):  # an option that is not offered here
        return "some have another shape than config.json says"
    return reason(error).rstrip(".")


def pick_device(asked: str | None) -> torch.device:
    """Return the device asked for, or else the first GPU if there is one.

    Raises
    ------
    UsageError
        If it is not there.
    """
    if asked in (None, "auto"):
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(asked)
        torch.zeros(1, device=device).item()
        if device.type == "cuda" and device.index is not None:
            torch.cuda.set_device(device)  # where kernels of Triton run, whatever they are given
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise UsageError(f"device {asked!r} is not available: {reason(error)}") from error
    return device


def pick_dtype(asked: str | None, options: CheckpointOptions, device: torch.device) -> torch.dtype:
    """Return the number format asked for, or else float32 on CPU and the options' elsewhere.

    Raises
    ------
    UsageError
        If its name is unknown.
    """
    if asked in (None, "auto"):
        asked = "float32" if device.type == "cpu" else options.accelerator_dtype
    if asked not in _DTYPES:
        raise UsageError(f"unknown dtype {asked!r}", hint=f"known: auto, {', '.join(_DTYPES)}")
    return _DTYPES[asked]


def revision_of(source: str, config: Any) -> dict[str, Any]:
    """Return the commit of a hub checkpoint, or a digest of a folder's weights and code."""
    if not Path(source).is_dir():
        return {"revision": getattr(config, "_commit_hash", None)}
    hashes = {}
    for path in sorted(Path(source).iterdir()):
        if path.suffix in {".safetensors", ".py"}:
            with path.open("rb") as file:
                hashes[path.name] = hashlib.file_digest(file, "sha256").hexdigest()
    return {"revision": None, "weights_digest": digest(hashes)}


def package_versions() -> dict[str, str | None]:
    """Return the versions of the packages that decide what a checkpoint computes."""
    return {name: _version(name) for name in _PACKAGES}


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def reason(error: Exception) -> str:
    """Return an error's first line: transformers explains itself at length."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)[:300]


@contextlib.contextmanager
def quiet() -> Iterator[None]:
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
