"""The contrastive backend: one adapter for every dual encoder, such as CLIP and SigLIP.

A dual encoder turns an image into a vector and a text into a vector; it reads no conversation and
writes no text. It therefore answers requests that have ``choices`` and a ``match`` (what to compare
with what), and no others. Its answer holds, where a language model's holds log-likelihoods, the
*cosine similarities* of the image and the text of each choice, in [-1, 1]; they are no logarithms
of probabilities, and no token counts belong to them.

Every distinct image and every distinct text is encoded once and its vector kept. Distinct is what
the model can tell apart: two images with the same prepared pixels, and two texts with the same
tokens, have one vector, so that their similarities tie exactly, and a tie is no answer.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from vlm_eval.core.types import Answer, Failure, ImageRef, Match, Outcome, Request, Response
from vlm_eval.models.args import make_options
from vlm_eval.models.base import Capabilities
from vlm_eval.models.dual_encoder import ContrastiveOptions, DualEncoder, load_dual_encoder
from vlm_eval.models.images import Tensors
from vlm_eval.models.vectors import Made, Prepare, Vectors


def load(
    target: str,
    *,
    name: str,
    args: Mapping[str, Any],
    batch_size: int | None = None,
    device: str | None = None,
    dtype: str | None = None,
) -> Contrastive:
    """Load the dual encoder of a folder or hub id; see `vlm_eval.models.registry.Backend`.

    Raises
    ------
    UsageError
        If the options contradict each other.
    ModelError
        If there is no such checkpoint, it is no dual encoder, or its files are missing or broken.
    """
    options = make_options(ContrastiveOptions, args, what="the contrastive backend")
    encoders = load_dual_encoder(target, options, device=device, dtype=dtype)
    return Contrastive(encoders, name=name, batch_size=batch_size)


class Contrastive:
    """A dual encoder as a model backend.

    Parameters
    ----------
    encoders
        The loaded checkpoint.
    name
        What to call it.
    batch_size
        Images, or texts, a forward pass; None lets the device decide.
    """

    def __init__(self, encoders: DualEncoder, *, name: str, batch_size: int | None = None) -> None:
        self._encoders, self._name = encoders, name
        self._batch_size = batch_size or (16 if encoders.device.type == "cpu" else 128)
        self._provenance = encoders.describe()
        self._images = Vectors(encoders.image_vectors, self._batch_size)
        self._texts = Vectors(encoders.text_vectors, self._batch_size)
        self._sizes: dict[str, tuple[int, int]] = {}

    @property
    def name(self) -> str:
        """What to call the model in tables and file names."""
        return self._name

    @property
    def capabilities(self) -> Capabilities:
        """It compares images with texts, and reads no conversation."""
        return Capabilities(generate=False, chat=False, text_only=False)

    def describe(self) -> Mapping[str, Any]:
        """Return provenance, and under ``counters`` what happened so far."""
        return {
            "name": self._name,
            **self._provenance,
            "batch_size": self._batch_size,
            "counters": {
                "images_encoded": self._images.encoded,
                "texts_encoded": self._texts.encoded,
                "texts_truncated": self._encoders.truncated,
            },
        }

    def generate(self, requests: Sequence[Request]) -> Iterator[Response]:
        """Fail each request: a dual encoder writes no text."""
        failure = Failure("unsupported", "a contrastive model writes no text")
        return (Response(request.id, failure, 0.0) for request in requests)

    def loglikelihood(self, requests: Sequence[Request]) -> Iterator[Response]:
        """Answer requests that have choices and a match with cosine similarities, in [-1, 1].

        Others fail as unsupported. The order of the responses is not that of the requests.
        """
        if any(request.choices is None for request in requests):
            raise ValueError("a request to score needs choices")
        able: list[tuple[Request, Match]] = []
        for request in requests:
            fault = _fault(request)
            if fault is not None:
                yield Response(request.id, Failure("unsupported", fault), 0.0)
            elif request.match is not None:
                able.append((request, request.match))
        # The same images together, so that a vector is in use once and then rests.
        able.sort(key=lambda pair: [image.key for image in pair[1].images])
        for window in _windows(able, self._batch_size):
            yield from self._answer(window)

    def _answer(self, window: Sequence[tuple[Request, Match]]) -> Iterator[Response]:
        began = time.perf_counter()
        images = {image.key: image for _, match in window for image in match.images}
        texts = dict.fromkeys(text for _, match in window for text in match.texts)
        pictured = self._images.of({key: self._load(ref) for key, ref in images.items()})
        worded = self._texts.of({text: self._read(text) for text in texts})
        outcomes = [_outcome(match, pictured, worded) for _, match in window]
        share = (time.perf_counter() - began) / len(window)
        for (request, _), outcome in zip(window, outcomes, strict=True):
            yield Response(request.id, self._sized(request, outcome), share)

    def _sized(self, request: Request, outcome: Outcome) -> Outcome:
        sizes = tuple(self._sizes.get(image.key) for image in request.images)
        if isinstance(outcome, Failure) or not any(sizes):
            return outcome
        return replace(outcome, image_sizes=sizes)

    def _load(self, reference: ImageRef) -> Prepare:
        def load() -> Tensors:
            made = self._encoders.image(reference.load().convert("RGB"))
            size = self._encoders.size_read(made)
            if size is not None:
                self._sizes[reference.key] = size
            return made

        return load

    def _read(self, text: str) -> Prepare:
        return lambda: self._encoders.text(text)


def _fault(request: Request) -> str | None:
    """Return why a dual encoder cannot answer, if it cannot."""
    match = request.match
    if match is None:
        return (
            "a contrastive model compares images with texts, and this question names none (match)"
        )
    sides = sorted((len(match.images), len(match.texts)))
    if sides != [1, len(request.choices or ())]:
        return (
            f"match has {len(match.images)} images and {len(match.texts)} texts for "
            f"{len(request.choices or ())} choices; it needs one of one kind, and of the other one "
            "a choice"
        )
    return None


def _windows(
    able: Sequence[tuple[Request, Match]], size: int
) -> Iterator[list[tuple[Request, Match]]]:
    """Yield runs of requests that together fill a forward pass with images."""
    window: list[tuple[Request, Match]] = []
    seen: set[str] = set()
    for request, match in able:
        window.append((request, match))
        seen |= {image.key for image in match.images}
        if len(seen) >= size or len(window) >= 32 * size:
            yield window
            window, seen = [], set()
    if window:
        yield window


def _outcome(
    match: Match,
    images: Mapping[str, Made],
    texts: Mapping[str, Made],
) -> Outcome:
    known = []
    for made in (*(images[ref.key] for ref in match.images), *(texts[t] for t in match.texts)):
        if isinstance(made, Failure):
            return made
        known.append(made.astype(np.float64))
    first, second = known[: len(match.images)], known[len(match.images) :]
    # Pair by pair: in a matrix product, equal vectors may differ in the last digit.
    similarities = tuple(float(image @ text) for image in first for text in second)
    return Answer(logprobs=similarities, finish="scored")
