"""The Hugging Face backend: one adapter for every vision-language model that generates text.

A request passes through these modules, in this order:

``chat``, ``images``, ``inputs``, ``encoders``
    the text of the conversation; its images, decoded and prepared once each; tokens; all that in
    several threads;
``scoring`` or ``generating``
    what is fed for a request, and what is read from the result;
``jobs``, ``sharing``
    which sequences have a beginning in common, and whether this model may share it;
``batching``, ``memory``
    which of them go together into a forward pass; what is done when one fails;
``forward``, ``prefix``, ``tree``, ``reading``
    the pass itself, with image features and common beginnings computed once each; what is read
    from its logits;
``capture``, ``hooks``, ``grids``
    hidden states, summed while the pass goes on, if they are asked for;
``interventions``
    the residual stream, changed while the pass goes on;
``gradients``
    scores as a function of pixels;
``lens``
    what the model would answer from an earlier layer's states;
``verify``
    asking some of it again, one at a time.

There is no code for a particular checkpoint here, nor in them: what differs is found out from
signatures, from the processor and from the chat template.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vlm_eval.core.capture import Captured, CaptureSpec
from vlm_eval.core.errors import UsageError
from vlm_eval.core.types import Failure, Request, Response
from vlm_eval.models.args import make_options
from vlm_eval.models.base import Capabilities
from vlm_eval.models.capture import image_token
from vlm_eval.models.encoders import Encoders, threads_for
from vlm_eval.models.engine import Engine
from vlm_eval.models.gradients import PixelScores
from vlm_eval.models.hooks import Watch, decoder_blocks
from vlm_eval.models.inputs import Encoder
from vlm_eval.models.interventions import At, Edit, Editing, Reading, Residuals
from vlm_eval.models.lens import Lens, LensReading
from vlm_eval.models.loading import Checkpoint, HfOptions, load_checkpoint
from vlm_eval.models.sharing import ROUNDING, Level
from vlm_eval.models.verify import Ask, Verifier


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
    if options.adapter is not None:  # another model than its base
        name = f"{name}+{Path(options.adapter).name}"
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
        Jobs a forward pass; None lets the device decide. It is halved when memory runs out.
    """

    def __init__(self, checkpoint: Checkpoint, *, name: str, batch_size: int | None = None) -> None:
        self._checkpoint, self._name = checkpoint, name
        self._provenance = checkpoint.provenance  # of the processor as it was loaded
        options = checkpoint.options
        self._encoders = Encoders(
            checkpoint, options.prepare_threads or threads_for(checkpoint.device)
        )
        self._engine = Engine(checkpoint, self._encoders, options.engine, batch_size)
        self._verifier = Verifier(options.verify)
        self._naive = Engine(checkpoint, self._encoders, "naive", 1) if options.verify else None

    @property
    def _encoder(self) -> Encoder:
        return self._encoders.first

    @property
    def name(self) -> str:
        """What to call the model in tables and file names."""
        return self._name

    @property
    def module(self) -> Any:
        """The transformers model, for analyses that read or change its weights."""
        return self._checkpoint.model

    @property
    def capabilities(self) -> Capabilities:
        """Everything; a model that takes no second image fails that request."""
        return Capabilities(capture=True)

    @property
    def blocks(self) -> int:
        """How many blocks the text decoder has. Raises ModelError if they cannot be told."""
        return len(decoder_blocks(self._checkpoint.model)[1])

    def describe(self) -> Mapping[str, Any]:
        """Return provenance, and under ``counters`` what happened so far."""
        verified = {} if self._naive is None else {"verified": self._verified()}
        return {
            "name": self._name,
            **self._provenance,
            "engine": self._engine.describe(),
            "images_inlined": not self._encoder.chat.keeps_order,
            "counters": {
                "merged_boundaries": self._encoders.merged_boundaries,
                "images_encoded": self._engine.vision.computed,
                **verified,
            },
        }

    def expect(self, requests: int) -> None:
        """See :class:`vlm_eval.models.base.Expects`: what is verified is spread over all of it."""
        self._verifier.expect(requests)

    def _verified(self) -> dict[str, Any]:
        bound = ROUNDING[self._checkpoint.model.dtype.itemsize]
        return {**self._verifier.describe(), "rounding": bound}

    def generate(self, requests: Sequence[Request]) -> Iterator[Response]:
        """Answer requests with text, batch by batch; the order of the responses is not theirs."""
        if any(request.decoding is None for request in requests):
            raise ValueError("a request to generate needs a decoding")
        return self._texts(requests, self._engine.texts.run)

    def loglikelihood(self, requests: Sequence[Request]) -> Iterator[Response]:
        """Score the options of requests, batch by batch; the order of the responses is not theirs.

        Raises
        ------
        ModelError
            If the model's attention is not causal, so that options of several tokens have no
            log-likelihood; or if the engine that was asked for is wrong for it.
        """
        if any(request.choices is None for request in requests):
            raise ValueError("a request to score needs choices")
        return self._scores(requests, self._engine.scores.run)

    def capture(
        self, requests: Sequence[Request], spec: CaptureSpec
    ) -> Iterator[tuple[Response, Captured | None]]:
        """Answer requests as `generate` and `loglikelihood` do, and capture hidden states.

        Both come from the same passes. Nothing captured is kept here once it has been yielded; of
        a failed request there is nothing.

        Raises
        ------
        ModelError, UsageError
            As `loglikelihood`; or if the model's layers cannot be found, or it does not have a
            layer that is asked for.
        """
        if any(request.choices is None and request.decoding is None for request in requests):
            raise ValueError("a request needs choices or a decoding")
        scored = [request for request in requests if request.choices is not None]
        written = [request for request in requests if request.choices is None]
        scores, texts, captured = self._engine.capturing(spec)
        responses = chain(self._scores(scored, scores.run), self._texts(written, texts.run))
        return ((response, captured.take(response.request_id)) for response in responses)

    def intervene(self, requests: Sequence[Request], edits: Sequence[Edit]) -> Iterator[Response]:
        """Answer requests while their residual streams are edited.

        Requests without an edit are answered as they are. Nothing is asked again to verify it.

        Parameters
        ----------
        requests
            With choices or a decoding; each has an id of its own.
        edits
            What to change of which request.

        Raises
        ------
        ModelError
            As `loglikelihood`; or if the model's layers cannot be found, or do not pass on one
            vector a token.
        UsageError
            If an edit names a request that is not asked, or does not fit model or prompt.
        """
        model = self._checkpoint.model
        editing = Editing(model, edits, image_token(model.config))
        unasked = editing.requests - {request.id for request in requests}
        if unasked:
            raise UsageError(f"an edit names the request {min(unasked)}, which is not asked")
        return self._watched(requests, editing, editing.level)

    def residuals(
        self, requests: Sequence[Request], layers: Sequence[int], at: At = "prompt"
    ) -> Iterator[tuple[Response, Residuals | None]]:
        """Answer requests and read the residual stream of their prompts, token by token.

        Nothing that was read is kept here once it has been yielded; of a failed request there is
        nothing.

        Parameters
        ----------
        requests
            With choices or a decoding.
        layers
            In rising order; 0 is the embeddings, l the output of block l.
        at
            Which tokens.

        Raises
        ------
        ModelError, UsageError
            As `intervene`.
        """
        model = self._checkpoint.model
        reading = Reading(model, tuple(layers), at, image_token(model.config))
        responses = self._watched(requests, reading, "memo")
        return ((response, reading.take(response.request_id)) for response in responses)

    def lens(
        self, states: NDArray[np.float32], options: Sequence[int], *, normed: bool = False
    ) -> LensReading:
        """Return what the model would answer from states of its residual stream: the logit lens.

        Parameters
        ----------
        states
            Captured ones, shape (..., width).
        options
            Ids of the tokens that the answers begin with; see `first_tokens`.
        normed
            Whether the states have passed the final norm already.

        Raises
        ------
        ModelError
            If the model's final norm cannot be told, or its logits are not what norm, output
            embeddings and configuration say.
        """
        return self._lens.read(states, options, normed=normed)

    @cached_property
    def _lens(self) -> Lens:
        ids = self._checkpoint.processor.tokenizer("Which of them is it?")["input_ids"]
        return Lens(self._checkpoint.model, ids, self._checkpoint.device)

    def first_tokens(self, request: Request) -> tuple[int, ...] | Failure:
        """Return the first token that is scored of each of a request's choices, or why it cannot.

        Where options begin alike, as " red" and " red piece" do, so do their tokens.
        """
        encoded = self._encoder.encode(request)
        if isinstance(encoded, Failure):
            return encoded
        return tuple(int(option.ids[encoded.start]) for option in encoded.options)

    def pixel_scores(self, request: Request) -> PixelScores:
        """Return the scores of a request's options as a function of its prepared images.

        Raises
        ------
        ModelError
            If the request cannot be prepared, or its images became no tensor of pixels.
        """
        return PixelScores(self._checkpoint, self._encoder, request)

    @property
    def image_processor(self) -> Any:
        """The checkpoint's image processor."""
        return self._checkpoint.processor.image_processor

    def _watched(
        self, requests: Sequence[Request], watch: Watch, level: Level | None
    ) -> Iterator[Response]:
        if any(request.choices is None and request.decoding is None for request in requests):
            raise ValueError("a request needs choices or a decoding")
        asked = self._engine.watched(watch, level)
        scored = [request for request in requests if request.choices is not None]
        written = [request for request in requests if request.choices is None]
        return chain(asked.scores.run(scored), asked.texts.run(written))

    def _scores(self, requests: Sequence[Request], ask: Ask) -> Iterator[Response]:
        if self._naive is None:
            return ask(requests)
        return self._verifier.run(requests, ask, self._naive.scores.run)

    def _texts(self, requests: Sequence[Request], ask: Ask) -> Iterator[Response]:
        if self._naive is None:
            return ask(requests)
        return self._verifier.run(requests, ask, self._naive.texts.run)
