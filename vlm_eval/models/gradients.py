"""Log-likelihoods of options as a differentiable function of the prepared images.

Nothing is shared between options here, and image features are computed from pixels in every pass,
so that gradients reach them.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from vlm_eval.core.errors import ModelError
from vlm_eval.core.types import Failure, Request
from vlm_eval.models.forward import Forward, VisionMemo
from vlm_eval.models.inputs import Encoder, Row
from vlm_eval.models.loading import Checkpoint

PIXELS = "pixel_values"


class PixelScores:
    """The scores of one request's options, given the tensor that its images were prepared to.

    Parameters
    ----------
    checkpoint
        What to run. Its parameters no longer require gradients afterwards.
    encoder
        Prepares the request.
    request
        With choices and images.

    Attributes
    ----------
    tensors
        All that the processor made of the images, by name.
    pixels
        The one with the pixels, float32 on the model's device.

    Raises
    ------
    ModelError
        If the request cannot be prepared, or its images became no single tensor of pixels.
    """

    def __init__(self, checkpoint: Checkpoint, encoder: Encoder, request: Request) -> None:
        encoded = encoder.encode(request)
        if isinstance(encoded, Failure):
            raise ModelError(f"a request cannot be prepared: {encoded.message}")
        self.tensors = encoded.images.tensors
        if not isinstance(self.tensors.get(PIXELS), Tensor):
            raise ModelError(
                f"its images are prepared to no tensor {PIXELS!r}, only to "
                f"{', '.join(self.tensors) or 'nothing'}",
                hint="gradients of pixels need a model that takes one",
            )
        model, device = checkpoint.model.requires_grad_(False), checkpoint.device
        self.pixels: Tensor = self.tensors[PIXELS].to(device, torch.float32)
        self._forward = Forward(model, device, VisionMemo(model, device, megabytes=0))
        self._rows = [
            Row(encoded, option.head(len(option) - 1), (i,), option.ids[encoded.start :][None])
            for i, option in enumerate(encoded.options)
        ]

    def __call__(self, pixels: Tensor, options: Sequence[int] | None = None) -> Tensor:
        """Return the scores of some options, all if None, as sums of natural log-probabilities.

        Parameters
        ----------
        pixels
            In place of ``self.pixels``, of its shape.
        options
            Their places among the choices.

        Returns
        -------
        Tensor
            Shape (options,), float32.
        """
        chosen = range(len(self._rows)) if options is None else options
        rows = [self._rows[option] for option in chosen]
        inputs = self._forward.inputs(rows, "right")
        shown = torch.cat([pixels.to(self._forward.model.dtype)] * len(rows))
        positions = sorted(set().union(*(row.read for row in rows)))
        logits = self._forward.read({**inputs, PIXELS: shown, "use_cache": False}, positions)
        found = []
        for line, row in zip(logits.float().log_softmax(-1), rows, strict=True):
            assert row.targets is not None
            at = [positions.index(position) for position in row.read]
            found.append(line[at].gather(-1, row.targets.to(line.device).T).sum())
        return torch.stack(found)
