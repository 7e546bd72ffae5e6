"""Sums of hidden states, taken while a model runs: no sequence of states is ever kept.

Whoever feeds a row says where its tokens stand (:meth:`Recording.place`). As each layer is
computed, the states of the wanted tokens are picked out and added up, and only the sums are kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol, TypeAlias

import torch
from torch import Tensor, nn

from vlm_eval.core.capture import NORM, CaptureSpec, Site
from vlm_eval.core.errors import ModelError
from vlm_eval.models.inputs import Encoded, Row

See: TypeAlias = Callable[[Tensor], None]


class Wanted(Protocol):
    """Says which tokens of a row are wanted."""

    def __call__(self, row: Row, begin: int, end: int) -> Iterator[tuple[Site, Sequence[int]]]:
        """Yield sites and the positions that count for them, of those in [begin, end)."""
        ...


class Placing(Protocol):
    """Is told where the tokens that are fed stand."""

    def place(self, row: Row, line: int, begin: int, columns: Sequence[int]) -> None:
        """Say where a stretch of a row's tokens stands in the next pass.

        Parameters
        ----------
        row
            The row.
        line
            Its line of the batch.
        begin
            The position, in the row, of the first of the tokens.
        columns
            Where each of them stands in the line.
        """
        ...


class Watch(Protocol):
    """What looks into the passes in which requests are answered, or changes them.

    Attributes
    ----------
    answers
        Whether the last token of an answer must be fed too, and every option be a row.
    """

    answers: bool

    def passes(self) -> AbstractContextManager[Placing]:
        """Return a context in which passes are watched."""
        ...

    def finish(self, encoded: Encoded, logprobs: Sequence[float] = ()) -> None:
        """Take note that a request is answered."""
        ...


class Taps:
    """The layers of a model's decoder from which states are taken.

    Parameters
    ----------
    model
        A transformers model.
    spec
        Which layers.

    Attributes
    ----------
    labels
        Their names, in the order in which the model computes them.
    """

    def __init__(self, model: Any, spec: CaptureSpec) -> None:
        self._decoder, self._blocks = decoder_blocks(model)
        self.labels = spec.labels(len(self._blocks))

    def attach(self, begin: Callable[[], None], see: See, end: Callable[[], None]) -> list[Any]:
        """Hook into the decoder's passes and return the handles of the hooks.

        ``begin`` is called before a pass, ``see`` with the states (rows, tokens, width) of each
        layer in order, ``end`` after it.
        """
        decoder, blocks = self._decoder, self._blocks
        handles = [decoder.register_forward_pre_hook(lambda *_: begin())]
        if "0" in self.labels:
            handles.append(
                blocks[0].register_forward_pre_hook(
                    lambda _, args, named: see(args[0] if args else named["hidden_states"]),
                    with_kwargs=True,
                )
            )
        for number, block in enumerate(blocks, 1):
            if str(number) in self.labels:
                handles.append(block.register_forward_hook(lambda *given: see(_states(given[-1]))))

        def finish(_: Any, __: Any, output: Any) -> None:
            if NORM in self.labels:  # what a decoder returns has passed its norm
                see(_states(output))
            end()

        return [*handles, decoder.register_forward_hook(finish)]


def decoder_blocks(model: Any) -> tuple[nn.Module, nn.ModuleList]:
    """Return a model's text decoder and the list of its blocks.

    It is the one list of modules in the decoder that has as many as the configuration has layers.

    Raises
    ------
    ModelError
        If there is no such list, or another beside it.
    """
    count = getattr(model.config.get_text_config(), "num_hidden_layers", None)
    found: dict[str, tuple[nn.Module, nn.ModuleList]] = {}
    for path, module in model.get_decoder().named_modules():
        for name, child in module.named_children():
            inside = any(path.startswith(outer) for outer in found)  # the experts of a block
            if isinstance(child, nn.ModuleList) and len(child) == count and not inside:
                found[f"{path}.{name}.".lstrip(".")] = module, child
    if len(found) != 1:
        names = ", ".join(name.rstrip(".") for name in found) or "none"
        raise ModelError(
            f"{type(model).__name__} shows no hidden states: which modules are its {count} layers "
            f"cannot be told (candidates: {names})"
        )
    return next(iter(found.values()))


def _states(output: Any) -> Tensor:
    states: Tensor = output if isinstance(output, Tensor) else output[0]
    return states


class Recording:
    """The sums of some passes; a context within which the model is hooked.

    Parameters
    ----------
    taps
        Where states are taken.
    wanted
        Which tokens.

    Attributes
    ----------
    rows
        The rows that were placed.
    found
        By row and site, the sum of the states so far, shape (layers, width), float32, and how many
        they are; of a ``..._last`` site the last state.
    """

    def __init__(self, taps: Taps, wanted: Wanted) -> None:
        self._taps, self._wanted = taps, wanted
        self.rows: dict[Row, None] = {}
        self.found: dict[tuple[Row, Site], tuple[Tensor, int]] = {}
        self._sums: dict[tuple[int, ...], list[tuple[Row, Site]]] = {}
        self._pick: _Pick | None = None
        self._seen: list[Tensor] = []

    def __enter__(self) -> Recording:
        self._handles = self._taps.attach(self._begin, self._see, self._end)
        return self

    def __exit__(self, *_: object) -> None:
        for handle in self._handles:
            handle.remove()

    def place(self, row: Row, line: int, begin: int, columns: Sequence[int]) -> None:
        """See :meth:`Placing.place`."""
        self.rows[row] = None
        for site, positions in self._wanted(row, begin, begin + len(columns)):
            if positions:
                # Rows that share their tokens share the sum.
                key = line, *(columns[position - begin] for position in positions)
                self._sums.setdefault(key, []).append((row, site))

    def _begin(self) -> None:
        self._pick = _Pick(list(self._sums)) if self._sums else None

    def _see(self, states: Tensor) -> None:
        if self._pick is not None:
            self._seen.append(self._pick(states))

    def _end(self) -> None:
        if self._pick is None:
            return
        device = self._seen[0].device
        seen = torch.stack([sums.to(device) for sums in self._seen]).cpu()
        for number, (key, takers) in enumerate(self._sums.items()):
            for row, site in takers:
                before, count = self.found.get((row, site), (None, 0))
                # A copy: a view would hold on to the sums of the whole pass.
                now = seen[:, number].clone()
                if before is None or site.endswith("_last"):
                    self.found[row, site] = now, len(key) - 1
                else:
                    self.found[row, site] = before + now, count + len(key) - 1
        self._sums, self._pick, self._seen = {}, None, []


class _Pick:
    """Adds up states of some tokens.

    Parameters
    ----------
    sums
        For each sum, the line and the columns of its tokens.
    """

    def __init__(self, sums: Sequence[tuple[int, ...]]) -> None:
        lines = [line for line, *columns in sums for _ in columns]
        self._lines = torch.tensor(lines)
        self._columns = torch.tensor([column for _, *columns in sums for column in columns])
        self._weights: Tensor | None = None
        if len(lines) > len(sums):
            lengths = torch.tensor([len(columns) for _, *columns in sums])
            owners = torch.arange(len(sums)).repeat_interleave(lengths)
            self._weights = (owners == torch.arange(len(sums))[:, None]).float()

    def __call__(self, states: Tensor) -> Tensor:
        """Return the sums, shape (sums, width), float32, of states (rows, tokens, width)."""
        if states.ndim != 3:
            raise ModelError(
                f"the layers of this model pass on states of shape {tuple(states.shape)}, "
                "not one vector a token: they cannot be captured"
            )
        if self._lines.device != states.device:
            self._lines = self._lines.to(states.device)
            self._columns = self._columns.to(states.device)
            self._weights = None if self._weights is None else self._weights.to(states.device)
        picked = states[self._lines, self._columns].float()
        # A product rather than index_add, whose order of summation is free on a GPU.
        return picked if self._weights is None else self._weights @ picked
