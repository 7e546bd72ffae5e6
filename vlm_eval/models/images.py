"""From image references to the tensors that a vision tower reads.

Every image is decoded once and every distinct list of images is prepared once, however many
requests share it. Images of equal pixels are one image here, whatever their recipes: what a
transform leaves as it was is not computed again. What belongs to one image is then cut out, so that
its features can be computed once even if it stands in several lists.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, NamedTuple, TypeAlias

import torch
from PIL import Image
from torch import Tensor

from vlm_eval.core.types import ImageRef
from vlm_eval.models.lru import Lru

Tensors: TypeAlias = Mapping[str, Any]
"""A processor's outputs by name; a value is a tensor, or a list where sizes differ."""

# Requests arrive sorted by image, so a few are enough.
RECENT = 8


@dataclass(frozen=True)
class Unit:
    """What the vision tower encodes in one piece: one image, or a list that cannot be cut up.

    Attributes
    ----------
    key
        Equal keys mean equal tensors.
    tensors
        As the image processor made them.
    """

    key: tuple[Any, ...]
    tensors: Tensors


@dataclass(frozen=True)
class Prepared:
    """The images of one request, prepared.

    Attributes
    ----------
    tensors
        As the processor made them for the request; empty if it has no image.
    units
        The same, cut up.
    keys
        Digests of the images' pixels.
    """

    tensors: Tensors
    units: tuple[Unit, ...]
    keys: tuple[str, ...] = ()

    @property
    def geometry(self) -> Tensors:
        """What a model needs besides features, such as patch grids for positions: not pixels."""
        return {k: v for k, v in self.tensors.items() if not k.startswith("pixel")}


def prepared(tensors: Tensors, keys: Sequence[str]) -> Prepared:
    """Cut up what a processor made of the images of one request, given digests of their pixels."""
    parts = _split(tensors, len(keys)) if len(keys) > 1 else None
    if parts is None:
        whole = [(tuple(keys), tensors)] if keys else []
    else:
        whole = [((key,), part) for key, part in zip(keys, parts, strict=True)]
    units = tuple(Unit((*key, _shapes(part)), part) for key, part in whole)
    return Prepared(tensors, units, tuple(keys))


def _split(tensors: Tensors, count: int) -> list[Tensors] | None:
    """Return one mapping an image, or None if it is not known which rows are whose."""
    pixels, grid = tensors.get("pixel_values"), tensors.get("image_grid_thw")
    rest = {key: value for key, value in tensors.items() if key != "pixel_values"}
    if not all(isinstance(value, Tensor) for value in tensors.values()) or pixels is None:
        return None
    if any(len(value) != count for value in rest.values()):
        return None
    sizes = [1] * count if grid is None else grid.prod(-1).tolist()
    if len(pixels) != sum(sizes):
        return None
    rows = pixels.split(sizes)
    return [
        {"pixel_values": rows[i], **{key: value[i : i + 1] for key, value in rest.items()}}
        for i in range(count)
    ]


def _shapes(tensors: Tensors) -> tuple[Any, ...]:
    # Some processors pad an image to the largest of its list: then it is another input.
    return tuple(sorted((key, tuple(getattr(v, "shape", ()))) for key, v in tensors.items()))


def stack(parts: Sequence[Tensors]) -> dict[str, Any]:
    """Put the image tensors of several requests together, in order.

    Tensors are concatenated along their first axis; where other axes differ (numbers of tiles,
    sizes of images) the smaller are padded with zeros at their ends, as processors do themselves.
    """
    stacked: dict[str, Any] = {}
    for key in {key: None for part in parts for key in part}:
        values = [part[key] for part in parts if key in part]
        if not all(isinstance(value, Tensor) for value in values):
            stacked[key] = [item for value in values for item in value]
            continue
        shape = [max(sizes) for sizes in zip(*(value.shape[1:] for value in values), strict=True)]
        stacked[key] = torch.cat([_pad(value, shape) for value in values])
    return stacked


def _pad(value: Tensor, shape: Sequence[int]) -> Tensor:
    if list(value.shape[1:]) == list(shape):
        return value
    larger = value.new_zeros((len(value), *shape))
    larger[tuple(slice(size) for size in value.shape)] = value
    return larger


class Pixels(NamedTuple):
    """A decoded image.

    Attributes
    ----------
    key
        A digest of its pixels.
    image
        Mode RGB.
    """

    key: str
    image: Image.Image


class Decoded:
    """Decoded images, the most recent ones kept; those of equal pixels are one object."""

    def __init__(self) -> None:
        self._kept: Lru[str, Pixels] = Lru(RECENT)
        self._distinct: Lru[str, Pixels] = Lru(RECENT)

    def get(self, reference: ImageRef) -> Pixels:
        """Return the image. Raises what its ``load`` raises."""
        return self._kept.get(reference.key, lambda: self._decode(reference))

    def _decode(self, reference: ImageRef) -> Pixels:
        image = _rgb(reference.load())
        made = blake2b(f"{image.width} {image.height} ".encode(), digest_size=32)
        made.update(image.tobytes())
        key = made.hexdigest()
        return self._distinct.get(key, lambda: Pixels(key, image))


def _rgb(image: Image.Image) -> Image.Image:
    return image if image.mode == "RGB" else image.convert("RGB")


class PixelMemo:
    """Stands in for a processor's image processor and prepares each list of images once.

    A processor only calls its image processor and reads its attributes, so text is still expanded
    and tokenised by the processor's own code, once for each text. Lists are told apart by the
    identity of their images, which a kept result holds on to.
    """

    def __init__(self, inner: Any) -> None:
        self._inner = inner
        self._made: Lru[tuple[Any, ...], tuple[Any, Any]] = Lru(RECENT)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        """Return a copy of the image processor, which remembers nothing."""
        return copy.deepcopy(self._inner, memo)

    def __call__(self, images: Any, **kwargs: Any) -> Any:
        """Return what the image processor makes of the images; the caller may take items out."""
        flat = tuple(_flat(images))
        key = (tuple(id(image) for image in flat), repr(sorted(kwargs.items())))
        _, made = self._made.get(key, lambda: (flat, self._inner(images, **kwargs)))
        return type(made)(dict(made))


def _flat(images: Any) -> Iterator[Any]:
    if isinstance(images, list | tuple):
        for image in images:
            yield from _flat(image)
    else:
        yield images
