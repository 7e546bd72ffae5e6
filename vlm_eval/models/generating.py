"""Generated answers: greedy, or sampled with a seed that is the request's own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
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
from vlm_eval.models.capture import watching
from vlm_eval.models.forward import Forward
from vlm_eval.models.hooks import Placing, Watch
from vlm_eval.models.inputs import Encoded, Row
from vlm_eval.models.jobs import Job, alone, shared
from vlm_eval.models.prefix import Prefix
from vlm_eval.models.sharing import Sharing


class Generating:
    """The work of :meth:`vlm_eval.models.hf.HfModel.generate`."""

    def __init__(
        self, forward: Forward, sharing: Sharing, tokenizer: Any, watch: Watch | None = None
    ) -> None:
        self._forward, self._sharing, self._tokenizer = forward, sharing, tokenizer
        self._watch = watch
        end = forward.model.generation_config.eos_token_id
        self._end = set(end if isinstance(end, list) else [end])

    def jobs(self, alike: Sequence[Encoded]) -> list[Job]:
        """Return the prompts, together where they begin alike."""
        rows = [Row(encoded, encoded.prompt) for encoded in alike]
        if not self._sharing.shares:
            return alone(rows)
        return shared(rows, ragged=self._sharing.ragged, equal=self._sharing.equal)

    @torch.inference_mode()
    def forward(self, jobs: Sequence[Job]) -> list[list[Answer]]:
        """Generate one answer a row. The requests of one batch share their decoding."""
        rows = [row for job in jobs for row in job.rows]
        if jobs[0].prefix:
            self._sharing.prove(self._forward, jobs[0])
        with watching(self._watch) as states:
            if jobs[0].prefix and self._sharing.shares:
                prefix = Prefix(self._forward, jobs, states)
                answers = iter(self._generate(rows, prefix.left_padded(), states))
            elif jobs[0].prefix:
                answers = iter([self._alone([row], states)[0] for row in rows])
            else:
                answers = iter(self._alone(rows, states))
            return [[next(answers) for _ in job.rows] for job in jobs]

    def _alone(self, rows: Sequence[Row], states: Placing | None) -> list[Answer]:
        inputs = self._forward.inputs(rows, "left")
        longest = inputs["input_ids"].shape[1]
        if states is not None:
            for line, row in enumerate(rows):
                states.place(row, line, 0, range(longest - len(row.tokens), longest))
        return self._generate(rows, inputs, states)

    def _generate(
        self, rows: Sequence[Row], inputs: Mapping[str, Any], states: Placing | None
    ) -> list[Answer]:
        decoding = _decoding(rows[0].encoded)
        length, limit = inputs["input_ids"].shape[1], decoding.max_new_tokens
        stops = [StopStrings(self._decode, decoding.stop, length)] if decoding.stop else []
        follow = []
        if states is not None and self._watch is not None and self._watch.answers:
            follow = [Following(states, rows, self._end, stops, range(length, length + limit))]
        sequences = self._forward.model.generate(
            **inputs,
            generation_config=GenerationConfig(
                # A token more, because the last one is not fed: its state is wanted.
                max_new_tokens=limit + len(follow),
                do_sample=False,
                num_beams=1,
            ),
            logits_processor=LogitsProcessorList(_sampling(decoding, rows)),
            stopping_criteria=StoppingCriteriaList([*stops, *follow]),
        )
        answers = sequences[:, length : length + limit].tolist()
        return [self._answer(ids, decoding) for ids in answers]

    def answer(self, encoded: Encoded, results: Sequence[Answer]) -> Answer:
        """Return the answer to a request, which has one row."""
        if self._watch is not None:
            self._watch.finish(encoded)
        return replace(
            results[0],
            prompt_tokens=len(encoded.prompt),
            image_tokens=encoded.image_tokens,
            image_sizes=encoded.image_sizes,
        )

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


class Following(StoppingCriteria):  # type: ignore[misc]
    """Ends nothing: tells a recording which of the tokens that are fed next belong to an answer.

    Those are the tokens before the end token and before the one that completes a stop string.

    Parameters
    ----------
    states
        The recording.
    rows
        The rows that are generated.
    end
        The end tokens.
    stops
        What else ends an answer.
    span
        Where the answer's tokens may stand.
    """

    def __init__(
        self,
        states: Placing,
        rows: Sequence[Row],
        end: set[int],
        stops: Sequence[StopStrings],
        span: range,
    ) -> None:
        self._states, self._end, self._stops, self._span = states, end, stops, span
        self._going = dict(enumerate(rows))

    def __call__(self, input_ids: Tensor, *_: Any, **__: Any) -> Tensor:
        """Return that no row is done. Shape (rows,), bool."""
        none = torch.zeros(len(input_ids), dtype=torch.bool, device=input_ids.device)
        stopped = sum((stop(input_ids) for stop in self._stops), none).tolist()
        made = input_ids.shape[1] - self._span.start
        for line, token in enumerate(input_ids[:, -1].tolist()):
            if token in self._end or stopped[line] or made > len(self._span):
                self._going.pop(line, None)
            elif line in self._going:
                row = self._going[line]
                self._states.place(row, line, len(row.tokens) + made - 1, (0,))
        return none
