"""Decoder blocks of a model put back to another's weights, in place, and back again exactly."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from vlm_eval.core.errors import ModelError
from vlm_eval.core.hashing import digest
from vlm_eval.models.hooks import decoder_blocks

_NAMED = 3
"""How many tensors a message names."""


@dataclass(frozen=True)
class Weights:
    """What a model consists of.

    Attributes
    ----------
    kind
        Its class.
    blocks
        The tensors of each decoder block, by name, on the host; those of the model itself if they
        were not copied.
    shapes
        Shape and number format of every tensor of the model.
    hashes
        SHA-256 of the bytes of every tensor, by its full name.
    swapped
        The full names of the blocks' tensors.
    """

    kind: str
    blocks: tuple[dict[str, Tensor], ...]
    shapes: dict[str, str]
    hashes: dict[str, str]
    swapped: frozenset[str]

    @property
    def digest(self) -> str:
        """What determines all that the model computes, but for its configuration."""
        return digest(self.hashes)


def weights_of(model: Any, *, copy: bool) -> Weights:
    """Return a model's tensors, parameters and buffers, hashed; with ``copy`` blocks on the host.

    Raises
    ------
    ModelError
        If its decoder blocks cannot be told, or some of it is not in memory.
    """
    everything = _tensors(model)
    for name, tensor in everything.items():
        if tensor.is_meta:
            raise ModelError(
                f"{name} is not in memory", hint="load the model whole, without device_map"
            )
    blocks = [_tensors(block) for block in decoder_blocks(model)[1]]
    inside = {id(tensor) for block in blocks for tensor in block.values()}
    return Weights(
        kind=type(model).__name__,
        blocks=tuple(
            {n: t.detach().to("cpu", copy=True) if copy else t for n, t in block.items()}
            for block in blocks
        ),
        shapes={name: f"{tuple(t.shape)} {t.dtype}" for name, t in everything.items()},
        hashes={name: _hash(tensor) for name, tensor in everything.items()},
        swapped=frozenset(name for name, tensor in everything.items() if id(tensor) in inside),
    )


def _tensors(module: nn.Module) -> dict[str, Tensor]:
    return {
        **dict(module.named_parameters(remove_duplicate=False)),
        **dict(module.named_buffers(remove_duplicate=False)),
    }


def _hash(tensor: Tensor) -> str:
    raw = tensor.detach().to("cpu").contiguous().reshape(-1).view(torch.uint8)
    return hashlib.sha256(raw.numpy().data).hexdigest()


def check_alike(base: Weights, tuned: Weights) -> None:
    """Check that two models have one architecture.

    Raises
    ------
    ModelError
        If they do not; it names tensors that only one has, or that have another shape or format.
    """
    if base.kind != tuned.kind:
        raise ModelError(f"the base model is a {base.kind}, the other one a {tuned.kind}")
    names = sorted(base.shapes.keys() | tuned.shapes.keys())
    apart = [n for n in names if base.shapes.get(n) != tuned.shapes.get(n)]
    if apart or len(base.blocks) != len(tuned.blocks):
        pairs = ", ".join(
            f"{n} ({base.shapes.get(n, 'absent')} and {tuned.shapes.get(n, 'absent')})"
            for n in apart[:_NAMED]
        )
        raise ModelError(
            f"the two models differ in the shape or format of {len(apart)} tensors: {pairs}",
            hint="layers can be put back only between models of one architecture and --dtype",
        )


def elsewhere(base: Weights, tuned: Weights) -> list[str]:
    """Return the names of the tensors outside the decoder blocks that are not byte-identical."""
    return sorted(
        name
        for name, found in tuned.hashes.items()
        if name not in tuned.swapped and base.hashes[name] != found
    )


def demand_identical(names: Sequence[str]) -> None:
    """Raise ModelError, which names them, if any tensors differ."""
    if names:
        more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
        raise ModelError(
            f"{len(names)} tensors outside the decoder blocks differ between the two models: "
            f"{', '.join(names[:_NAMED])}{more}",
            hint="the base must be what was tuned, in its decoder only; strict=false takes "
            "these from the tuned model and says so",
        )


class Hybrid:
    """A model whose decoder blocks can be put back to a base model's weights.

    Parameters
    ----------
    model
        The tuned model, a transformers model. It is changed in place.
    base
        The base model's weights, its blocks copied. They trade places with the model's.
    """

    def __init__(self, model: Any, base: Weights) -> None:
        self._own = [_tensors(block) for block in decoder_blocks(model)[1]]
        self._other = base.blocks

    @contextmanager
    def put_back(self, layers: Sequence[int]) -> Iterator[None]:
        """Give some blocks, counted from 1, the base model's weights for a while."""
        done: list[int] = []
        try:
            for layer in layers:
                self._trade(layer - 1)
                done.append(layer)
            yield
        finally:
            for layer in done:
                self._trade(layer - 1)

    @torch.no_grad()
    def _trade(self, index: int) -> None:
        other = self._other[index]
        for name, own in self._own[index].items():
            held = own.detach().to("cpu", copy=True)
            own.copy_(other[name])
            other[name].copy_(held)
