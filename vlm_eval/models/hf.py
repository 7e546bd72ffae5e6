"""The Hugging Face backend: one adapter for every vision-language model that generates text.

A request passes through these modules, in this order:

``chat``, ``images``, ``inputs``
    the text of the conversation; its images, decoded and prepared once each; tokens;
``batching``
    which sequences go together into a forward pass;
``forward``
    the pass itself, with image features computed once each;
``scoring`` or ``generating``
    what is fed for a request, and what is read from the result.

There is no code for a particular checkpoint here, nor in them: what differs is found out from
signatures, from the processor and from the chat template.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch

from vlm_eval.core.types import Request, Response
from vlm_eval.models.args import make_options
from vlm_eval.models.base import Capabilities
from vlm_eval.models.batching import Batcher
from vlm_eval.models.forward import Forward, VisionMemo
from vlm_eval.models.generating import Generating
from vlm_eval.models.inputs import Encoder
from vlm_eval.models.loading import Checkpoint, HfOptions, load_checkpoint
from vlm_eval.models.scoring import Scoring

log = logging.getLogger(__name__)


def load(
    target: str,
    *,
    name: str,
    args: Mapping[str, Any],
    batch_size: int | None = None,
    device: str | None = None,
    dtype: str | None = None,
) -> HfModel:
    """Load the checkpoint of a folder or hub id; see :class:`vlm_eval.models.registry.Backend`."""
    options = make_options(HfOptions, args, what="the hf backend")
    checkpoint = load_checkpoint(target, options, device=device, dtype=dtype)
    return HfModel(checkpoint, name=name, batch_size=batch_size)


class HfModel:
    """A loaded checkpoint as a model backend.

    Parameters
    ----------
    checkpoint
        What to run.
    name
        What to call it.
    batch_size
        Sequences a forward pass; None lets the device decide. It is halved when memory runs out.
    """

    def __init__(self, checkpoint: Checkpoint, *, name: str, batch_size: int | None = None) -> None:
        self._checkpoint = checkpoint
        self._name = name
        self._batch_size = batch_size or _batch_size(checkpoint.device)
        self._provenance = checkpoint.provenance
        self._encoder = Encoder(checkpoint.processor)
        megabytes = checkpoint.options.vision_memo_mb
        self._vision = VisionMemo(checkpoint.model, checkpoint.device, megabytes)
        forward = Forward(checkpoint.model, checkpoint.device, self._vision)
        self._scoring = Scoring(forward)
        self._generating = Generating(forward, checkpoint.processor.tokenizer)
        self._scores = Batcher(self._encoder.encode, self._scoring, self._batch_size)
        self._texts = Batcher(self._encoder.encode, self._generating, self._batch_size)

    @property
    def name(self) -> str:
        """What to call the model in tables and file names."""
        return self._name

    @property
    def capabilities(self) -> Capabilities:
        """Everything but embeddings; a model that takes no second image fails that request."""
        return Capabilities()

    def describe(self) -> Mapping[str, Any]:
        """Return provenance, and under ``counters`` what happened so far."""
        return {
            "name": self._name,
            **self._provenance,
            "batch_size": self._batch_size,
            "vision_memo": self._vision.active,
            "images_inlined": not self._encoder.chat.keeps_order,
            "counters": {
                "merged_boundaries": self._encoder.merged_boundaries,
                "images_encoded": self._vision.computed,
            },
        }

    def generate(self, requests: Sequence[Request]) -> Iterator[Response]:
        """Answer requests with text, batch by batch; the order of the responses is not theirs."""
        if any(request.decoding is None for request in requests):
            raise ValueError("a request to generate needs a decoding")
        return self._texts.run(requests)

    def loglikelihood(self, requests: Sequence[Request]) -> Iterator[Response]:
        """Score the options of requests, batch by batch; the order of the responses is not theirs.

        Raises
        ------
        ModelError
            If the model's attention is not causal, so that options of several tokens have no
            log-likelihood.
        """
        if any(request.choices is None for request in requests):
            raise ValueError("a request to score needs choices")
        return self._scores.run(requests)


def _batch_size(device: torch.device) -> int:
    """Return a batch size that is a fair start: batches are halved where it is too much."""
    if device.type != "cuda":
        return 16
    memory: int = torch.cuda.get_device_properties(device).total_memory
    return 32 if memory > 40 * 2**30 else 16
