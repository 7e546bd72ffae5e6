"""Editing the residual stream while requests are answered, and reading it to edit another one.

The writing counterpart of :class:`vlm_eval.models.hooks.Recording`. Layer 0 is the embeddings with
the images in their places, layer l the residual stream as block l puts it out; the last one is the
stream before the final norm. An edit is made once, in the pass that feeds the token: what comes
after it, generated tokens included, sees it through the cache alone.

A row that is edited shares no token with another, up to one exception: if nothing but the prompt's
last token is edited, what stands before it is computed once for all requests with that prompt.

Models that feed image features into several blocks (Qwen3-VL) add them after the block's output:
they are not part of what is read or set there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias
from weakref import WeakKeyDictionary

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vlm_eval.core.capture import CaptureSpec
from vlm_eval.core.errors import ModelError, UsageError
from vlm_eval.models.hooks import Taps, decoder_blocks
from vlm_eval.models.inputs import Encoded, Row
from vlm_eval.models.sharing import Level

_Array = NDArray[np.float32]
At: TypeAlias = Literal["prompt_last", "image", "after_image", "prompt"] | tuple[int, ...]
"""Tokens of a prompt: its last one, from which the answer is read; those of its images; those after
the last image token; all; or these, from 0, negative ones counted from the end."""


@dataclass(frozen=True)
class Places:
    """Where what stands in a request's prompt.

    Attributes
    ----------
    tokens
        The prompt's length: what the tokeniser merges with a scored option does not count.
    image
        The positions of its image tokens.
    """

    tokens: int
    image: tuple[int, ...]

    @classmethod
    def find(cls, encoded: Encoded, image_token: int | None) -> Places:
        """Return the places of a tokenised request."""
        ids = encoded.prompt.ids[: encoded.start].tolist() if encoded.request.images else []
        return cls(encoded.start, tuple(at for at, token in enumerate(ids) if token == image_token))

    def of(self, at: At) -> tuple[int, ...]:
        """Return the positions meant.

        Raises
        ------
        UsageError
            If there are none, or the prompt is shorter.
        """
        if at == "prompt_last":
            return (self.tokens - 1,)
        if at == "prompt":
            return tuple(range(self.tokens))
        if isinstance(at, tuple):
            found = tuple(p + self.tokens if p < 0 else p for p in at)
            if not found or len(set(found)) < len(found) or not set(found) <= {*range(self.tokens)}:
                raise UsageError(f"a prompt of {self.tokens} tokens has no positions {at}")
            return found
        if not self.image:
            raise UsageError(f"the prompt has no image tokens, so there is no {at!r}")
        return self.image if at == "image" else tuple(range(self.image[-1] + 1, self.tokens))


@dataclass(frozen=True, eq=False)
class Edit:
    """One change of the residual stream of one request.

    Attributes
    ----------
    request
        The request's id. To ask one question under several edits, give copies of it other ids.
    layer
        0 (embeddings) to the number of blocks.
    at
        Which tokens of the prompt.
    states
        Float32: one vector, shape (width,), or one a token, shape (tokens, width), in the order of
        `at`.
    how
        ``set``: h + alpha (states - h), exactly ``states`` with alpha 1. ``add``: h + alpha states.
    alpha
        How much; 0 changes nothing.
    """

    request: str
    layer: int
    at: At
    states: _Array
    how: Literal["set", "add"] = "set"
    alpha: float = 1.0


@dataclass(frozen=True, eq=False)
class Residuals:
    """The residual stream of one request's prompt.

    Attributes
    ----------
    layers
        Which layers.
    places
        Of the prompt.
    states
        Shape (layers, tokens, width), float32; the tokens that were asked for, in their order.
    """

    layers: tuple[int, ...]
    places: Places
    states: _Array


@dataclass(frozen=True)
class _Write:
    """An edit at tokens of one line of the next pass."""

    edit: Edit
    line: int
    columns: Tensor
    values: _Array

    def __call__(self, states: Tensor) -> None:
        """Change the states, shape (lines, tokens, width), in place."""
        columns = self.columns.to(states.device)
        old = states[self.line, columns].float()
        values = torch.from_numpy(self.values).to(states.device, torch.float32)
        if values.shape[-1] != old.shape[-1]:
            raise UsageError(f"an edit has width {values.shape[-1]}, the model {old.shape[-1]}")
        if self.edit.how == "add":
            new = old + self.edit.alpha * values
        else:  # lerp is exact at both ends
            new = torch.lerp(old, values.expand_as(old), self.edit.alpha)
        states[self.line, columns] = new.to(states.dtype)


class Editing:
    """Makes edits while requests are answered; see :class:`vlm_eval.models.hooks.Watch`.

    Parameters
    ----------
    model
        A transformers model.
    edits
        What to change, in the order in which it is done.
    image_token
        The id of image tokens, if it is known.

    Raises
    ------
    ModelError
        If the model's blocks cannot be found.
    UsageError
        If an edit names a layer that the model does not have, or has no vectors.

    Attributes
    ----------
    requests
        The requests that edits name.
    """

    answers = False

    def __init__(self, model: Any, edits: Iterable[Edit], image_token: int | None) -> None:
        self._decoder, self._blocks = decoder_blocks(model)
        self._image_token = image_token
        self.requests: set[str] = set()
        self._edits: dict[str, list[Edit]] = {}
        for edit in edits:
            if not 0 <= edit.layer <= len(self._blocks):
                raise UsageError(
                    f"the model has no layer {edit.layer}",
                    where=f"an edit of {edit.request}",
                    hint=f"it has 0 (embeddings) to {len(self._blocks)}",
                )
            if edit.states.ndim not in (1, 2):
                raise UsageError(f"an edit has states of shape {edit.states.shape}")
            self.requests.add(edit.request)
            if edit.alpha != 0:
                self._edits.setdefault(edit.request, []).append(edit)
        self._waiting: dict[int, list[_Write]] = {}
        self._placed: Counter[Edit] = Counter()

    @property
    def level(self) -> Level | None:
        """How much may be shared with these edits; None for what the engine does without them."""
        places = {edit.at for own in self._edits.values() for edit in own}
        if not places:
            return None
        return "prefix" if places == {"prompt_last"} else "memo"

    @contextmanager
    def passes(self) -> Iterator[Editing]:
        """Hook into the model; within the context :meth:`place` says what the next pass feeds."""
        self._waiting = {}
        layers = {edit.layer for own in self._edits.values() for edit in own}
        handles = [self._decoder.register_forward_hook(lambda *_: self._end())]
        for layer in layers:
            if layer == 0:
                handles.append(
                    self._blocks[0].register_forward_pre_hook(self._before, with_kwargs=True)
                )
            else:
                handles.append(self._blocks[layer - 1].register_forward_hook(self._after(layer)))
        try:
            yield self
        finally:
            for handle in handles:
                handle.remove()

    def place(self, row: Row, line: int, begin: int, columns: Sequence[int]) -> None:
        """Say where a stretch of a row's tokens stands; see `hooks.Placing`.

        Raises
        ------
        UsageError
            If an edit does not fit the prompt, or two edits of one layer meet at one token.
        """
        edits = self._edits.get(row.encoded.request.id, ())
        places = Places.find(row.encoded, self._image_token) if edits else None
        seen: set[tuple[int, int]] = set()
        for edit in edits:
            assert places is not None
            positions = np.array(places.of(edit.at))
            if edit.states.ndim == 2 and len(edit.states) != len(positions):
                raise UsageError(
                    f"an edit of {edit.request} has {len(edit.states)} vectors for "
                    f"{len(positions)} tokens"
                )
            own = {(edit.layer, int(p)) for p in positions}
            if own & seen:
                raise UsageError(f"two edits of {edit.request} change one token of a layer")
            seen |= own
            inside = (positions >= begin) & (positions < begin + len(columns))
            if inside.any():
                there = torch.tensor([columns[p - begin] for p in positions[inside].tolist()])
                values = edit.states[inside] if edit.states.ndim == 2 else edit.states
                write = _Write(edit, line, there, np.ascontiguousarray(values))
                self._waiting.setdefault(edit.layer, []).append(write)
                self._placed[edit] += int(inside.sum())

    def finish(self, encoded: Encoded, logprobs: Sequence[float] = ()) -> None:  # noqa: ARG002
        """Make sure that all edits of an answered request were made."""
        places = Places.find(encoded, self._image_token)
        for edit in self._edits.get(encoded.request.id, ()):
            if self._placed.pop(edit, 0) < len(places.of(edit.at)):
                raise ModelError(f"an edit of {edit.request} met no token that was fed")

    def _edited(self, layer: int, states: Tensor) -> Tensor | None:
        writes = self._waiting.pop(layer, None)
        if writes is None:
            return None
        check_states(states)
        new = states.clone()
        for write in writes:
            write(new)
        return new

    def _before(self, _: Any, args: Any, named: dict[str, Any]) -> Any:
        new = self._edited(0, args[0] if args else named["hidden_states"])
        if new is None:
            return None
        return ((new, *args[1:]), named) if args else (args, {**named, "hidden_states": new})

    def _after(self, layer: int) -> Callable[..., Any]:
        def hook(_: Any, __: Any, output: Any) -> Any:
            plain = isinstance(output, Tensor)
            new = self._edited(layer, output if plain else output[0])
            return new if new is None or plain else (new, *output[1:])

        return hook

    def _end(self) -> None:
        if self._waiting:
            raise ModelError(
                f"layers {sorted(self._waiting)} of this model were not passed: it cannot be edited"
            )


class Reading:
    """Reads the residual stream while requests are answered; see `hooks.Watch`.

    Parameters
    ----------
    model
        A transformers model.
    layers
        Which layers, in rising order.
    at
        Which tokens of each prompt.
    image_token
        The id of image tokens, if it is known.

    Raises
    ------
    ModelError, UsageError
        If the model's blocks cannot be found, or it does not have such a layer.
    """

    answers = False

    def __init__(self, model: Any, layers: tuple[int, ...], at: At, image_token: int | None):
        if list(layers) != sorted({layer for layer in layers if layer >= 0}):
            raise UsageError(f"layers to read must rise from 0, not {layers}")
        self._taps = Taps(model, CaptureSpec(layers=layers, norm="before"))
        self._layers, self._at, self._image_token = layers, at, image_token
        self._open: WeakKeyDictionary[Encoded, _Array] = WeakKeyDictionary()
        self._done: dict[str, Residuals] = {}
        self._waiting: list[tuple[Encoded, int, Tensor, NDArray[np.int64], int]] = []
        self._layer = 0

    @contextmanager
    def passes(self) -> Iterator[Reading]:
        """Hook into the model; within the context :meth:`place` says what the next pass feeds."""
        self._waiting = []
        handles = self._taps.attach(self._begin, self._see, self._end)
        try:
            yield self
        finally:
            for handle in handles:
                handle.remove()

    def place(self, row: Row, line: int, begin: int, columns: Sequence[int]) -> None:
        """Say where a stretch of a row's tokens stands; see `hooks.Placing`."""
        if row.options and 0 not in row.options:
            return
        positions = np.array(Places.find(row.encoded, self._image_token).of(self._at))
        inside = ((positions >= begin) & (positions < begin + len(columns))).nonzero()[0]
        if len(inside):
            there = torch.tensor([columns[p - begin] for p in positions[inside].tolist()])
            self._waiting.append((row.encoded, line, there, inside, len(positions)))

    def finish(self, encoded: Encoded, logprobs: Sequence[float] = ()) -> None:  # noqa: ARG002
        """Put away what was read of a request."""
        places = Places.find(encoded, self._image_token)
        self._done[encoded.request.id] = Residuals(self._layers, places, self._open.pop(encoded))

    def take(self, request_id: str) -> Residuals | None:
        """Return, and forget, what was read of an answered request; None of a failed one."""
        return self._done.pop(request_id, None)

    def _begin(self) -> None:
        self._layer = 0

    def _see(self, states: Tensor) -> None:
        for encoded, line, columns, slots, count in self._waiting:
            check_states(states)
            if encoded not in self._open:
                shape = len(self._layers), count, states.shape[-1]
                self._open[encoded] = np.empty(shape, dtype=np.float32)
            picked = states[line, columns.to(states.device)].float().cpu().numpy()
            self._open[encoded][self._layer, slots] = picked
        self._layer += 1

    def _end(self) -> None:
        self._waiting = []


def check_states(states: Tensor) -> None:
    """Make sure that a layer passes on one vector a token. Raises ModelError if not."""
    if states.ndim != 3:
        raise ModelError(
            f"the layers of this model pass on states of shape {tuple(states.shape)}, "
            "not one vector a token: they can be neither read nor edited"
        )
