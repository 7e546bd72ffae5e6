"""Applying a task's transforms to an image, when it is looked at and not before."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from PIL import Image

from vlm_eval.core.hashing import derive_seed, digest
from vlm_eval.core.types import ImageRef
from vlm_eval.transforms.base import Transform


def apply(transforms: Sequence[Transform], ref: ImageRef, seed: int) -> ImageRef:
    """Return a reference to the transformed image.

    The new key is a digest of the old key and of every transform's class and options, and of its
    seed where it uses one; two samples that blur the same image alike share the result. An identity
    gets a new key too, so that a control is a request of its own; a backend may see that its pixels
    are those of the baseline.

    Parameters
    ----------
    transforms
        In the order of application. None leave the reference as it is.
    ref
        The image.
    seed
        The sample's seed; each transform gets its own, derived from it, its place and its class.
    """
    if not transforms:
        return ref
    steps = [
        (transform, derive_seed(seed, place, _name(transform)))
        for place, transform in enumerate(transforms)
    ]

    def load() -> Image.Image:
        image = ref.load()
        for transform, own in steps:
            image = transform(image, own)
        return image

    specs = [[*_spec(transform), own if transform.uses_seed else None] for transform, own in steps]
    return ImageRef(key=digest([ref.key, specs]), load=load, label=ref.label)


def _name(transform: Transform) -> str:
    cls = type(transform)
    return f"{cls.__module__}:{cls.__qualname__}"


def _spec(transform: Any) -> list[Any]:
    """Return the class and the options that differ from their defaults.

    So a key outlives a new option whose default is what the transform did before.
    """
    options = {
        field.name: value
        for field in dataclasses.fields(transform)
        if (value := getattr(transform, field.name)) != field.default
    }
    return [_name(transform), options]
