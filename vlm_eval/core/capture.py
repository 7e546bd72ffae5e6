"""What to keep of a model's hidden states, and what was kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from vlm_eval.core.errors import UsageError
from vlm_eval.core.options import configurable

Site: TypeAlias = Literal["prompt_last", "vision_mean", "answer_mean", "answer_last", "vision_grid"]
NORM = "norm"
"""The label of the states after the final norm."""


@configurable
class CaptureSpec:
    """What to keep of each request.

    Attributes
    ----------
    sites
        ``prompt_last``: the state at the last token of the prompt, from which the answer is read.
        ``vision_mean``: the mean over the request's image tokens.
        ``answer_mean``, ``answer_last``: the mean over the answer's tokens, and the last of them;
        the answer is a scored option, or what was generated up to the end token or up to the token
        that completes a stop string.
        ``vision_grid``: the image's features as the language model gets them, on their grid.
    layers
        At which layers: ``all``; a number k for the last k, or all if there are fewer; or a list of
        indices. Layer 0 is the embeddings, layer l the residual stream after block l; negative ones
        count from the end.
    norm
        Whether the states of the last layer are taken before the final norm, after it, or both.
    answers
        Of scored options, keep the answer sites of the ``best`` (the first with the largest sum of
        log-probabilities) or of ``all``.
    """

    sites: tuple[Site, ...] = ("prompt_last", "vision_mean")
    layers: Literal["all"] | int | tuple[int, ...] = "all"
    norm: Literal["before", "after", "both"] = "after"
    answers: Literal["best", "all"] = "best"

    def __post_init__(self) -> None:
        if not self.sites or len(set(self.sites)) < len(self.sites):
            raise ValueError("sites must be distinct, and at least one")
        if self.layers == () or (isinstance(self.layers, int) and self.layers < 1):
            raise ValueError("layers must be at least one")

    def labels(self, blocks: int) -> tuple[str, ...]:
        """Return the names of the kept layers of a model: indices, then ``norm``.

        Parameters
        ----------
        blocks
            How many blocks the model has; it has one layer more.

        Raises
        ------
        UsageError
            If the model has no such layer.
        """
        count = blocks + 1
        if self.layers == "all":
            asked = tuple(range(count))
        elif isinstance(self.layers, int):
            asked = tuple(range(-min(self.layers, count), 0))
        else:
            asked = self.layers
        for layer in asked:
            if not -count <= layer < count:
                raise UsageError(
                    f"the model has no layer {layer}",
                    where="capture, layers",
                    hint=f"it has {count}: 0 (embeddings) to {blocks}",
                )
        chosen = sorted({layer % count for layer in asked})
        names = [str(layer) for layer in chosen if layer < blocks]
        if chosen[-1] == blocks:
            names += [str(blocks)] if self.norm != "after" else []
            names += [NORM] if self.norm != "before" else []
        return tuple(names)


@dataclass(frozen=True, eq=False)
class Captured:
    """What was kept of one request.

    Attributes
    ----------
    request_id
        The request.
    layers
        What the layer axis holds: indices, and ``norm`` for the states after the final norm.
    arrays
        By site, float32. Shape (layers, width); of the answer sites of all options (options,
        layers, width). The grid is ``vision_grid``, shape (frames, rows, columns, width); if the
        request has several images there is one for each, ``vision_grid_1`` and so on.
    missing
        The sites that this request does not have, and why.
    """

    request_id: str
    layers: tuple[str, ...]
    arrays: Mapping[str, NDArray[np.float32]]
    missing: Mapping[str, str]

    def describe(self) -> dict[str, Any]:
        """Return what there is besides the numbers, JSON-able."""
        shapes = {site: list(array.shape) for site, array in self.arrays.items()}
        return {"layers": list(self.layers), "shapes": shapes, "missing": dict(self.missing)}
