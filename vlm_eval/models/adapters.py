"""Adapters of peft, such as LoRA: loaded from safetensors and merged into the model's weights.

A merged model is an ordinary one: its layers can be swapped, captured and steered as any other's.
Needs the package peft (the extra ``internals``).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vlm_eval.core.errors import ModelError, UsageError
from vlm_eval.models.checkpoint import FAULTS, reason

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"


@dataclass(frozen=True)
class Adapter:
    """An adapter on disk.

    Attributes
    ----------
    source
        Folder or hub id.
    folder
        Where its files are.
    revision
        Commit of a hub adapter; None of a folder.
    """

    source: str
    folder: Path
    revision: str | None

    def provenance(self, config: Any) -> dict[str, Any]:
        """Return what determines the merged weights besides the base model, JSON-able."""
        with (self.folder / WEIGHTS).open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        return {
            "source": self.source,
            "revision": self.revision,
            "sha256": sha256,
            "type": str(getattr(config.peft_type, "value", config.peft_type)),
            "trained_on": config.base_model_name_or_path,
        }


def find_adapter(source: str, revision: str | None) -> Adapter:
    """Return the adapter of a folder or hub id; nothing but its configuration and safetensors.

    Raises
    ------
    UsageError
        If a revision is given for a folder.
    ModelError
        If there is no such adapter, or it has no safetensors.
    """
    folder, commit = Path(source).expanduser(), None
    if folder.is_dir():
        if revision is not None:
            raise UsageError(
                f"adapter_revision {revision!r} is given for a folder, which has none",
                hint="leave it out, or give a hub id",
            )
    else:
        folder = _download(source, revision)
        commit = folder.name
    if not (folder / CONFIG).is_file():
        raise ModelError(f"it holds no {CONFIG}", where=source, hint="give a peft adapter")
    if not (folder / WEIGHTS).is_file():
        raise ModelError(
            f"it holds no {WEIGHTS}",
            where=source,
            hint="save it as safetensors: pickled weights can run code",
        )
    return Adapter(source, folder, commit)


def _download(source: str, revision: str | None) -> Path:
    from huggingface_hub import snapshot_download

    try:
        found = snapshot_download(source, revision=revision, allow_patterns=[CONFIG, WEIGHTS])
    except FAULTS as error:
        raise ModelError(
            f"no such adapter: {reason(error)}",
            where=source,
            hint="give a folder that exists or a hub id",
        ) from error
    return Path(found)


def merge_adapter(model: Any, adapter: Adapter) -> tuple[Any, dict[str, Any]]:
    """Merge an adapter into a transformers model, in place.

    Returns
    -------
    model, provenance
        The model with changed weights and no trace of peft, and where the change comes from.

    Raises
    ------
    UsageError
        If peft is not installed.
    ModelError
        If the adapter cannot be merged, or belongs to another model: it changes modules that this
        one does not have, or of another shape, or leaves some of its own without weights.
    """
    try:
        import peft
    except ImportError as error:
        raise UsageError(
            "adapters need the package peft", hint="pip install 'paired-vlm-eval[internals]'"
        ) from error
    try:
        config = peft.PeftConfig.from_pretrained(str(adapter.folder))
        wrapped: Any = peft.PeftModel(model, config)
        if not hasattr(wrapped.base_model, "merge_and_unload"):
            raise ModelError(
                f"a {config.peft_type.value} adapter cannot be merged into a model's weights",
                where=adapter.source,
                hint="give a LoRA adapter, or another that changes weights",
            )
        result = wrapped.load_adapter(
            str(adapter.folder),
            "default",
            torch_device=str(model.device),
            # As peft's own loading: names of modules have changed between versions.
            key_mapping=getattr(model, "_checkpoint_conversion_mapping", None),
        )
        _check_complete(adapter, result)
        merged = wrapped.merge_and_unload(safe_merge=True)
    except FAULTS as error:
        raise _other_base(adapter, reason(error)) from error
    return merged.eval().requires_grad_(False), adapter.provenance(config)


def _check_complete(adapter: Adapter, result: Any) -> None:
    # peft goes on with a warning, and what it has no weights for changes nothing.
    extra, missing = result.unexpected_keys, result.missing_keys
    if extra:
        raise _other_base(adapter, f"it changes {len(extra)} others, such as {extra[0]}")
    if missing:
        raise _other_base(adapter, f"it lacks {len(missing)} weights, such as {missing[0]}")


def _other_base(adapter: Adapter, what: str) -> ModelError:
    return ModelError(
        f"it does not fit the model: {what.rstrip('.')}",
        where=adapter.source,
        hint="give the base model that it was trained on (base_model_name_or_path in its "
        f"{CONFIG})",
    )
