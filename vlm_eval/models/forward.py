"""One forward pass: rows in, logits out, nothing computed twice that need not be.

The features of an image are computed once and passed in for every row that shows it. For this,
transformers (5.18 and later) takes them as ``mm_encoder_outputs`` in place of pixels; where a model
does not, pixels are passed. Both give the same numbers.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

import torch
from torch import Tensor

from vlm_eval.models.hooks import Placing
from vlm_eval.models.images import Unit, stack
from vlm_eval.models.inputs import Row, collate
from vlm_eval.models.lru import Lru

_INJECTED = "mm_encoder_outputs"


class VisionMemo:
    """Computes the features of images, and remembers them.

    Parameters
    ----------
    model
        A transformers model.
    device
        Where its inputs go.
    megabytes
        How much to remember. 0 turns the memo off.

    Attributes
    ----------
    active
        Whether features are passed to the model; otherwise pixels are.
    computed
        How many units have been encoded so far.
    """

    def __init__(self, model: Any, device: torch.device, megabytes: int) -> None:
        self._encode: Any = getattr(model.base_model, "get_image_features", None)
        takes_features = _INJECTED in inspect.signature(model.forward).parameters
        self.active = megabytes > 0 and takes_features and self._encode is not None
        self.computed = 0
        self._device, self._dtype = device, model.dtype
        self._kept: Lru[tuple[Any, ...], _Features] = Lru(megabytes * 2**20, _Features.bytes)

    def inputs(self, rows: Sequence[Row]) -> dict[str, Any]:
        """Return the image arguments of a forward pass over these rows; empty without images."""
        images = [row.encoded.images for row in rows if row.encoded.images.units]
        if not images:
            return {}
        if not self.active:
            return self._move(stack([image.tensors for image in images]))
        features = [self._features(unit) for image in images for unit in image.units]
        # Positions depend on the patch grid even where no pixels are passed.
        return {**self._move(_geometry(rows)), _INJECTED: {"image": _Features.join(features)}}

    def tokens(self, unit: Unit) -> Tensor:
        """Return the features that replace the image tokens of a unit. Shape (tokens, width)."""
        found = list(_tensors([self._features(unit).pooled]))
        return torch.cat([part.reshape(-1, part.shape[-1]) for part in found])

    def _features(self, unit: Unit) -> _Features:
        return self._kept.get(unit.key, lambda: self._compute(unit))

    def _compute(self, unit: Unit) -> _Features:
        self.computed += 1
        names = inspect.signature(self._encode).parameters
        arguments = {key: value for key, value in unit.tensors.items() if key in names}
        made = self._encode(**self._move(arguments), return_dict=True)
        deep = getattr(made, "deepstack_features", None)
        return _Features(type(made), made.pooler_output, deep)

    def _move(self, tensors: Mapping[str, Any]) -> dict[str, Any]:
        return {key: self._moved(value) for key, value in tensors.items()}

    def _moved(self, value: Any) -> Any:
        if isinstance(value, list):
            return [self._moved(item) for item in value]
        moved = value.to(self._device)
        # In a second step: a copy to a GPU that also converts does so before, on the CPU.
        return moved.to(self._dtype) if moved.is_floating_point() else moved


def _geometry(rows: Sequence[Row]) -> dict[str, Any]:
    """Return the image arguments that positions depend on: patch grids, no pixels."""
    images = [row.encoded.images for row in rows if row.encoded.images.units]
    return stack([image.geometry for image in images])


class _Features:
    """What the vision tower made of one unit: what the language model needs of it, no more.

    ``pooled`` is a tensor for some architectures and a list of tensors for others, and each expects
    its own kind back. ``deep`` has the same for each of some vision layers (Qwen3-VL), maybe with
    the layer's number (Granite Vision). ``kind`` is the output class, which has a field for it:
    what is no field is lost where a model is spread over devices.
    """

    def __init__(self, kind: Any, pooled: Any, deep: Sequence[Any] | None) -> None:
        self.kind, self.pooled, self.deep = kind, pooled, deep

    def bytes(self) -> int:
        """Return the size in memory."""
        return sum(tensor.nbytes for tensor in _tensors([self.pooled, *(self.deep or ())]))

    @staticmethod
    def join(parts: Sequence[_Features]) -> Any:
        """Return the features of several units, in order, as the model takes them.

        The containers are new each time, because the model's code changes them in place.
        """
        joined = parts[0].kind(pooler_output=_join([part.pooled for part in parts]))
        deep = [part.deep for part in parts if part.deep is not None]
        if deep:
            joined.deepstack_features = [_join(layer) for layer in zip(*deep, strict=True)]
        return joined


def _join(values: Sequence[Any]) -> Any:
    if isinstance(values[0], Tensor):
        return torch.cat(list(values))
    if isinstance(values[0][0], int):
        return values[0][0], _join([value[1] for value in values])
    return [item for value in values for item in value]


def _tensors(values: Any) -> Iterator[Tensor]:
    for value in values:
        if isinstance(value, Tensor):
            yield value
        elif not isinstance(value, int):
            yield from _tensors(value)


class Forward:
    """Feeds rows to a model.

    Parameters
    ----------
    model
        A transformers model.
    device
        Where its inputs go.
    vision
        Where its image features come from.
    batch_tokens
        Tokens a pass may have where it is up to the caller how many rows it feeds.
    """

    def __init__(
        self, model: Any, device: torch.device, vision: VisionMemo, batch_tokens: int = 1024
    ) -> None:
        self.model, self.batch_tokens = model, batch_tokens
        self.device, self.vision = device, vision
        self._keeps = "logits_to_keep" in inspect.signature(model.forward).parameters

    def inputs(self, rows: Sequence[Row], side: Literal["left", "right"]) -> dict[str, Any]:
        """Return the model's arguments for one batch, on its device."""
        text = collate(rows, self.model.generation_config.pad_token_id, side)
        on_device = {key: value.to(self.device) for key, value in text.items()}
        return {**on_device, **self.vision.inputs(rows)}

    def positions(self, rows: Sequence[Row]) -> Tensor:
        """Return the positions that the model itself would give to the tokens of some rows.

        Shape (..., rows, longest), rows padded on the right; the leading axis is there for models
        whose positions have several components. The model's own rule for generation is asked, which
        needs the patch grids; transformers has it under this private name since 5.5. It takes many
        small steps for each row and no weights, so it is run, and its result left, on the CPU; and
        once a request, whose rows differ in text after the prompt only.
        """
        of_request: dict[int, Row] = {}
        for row in rows:
            longest = of_request.setdefault(id(row.encoded), row)
            if len(row.tokens) > len(longest.tokens):
                of_request[id(row.encoded)] = row
        asked = list(of_request.values())
        text = collate(asked, self.model.generation_config.pad_token_id, "right")
        ids = text.pop("input_ids")
        given = {**text, **_geometry(asked)}
        found: Tensor = self.model._prepare_position_ids_for_generation(ids, given)
        lines = {request: line for line, request in enumerate(of_request)}
        return found[..., [lines[id(row.encoded)] for row in rows], :]

    def logits(
        self, rows: Sequence[Row], positions: Sequence[int], states: Placing | None = None
    ) -> Tensor:
        """Return the next-token logits at some positions, counted from each row's first token.

        Rows are padded on the right, so that a row's tokens stand where they would stand alone.
        Shape (rows, positions, vocabulary); what stands after a row's end is meaningless. The
        vocabulary is large: no logits are computed at other positions.
        """
        if states is not None:
            for line, row in enumerate(rows):
                states.place(row, line, 0, range(len(row.tokens)))
        return self.read({**self.inputs(rows, "right"), "use_cache": False}, positions)

    def read(self, inputs: Mapping[str, Any], positions: Sequence[int]) -> Tensor:
        """Run the model and return the logits at some positions of its input."""
        # A list: the states that are picked may be on another device than the inputs.
        keep = list(positions)
        if self._keeps:
            logits: Tensor = self.model(**inputs, logits_to_keep=keep).logits
            return logits
        return self.model(**inputs).logits[:, keep]  # type: ignore[no-any-return]
