"""A checkpoint at work at one level of sharing: its scoring and its generating."""

from __future__ import annotations

from typing import Any, NamedTuple, TypeVar

import torch

from vlm_eval.core.capture import CaptureSpec
from vlm_eval.core.types import Answer
from vlm_eval.models.batching import Batcher, Work
from vlm_eval.models.capture import Capture
from vlm_eval.models.encoders import Encoders
from vlm_eval.models.forward import Forward, VisionMemo
from vlm_eval.models.generating import Generating
from vlm_eval.models.hooks import Watch
from vlm_eval.models.loading import Checkpoint
from vlm_eval.models.scoring import Scoring
from vlm_eval.models.sharing import Engine as Asked
from vlm_eval.models.sharing import Level, Sharing

R = TypeVar("R")


class Capturing(NamedTuple):
    """What answers requests with ``choices`` and with ``decoding``, and what it captures."""

    scores: Batcher[dict[int, float]]
    texts: Batcher[Answer]
    capture: Capture


class Watched(NamedTuple):
    """What answers requests with ``choices`` and with ``decoding`` while something watches."""

    scores: Batcher[dict[int, float]]
    texts: Batcher[Answer]


class Engine:
    """What answers requests.

    Parameters
    ----------
    checkpoint
        What to run.
    encoders
        Prepare requests.
    level
        How much work to share; ``auto`` for as much as is exact.
    batch_size
        Jobs a forward pass (rows by themselves, or prefixes with their tails); None lets the device
        decide. The naive level takes one.

    Attributes
    ----------
    sharing, vision, scoring, generating
        The parts.
    scores, texts
        Answer requests with ``choices``, with ``decoding``.
    batch_size, batch_tokens
        What is used.
    """

    def __init__(
        self, checkpoint: Checkpoint, encoders: Encoders, level: Asked, batch_size: int | None
    ) -> None:
        options, device = checkpoint.options, checkpoint.device
        self.sharing = Sharing(checkpoint.model, level)
        naive = self.sharing.level == "naive"
        self.batch_size = 1 if naive else batch_size or _batch_size(device)
        self.batch_tokens = options.batch_tokens or _batch_tokens(device)
        self.vision = VisionMemo(checkpoint.model, device, 0 if naive else options.vision_memo_mb)
        self._forward = Forward(checkpoint.model, device, self.vision, self.batch_tokens)
        self._encoders, self._tokenizer = encoders, checkpoint.processor.tokenizer
        self.scoring = Scoring(self._forward, self.sharing)
        self.generating = Generating(self._forward, self.sharing, self._tokenizer)
        self.scores = self._batcher(self.scoring, self.sharing)
        self.texts = self._batcher(self.generating, self.sharing)

    def capturing(self, spec: CaptureSpec) -> Capturing:
        """Return what answers requests as this engine does, and captures their hidden states."""
        capture = Capture(self._forward.model, spec, self.vision)
        return Capturing(*self._watched(capture, self.sharing), capture)

    def watched(self, watch: Watch, level: Level | None) -> Watched:
        """Return what answers requests and is watched, at most at a level of sharing."""
        return self._watched(watch, self.sharing if level is None else self.sharing.at_most(level))

    def _watched(self, watch: Watch, sharing: Sharing) -> Watched:
        scores = self._batcher(Scoring(self._forward, sharing, watch), sharing)
        generating = Generating(self._forward, sharing, self._tokenizer, watch)
        return Watched(scores, self._batcher(generating, sharing))

    def _batcher(self, work: Work[R], sharing: Sharing) -> Batcher[R]:
        return Batcher(
            self._encoders.encode, work, self.batch_size, self.batch_tokens,
            merge=sharing.merges, threads=len(self._encoders),
        )  # fmt: skip

    def describe(self) -> dict[str, Any]:
        """Return what is shared, and in how large batches."""
        return {
            **self.sharing.describe(),
            "vision_memo": self.vision.active,
            "batch_size": self.batch_size,
            "batch_tokens": self.batch_tokens,
            "prepare_threads": len(self._encoders),
        }


def _batch_tokens(device: torch.device) -> int:
    """Return how many tokens a pass may have: what is kept of them is small beside the weights."""
    if device.type != "cuda":
        return 1024
    memory: int = torch.cuda.get_device_properties(device).total_memory
    return 16384 if memory > 40 * 2**30 else 8192


def _batch_size(device: torch.device) -> int:
    """Return a batch size that is a fair start: batches are halved where it is too much."""
    if device.type != "cuda":
        return 16
    memory: int = torch.cuda.get_device_properties(device).total_memory
    return 32 if memory > 40 * 2**30 else 16
