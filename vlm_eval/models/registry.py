"""From what ``--model`` says to a model.

``--model`` is, tried in this order:

1. ``backend:target``, such as ``hf:./my-checkpoint`` or ``mock:seed=3`` (``mock`` alone works too);
2. a preset of ``presets.yaml``, or an embedded checkpoint (``tiny``, ``tiny-joint``);
3. a local folder;
4. a hub id, ``owner/name``.

What a checkpoint is decides which backend loads it: ``contrastive`` a dual encoder (CLIP, SigLIP),
``hf`` any other. Nothing here imports torch before a model is loaded. Other packages add backends
through the entry-point group ``vlm_eval.models``.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from importlib import resources
from pathlib import Path
from typing import Any, Protocol

import yaml

from vlm_eval.core.errors import ModelError, UsageError, did_you_mean
from vlm_eval.core.registry import Registry
from vlm_eval.models.args import parse_args
from vlm_eval.models.base import Model

EMBEDDED = ("tiny", "tiny-joint")
_CHECKPOINTS = ("hf", "contrastive")  # backends whose target is a folder or a hub id
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


class Backend(Protocol):
    """Loads a model. The object of an entry point in ``vlm_eval.models`` is one of these."""

    def __call__(
        self,
        target: str,
        *,
        name: str,
        args: Mapping[str, Any],
        batch_size: int | None,
        device: str | None,
        dtype: str | None,
    ) -> Model:
        """Return the model.

        ``target`` is what stands after ``backend:`` and ``name`` what to call the model; ``args``
        are the backend's own options, as strings if they were typed. None means the backend's
        choice. Raises UsageError for a wrong option and ModelError if the model cannot be loaded.
        """
        ...


BACKENDS: Registry[Backend] = Registry(
    "model backend",
    {
        "hf": "vlm_eval.models.hf:load",
        "contrastive": "vlm_eval.models.contrastive:load",
        "mock": "vlm_eval.models.mock:load",
    },
    "vlm_eval.models",
)


@dataclass(frozen=True)
class Preset:
    """One row of ``presets.yaml``.

    Attributes
    ----------
    hub
        Hub id of the checkpoint.
    dtype
        Number format used on an accelerator unless another is asked for.
    notes
        One line for people.
    also
        Other names of it.
    """

    hub: str
    dtype: str
    notes: str
    also: tuple[str, ...] = ()


@functools.cache
def presets() -> Mapping[str, Preset]:
    """Return the presets by name, in the order of the file."""
    text = resources.files(__package__).joinpath("presets.yaml").read_text(encoding="utf-8")
    rows = yaml.safe_load(text).items()
    return {name: Preset(**{**row, "also": tuple(row.get("also", ()))}) for name, row in rows}


def _preset(name: str) -> Preset | None:
    return next((p for key, p in presets().items() if name in (key, *p.also)), None)


@dataclass(frozen=True)
class Target:
    """What a spec stands for: a backend, what to load with it, and defaults of its options."""

    backend: str
    target: str
    name: str
    args: Mapping[str, Any] = field(default_factory=dict)


def model_names() -> list[str]:
    """Return the names that ``--model`` knows besides folders and hub ids."""
    return sorted({*presets(), *EMBEDDED, *BACKENDS} - {*_CHECKPOINTS})


def resolve(spec: str) -> Target:
    """Find out what a spec stands for. Loads nothing.

    Raises
    ------
    UsageError
        If it is no known name, folder or hub id; the message holds the nearest names.
    """
    backend, colon, target = spec.partition(":")
    if backend in _CHECKPOINTS and colon:
        return replace(_checkpoint(target), backend=backend)
    if backend in BACKENDS and backend not in _CHECKPOINTS:
        return Target(backend, target, spec)
    preset = _preset(spec)
    if preset is not None:
        return Target("hf", preset.hub, spec, {"accelerator_dtype": preset.dtype})
    if spec in EMBEDDED:
        return Target("hf", str(_embedded(spec)), spec)
    return _checkpoint(spec)


def _checkpoint(place: str) -> Target:
    folder = Path(place).expanduser()
    if place and folder.is_dir():
        return Target("hf", str(folder), folder.resolve().name)
    if _HUB_ID.fullmatch(place):
        return Target("hf", place, place.partition("/")[2])
    if "/" in place or "\\" in place:
        raise UsageError(f"no model folder {place!r}", hint="give a folder that exists or a hub id")
    if place in model_names():
        raise UsageError(f"{place!r} is no folder", hint=f"write {place} without hf:")
    near = did_you_mean(place.partition(":")[0], model_names())
    raise UsageError(
        f"unknown model {place!r}", hint=f"{near} (a folder or a hub id, owner/name, works too)"
    )


def load_model(
    spec: str,
    *,
    args: str | Mapping[str, Any] | None = None,
    batch_size: int | str | None = None,
    device: str | None = None,
    dtype: str | None = None,
) -> Model:
    """Load a model.

    Parameters
    ----------
    spec
        A preset, ``tiny``, ``tiny-joint``, a folder, a hub id or ``backend:target``.
    args
        The backend's own options, as a mapping or as ``"key=value,key=value"``.
    batch_size
        Sequences per forward pass, 1 or more; None or ``"auto"`` leaves it to the backend.
    device, dtype
        Where and in what number format to run; None leaves it to the backend.

    Raises
    ------
    UsageError
        If the spec, an option or the batch size is wrong.
    ModelError
        If the model cannot be loaded.
    """
    found = resolve(spec)
    options = {**found.args, **parse_args(args)}
    return BACKENDS.get(_backend(found, options))(
        found.target,
        name=found.name,
        device=_once("device", device, options),
        dtype=_once("dtype", dtype, options),
        batch_size=_batch_size(batch_size),
        args=options,
    )


def _backend(found: Target, options: Mapping[str, Any]) -> str:
    """Return the backend for what the checkpoint is, where it is only known to be one."""
    if found.backend != "hf":
        return found.backend
    from vlm_eval.models.dual_encoder import is_dual_encoder

    return "contrastive" if is_dual_encoder(found.target, options.get("revision")) else "hf"


def _once(key: str, value: str | None, options: dict[str, Any]) -> str | None:
    """Take an argument that may also stand among the options, which lose it."""
    other = options.pop(key, None)
    if value is not None and other not in (None, value):
        raise UsageError(f"{key} is given twice, as {value!r} and as {other!r}")
    return other if value is None else value


def _batch_size(value: int | str | None) -> int | None:
    if value is None or value == "auto":
        return None
    try:
        size = int(value)
    except ValueError:
        size = 0
    if size < 1:
        raise UsageError(f"batch size {value!r} is not possible", hint="give 1 or more, or auto")
    return size


def _embedded(name: str) -> Path:
    folder = Path(str(resources.files(__package__))) / "tiny" / "checkpoints" / name
    if not folder.is_dir():
        raise ModelError(
            f"the embedded checkpoint {name!r} is not in this installation",
            hint="reinstall the package, or train it: python -m vlm_eval.models.tiny.train",
        )
    return folder
