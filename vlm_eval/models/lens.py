"""The logit lens: what a model would answer if its last layers were left out.

A state of the residual stream goes through the model's own final norm and output embeddings
(nostalgebraist 2020, "interpreting GPT: the logit lens"). Which module the norm is, and what is
done to the logits afterwards (a scale, a soft cap), is found out on a short text that the model is
run on, and proved by it: the lens at the last layer must give the model's own logits.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from vlm_eval.core.errors import ModelError
from vlm_eval.models.hooks import decoder_blocks

_TOLERANCE = 16  # roundings of the largest logit
_ROWS = 64  # states whose logits are in memory at once


@dataclass(frozen=True)
class LensReading:
    """What the lens shows of some states.

    Attributes
    ----------
    full
        Natural log-probability of each option's first token, over the whole vocabulary. Shape
        (..., options).
    restricted
        The same over the options alone: each row's exponentials sum to 1.
    """

    full: NDArray[np.float64]
    restricted: NDArray[np.float64]


class Lens:
    """The end of a model: final norm and output embeddings.

    Parameters
    ----------
    model
        A transformers model.
    ids
        Tokens of a short text without images, two or more.
    device
        Where the model's inputs go.

    Raises
    ------
    ModelError
        If the parts cannot be told, or do not give the model's own logits.
    """

    @torch.inference_mode()
    def __init__(self, model: Any, ids: Sequence[int], device: torch.device) -> None:
        self._kind = type(model).__name__
        self._head = model.get_output_embeddings()
        if self._head is None:
            raise ModelError(f"{self._kind} has no output embeddings: there is no logit lens of it")
        run = _Run(model, torch.tensor([list(ids)], device=device))
        self._norm = self._find_norm(run)
        self._finish: Callable[[Tensor], Tensor] = _same
        self._finish = self._find_finish(model, run)

    @torch.inference_mode()
    def read(
        self, states: NDArray[np.float32], options: Sequence[int], *, normed: bool = False
    ) -> LensReading:
        """Return the log-probabilities of tokens, read from states.

        Parameters
        ----------
        states
            Of the residual stream, shape (..., width).
        options
            Ids of tokens, one or more distinct ones.
        normed
            Whether the states have passed the final norm already.
        """
        flat = torch.from_numpy(np.ascontiguousarray(states, np.float32))
        flat = flat.reshape(-1, states.shape[-1])
        logits = [self._logprobs(part, options, normed) for part in torch.split(flat, _ROWS)]
        full = torch.cat(logits).reshape(*states.shape[:-1], len(options))
        return LensReading(full.numpy(), full.log_softmax(-1).numpy())

    def _logprobs(self, states: Tensor, options: Sequence[int], normed: bool) -> Tensor:
        logits = self._logits(states if normed else self._normalised(states)).float()
        return logits.log_softmax(-1)[:, list(options)].cpu().double()

    def _normalised(self, states: Tensor) -> Tensor:
        if self._norm is None:
            return states
        weight = next(self._norm.parameters())
        found: Tensor = self._norm(states.to(weight.device, weight.dtype))
        return found

    def _logits(self, states: Tensor) -> Tensor:
        weight = self._head.weight
        return self._finish(self._head(states.to(weight.device, weight.dtype)))

    def _find_norm(self, run: _Run) -> nn.Module | None:
        if _equal(run.last, run.end):
            return None
        for module, given, made in run.between:
            if _equal(given, run.last) and _equal(made, run.end) and [*module.parameters()]:
                return module
        raise ModelError(f"which module is the final norm of {self._kind} cannot be told")

    def _find_finish(self, model: Any, run: _Run) -> Callable[[Tensor], Tensor]:
        """Return what turns the output embeddings' result into the model's logits."""
        plain = self._logits(run.end[0]).float()
        wanted = run.logits[0].to(plain.device).float()  # device_map brings a model's output back
        rounding = (
            torch.finfo(run.logits.dtype).eps * _TOLERANCE * max(1.0, float(wanted.abs().max()))
        )
        errors = [
            (float((finish(plain) - wanted).abs().max()), finish)
            for finish in (*_named(model.config.get_text_config()), _same)
        ]
        error, best = min(errors, key=lambda each: each[0])
        if not error <= rounding:
            raise ModelError(
                f"{self._kind} does more to its logits than its final norm, output embeddings and "
                f"configuration say (they differ by {error:.2g}): there is no logit lens of it"
            )
        return best


class _Run:
    """One pass over a text: the last block's states, the decoder's, the logits, and between."""

    def __init__(self, model: Any, ids: Tensor) -> None:
        decoder, blocks = decoder_blocks(model)
        inside = {id(module) for module in blocks.modules()}
        self.between: list[tuple[nn.Module, Tensor, Tensor]] = []
        seen: dict[str, Tensor] = {}

        def keep(name: str) -> Callable[..., None]:
            def hook(*given: Any) -> None:
                output = given[-1]
                seen[name] = output if isinstance(output, Tensor) else output[0]

            return hook

        def note(module: nn.Module, given: Any, made: Any) -> None:
            if given and isinstance(given[0], Tensor) and isinstance(made, Tensor):
                self.between.append((module, given[0], made))

        handles = [blocks[-1].register_forward_hook(keep("last"))]
        handles += [
            module.register_forward_hook(note)
            for module in decoder.modules()
            if id(module) not in inside and module is not decoder
        ]
        handles.append(decoder.register_forward_hook(keep("end")))
        try:
            self.logits: Tensor = model(input_ids=ids, use_cache=False).logits
        finally:
            for handle in handles:
                handle.remove()
        self.last, self.end = seen["last"], seen["end"]


def _equal(one: Tensor, other: Tensor) -> bool:
    return one.shape == other.shape and bool((one.to(other.device) == other).all())


def _same(logits: Tensor) -> Tensor:
    return logits


def _named(config: Any) -> list[Callable[[Tensor], Tensor]]:
    """Return what a configuration may say of logits: soft cap (Gemma), scale (Cohere, Granite)."""
    cap = getattr(config, "final_logit_softcapping", None)
    factor = getattr(config, "logit_scale", None)
    divisor = getattr(config, "logits_scaling", None)
    found: list[Callable[[Tensor], Tensor]] = []
    if cap:
        found.append(lambda logits: cap * torch.tanh(logits / cap))
    if factor:
        found.append(lambda logits: logits * factor)
    if divisor:
        found.append(lambda logits: logits / divisor)
    return found
