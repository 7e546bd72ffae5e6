"""Several encoders of one checkpoint, so that a GPU need not wait for images.

To decode, corrupt and prepare an image of a megapixel takes a core 160 ms; a GPU is done with it
sooner. Encoders share nothing: a tokeniser and an image processor serve one thread at a time.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from queue import SimpleQueue

import torch

from vlm_eval.core.types import Failure, Request
from vlm_eval.models.capture import image_token
from vlm_eval.models.inputs import Encoded, Encoder
from vlm_eval.models.loading import Checkpoint

MOST = 8


class Encoders:
    """Encoders that take turns.

    Parameters
    ----------
    checkpoint
        Whose processor they use, each a copy of its own.
    threads
        How many there are.

    Attributes
    ----------
    first
        One of them, for a single request of the caller's own thread.
    """

    def __init__(self, checkpoint: Checkpoint, threads: int) -> None:
        token = image_token(checkpoint.model.config)
        own = [copy.deepcopy(checkpoint.processor) for _ in range(threads - 1)]
        self._all = [Encoder(processor, token) for processor in (checkpoint.processor, *own)]
        self.first = self._all[0]
        self._free: SimpleQueue[Encoder] = SimpleQueue()
        for encoder in self._all:
            self._free.put(encoder)

    def __len__(self) -> int:
        return len(self._all)

    def encode(self, alike: Sequence[Request]) -> list[Encoded | Failure]:
        """Prepare requests that show the same images, by the next encoder that is free."""
        encoder = self._free.get()
        try:
            return [encoder.encode(request) for request in alike]
        finally:
            self._free.put(encoder)

    @property
    def merged_boundaries(self) -> int:
        """How many requests so far had an option that the tokeniser merged with the prompt."""
        return sum(encoder.merged_boundaries for encoder in self._all)


def threads_for(device: torch.device) -> int:
    """Return in how many threads requests are prepared for a model on a device.

    One on a CPU, whose cores the model uses; else one for each core but one that this process has.
    """
    return 1 if device.type == "cpu" else min(MOST, max(1, torch.get_num_threads() - 1))
