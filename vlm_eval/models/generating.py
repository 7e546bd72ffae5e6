"""Generated answers: greedy, or sampled with a seed that is the request's own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import (
    GenerationConfig,
    LogitsProcessor,
    LogitsProcessorList,
    StoppingCriteria,
    StoppingCriteriaList,
    TemperatureLogitsWarper,
    TopPLogitsWarper,
)

from vlm_eval.core.hashing import derive_rng
from vlm_eval.core.types import Answer, Decoding
from vlm_eval.models.forward import Forward
from vlm_eval.models.inputs import Encoded, Row


class Generating:
    """The work of :meth:`vlm_eval.models.hf.HfModel.generate`."""

    def __init__(self, forward: Forward, tokenizer: Any) -> None:
        self._forward, self._tokenizer = forward, tokenizer
        end = forward.model.generation_config.eos_token_id
        self._end = set(end if isinstance(end, list) else [end])

    def rows(self, encoded: Encoded) -> list[Row]:
        """Return the prompt."""
        return [Row(encoded, encoded.prompt)]

    @torch.inference_mode()
    def forward(self, rows: Sequence[Row]) -> list[Answer]:
        """Generate one answer a row. The requests of one batch share their decoding."""
        decoding = _decoding(rows[0].encoded)
        inputs = self._forward.inputs(rows, "left")
        length = inputs["input_ids"].shape[1]
        sequences = self._forward.model.generate(
            **inputs,
            generation_config=GenerationConfig(
                max_new_tokens=decoding.max_new_tokens, do_sample=False, num_beams=1
            ),
            logits_processor=LogitsProcessorList(_sampling(decoding, rows)),
            stopping_criteria=StoppingCriteriaList(
                [StopStrings(self._decode, decoding.stop, length)] if decoding.stop else []
            ),
        )
        return [self._answer(ids, decoding) for ids in sequences[:, length:].tolist()]

    def answer(self, encoded: Encoded, results: Sequence[Answer]) -> Answer:  # noqa: ARG002
        """Return the answer to a request, which has one row."""
        return results[0]

    def _answer(self, ids: list[int], decoding: Decoding) -> Answer:
        ended = next((i for i, token in enumerate(ids) if token in self._end), None)
        text = self._decode(ids[:ended])
        cuts = [at for stop in decoding.stop if (at := text.find(stop)) >= 0]
        if ended is None and not cuts:
            return Answer(text=text, finish="length")
        return Answer(text=text[: min(cuts)] if cuts else text, finish="stop")

    def _decode(self, ids: list[int]) -> str:
        text: str = self._tokenizer.decode(
            ids, skip_special_tokens=True, clean_up_tokenization_spaces=False
        )
        return text


def _decoding(encoded: Encoded) -> Decoding:
    assert encoded.request.decoding is not None
    return encoded.request.decoding


def _sampling(decoding: Decoding, rows: Sequence[Row]) -> list[LogitsProcessor]:
    if decoding.temperature <= 0:
        return []
    steps = [TemperatureLogitsWarper(decoding.temperature)]
    if decoding.top_p < 1:
        steps.append(TopPLogitsWarper(decoding.top_p))
    return [*steps, SeededNoise([row.encoded.request.id for row in rows])]


class SeededNoise(LogitsProcessor):  # type: ignore[misc]
    """Turns greedy decoding into sampling that does not depend on the batch.

    The largest of ``logits + Gumbel noise`` is a draw from softmax(logits) (the Gumbel-max trick).
    Each row draws its noise from a generator seeded by its request's id.
    """

    def __init__(self, request_ids: Sequence[str]) -> None:
        self._draws = [derive_rng(0, request_id, "sampling") for request_id in request_ids]

    def __call__(self, input_ids: Tensor | None, scores: Tensor) -> Tensor:  # noqa: ARG002
        """Return the scores with noise added. Shape (rows, vocabulary)."""
        noise = [torch.from_numpy(draw.gumbel(size=scores.shape[1])) for draw in self._draws]
        return scores.float() + torch.stack(noise).to(scores.device, torch.float32)


class StopStrings(StoppingCriteria):  # type: ignore[misc]
    """Ends a row when its text holds one of some strings.

    Parameters
    ----------
    decode
        From token ids to text.
    stops
        The strings.
    start
        Where the generated tokens begin.
    """

    def __init__(self, decode: Any, stops: Sequence[str], start: int) -> None:
        self._decode, self._stops, self._start = decode, tuple(stops), start
        # A token holds at least one byte, so a string spans no more tokens than it has bytes.
        self._span = max(len(stop.encode()) for stop in stops) + 1

    def __call__(self, input_ids: Tensor, *_: Any, **__: Any) -> Tensor:
        """Return which rows are done. Shape (rows,), bool."""
        first = max(self._start, input_ids.shape[1] - self._span)
        tails = [self._decode(ids) for ids in input_ids[:, first:].tolist()]
        done = [any(stop in tail for stop in self._stops) for tail in tails]
        return torch.tensor(done, device=input_ids.device)
