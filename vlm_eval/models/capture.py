"""Hidden states of requests, captured in the pass that answers them.

A state belongs to a token of a sequence, whichever pass feeds it: an image token may lie in a
shared prefix, the prompt's last token in a tree. So what is captured is the same at every level of
sharing (:mod:`vlm_eval.models.sharing`) and in every batch, up to rounding.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from vlm_eval.core.capture import Captured, CaptureSpec, Site
from vlm_eval.models.forward import VisionMemo
from vlm_eval.models.grids import Grids
from vlm_eval.models.hooks import Placing, Recording, Taps, Watch
from vlm_eval.models.inputs import Encoded, Row

_Array = NDArray[np.float32]


@dataclass
class _Kept:
    """What is known of a request that is not answered yet: states by site and option, grids."""

    states: dict[Site, dict[int, _Array]] = field(default_factory=dict)
    grids: Sequence[_Array] | str = ""


class Capture:
    """What a specification asks of the requests of one run.

    Parameters
    ----------
    model
        A transformers model.
    spec
        What to capture.
    vision
        Where image features come from.

    Attributes
    ----------
    answers
        Whether the states of answers are wanted, for which their last token must be fed as well.

    Raises
    ------
    ModelError, UsageError
        If the model's layers cannot be found, or it does not have a layer that is asked for.
    """

    def __init__(self, model: Any, spec: CaptureSpec, vision: VisionMemo) -> None:
        self.spec, self.taps = spec, Taps(model, spec)
        self.answers = any(site.startswith("answer") for site in spec.sites)
        self._grids = Grids(vision, model.config)
        self._image = image_token(model.config)
        self._open: WeakKeyDictionary[Encoded, _Kept] = WeakKeyDictionary()
        self._done: dict[str, Captured] = {}

    def wanted(self, row: Row, begin: int, end: int) -> Iterator[tuple[Site, Sequence[int]]]:
        """Yield the row's positions in [begin, end) of each site; see hooks.Wanted."""
        start = row.encoded.start
        for site in self.spec.sites:
            if site == "prompt_last" and _first(row) and begin < start <= end:
                yield site, (start - 1,)
            elif site == "vision_mean" and _first(row):
                yield site, [at for at in self._images(row.encoded) if begin <= at < end]
            elif site == "answer_mean":
                yield site, range(max(begin, start), end)
            elif site == "answer_last" and end > start:
                yield site, (end - 1,)

    def _images(self, encoded: Encoded) -> list[int]:
        if not encoded.request.images or self._image is None:
            return []
        found: list[int] = (encoded.prompt.ids == self._image).nonzero()[:, 0].tolist()
        return found

    @contextmanager
    def passes(self) -> Iterator[Recording]:
        """Record the passes within the context, and keep what was recorded unless one fails."""
        with Recording(self.taps, self.wanted) as made:
            yield made
        self.keep(made)

    def keep(self, recording: Recording) -> None:
        """Take over what was recorded of rows that are done."""
        for (row, site), (total, count) in recording.found.items():
            states = np.divide(total.numpy(), count, dtype=np.float32)
            if not np.isfinite(states).all():
                raise ArithmeticError("the hidden states are not finite; try another dtype")
            kept = self._open.setdefault(row.encoded, _Kept())
            kept.states.setdefault(site, {})[row.options[0] if row.options else 0] = states
        for row in recording.rows:
            if "vision_grid" in self.spec.sites and _first(row) and row.encoded.request.images:
                self._open.setdefault(row.encoded, _Kept()).grids = self._grids.of(row.encoded)

    def finish(self, encoded: Encoded, logprobs: Sequence[float] = ()) -> None:
        """Put together what was captured of a request, all of whose rows are done.

        Parameters
        ----------
        encoded
            The request.
        logprobs
            Of its options, if it has any.
        """
        kept = self._open.pop(encoded, _Kept())
        arrays: dict[str, _Array] = {}
        missing: dict[str, str] = {}
        for site in self.spec.sites:
            found = kept.states.get(site, {})
            if site == "vision_grid" and not isinstance(kept.grids, str):
                several = len(kept.grids) > 1
                names = [f"{site}_{i}" if several else site for i in range(1, len(kept.grids) + 1)]
                arrays |= dict(zip(names, kept.grids, strict=True))
            elif not found:
                missing[site] = self._why_not(site, encoded, kept)
            elif site.startswith("answer") and logprobs and self.spec.answers == "all":
                arrays[site] = np.stack([found[option] for option in range(len(logprobs))])
            elif site.startswith("answer") and logprobs:
                arrays[site] = found[int(np.argmax(logprobs))]
            else:
                arrays[site] = found[0]
        for name in encoded.ids:
            self._done[name] = Captured(name, self.taps.labels, arrays, missing)

    def _why_not(self, site: Site, encoded: Encoded, kept: _Kept) -> str:
        if site.startswith("answer"):
            return "the answer is empty"
        if not encoded.request.images:
            return "the request has no image"
        return str(kept.grids) if site == "vision_grid" else "its image tokens are not known"

    def take(self, request_id: str) -> Captured | None:
        """Return, and forget, what was captured of an answered request; None of a failed one."""
        return self._done.pop(request_id, None)


@contextmanager
def watching(watch: Watch | None) -> Iterator[Placing | None]:
    """Have the passes within the context watched, if something watches."""
    if watch is None:
        yield None
        return
    with watch.passes() as placing:
        yield placing


def image_token(config: Any) -> int | None:
    """Return the id of the tokens that stand for an image, None if it is not known."""
    # Not the processor's: Gemma3's means the token that begins an image.
    found: int | None = getattr(
        config, "image_token_id", getattr(config, "image_token_index", None)
    )
    return found


def _first(row: Row) -> bool:
    """Say whether the prompt of a row's request is captured from this row."""
    return not row.options or 0 in row.options
