"""Log-likelihood of options given the conversation.

The score of an option is the sum of the natural log-probabilities of its tokens, each given the
conversation and the option's earlier tokens. An option's last token is never fed, since nothing
follows it; options that agree in all the tokens before it, and so all one-token options, are read
from one and the same row.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from vlm_eval.core.errors import ModelError
from vlm_eval.core.types import Answer
from vlm_eval.models.forward import Forward
from vlm_eval.models.inputs import Encoded, Row

# Mean difference of log-probabilities that rounding explains, by the size of the number format.
_ROUNDING = {2: 0.3, 4: 1e-3, 8: 1e-6}


class Scoring:
    """The work of :meth:`vlm_eval.models.hf.HfModel.loglikelihood`."""

    def __init__(self, forward: Forward) -> None:
        self._forward = forward
        self._known_causal = False

    def rows(self, encoded: Encoded) -> list[Row]:
        """Return one row for each distinct sequence before an option's last token."""
        groups: dict[tuple[int, ...], list[int]] = {}
        for index, option in enumerate(encoded.options):
            groups.setdefault(tuple(option.ids[:-1].tolist()), []).append(index)
        rows = []
        for members in groups.values():
            targets = [encoded.options[index].ids[encoded.start :] for index in members]
            first = encoded.options[members[0]]
            rows.append(
                Row(encoded, first.head(len(first) - 1), tuple(members), torch.stack(targets))
            )
        return rows

    @torch.inference_mode()
    def forward(self, rows: Sequence[Row]) -> list[dict[int, float]]:
        """Return, for each row, the scores of the options that are read from it."""
        for row in rows:
            if not self._known_causal and len(row.tokens) > row.encoded.start:
                self._check_causal(row)
        spans = [range(row.encoded.start - 1, len(row.tokens)) for row in rows]
        positions = sorted(set().union(*spans))
        logits = self._forward.logits(rows, positions)
        index = {position: i for i, position in enumerate(positions)}
        sums = [
            _score(line[[index[position] for position in span]], row.targets)
            for line, span, row in zip(logits, spans, rows, strict=True)
        ]
        scores = torch.cat(sums)
        if not scores.isfinite().all():
            raise ArithmeticError("the log-probabilities are not finite; try another dtype")
        values = iter(scores.tolist())
        return [{option: next(values) for option in row.options} for row in rows]

    def answer(self, encoded: Encoded, results: Sequence[dict[int, float]]) -> Answer:
        """Put the scores of a request's rows into the order of its options."""
        scores = {option: score for result in results for option, score in result.items()}
        return Answer(
            logprobs=tuple(scores[index] for index in range(len(encoded.options))),
            token_counts=tuple(len(option) - encoded.start for option in encoded.options),
            finish="scored",
        )

    def _check_causal(self, row: Row) -> None:
        """Make sure, once, that an option's later tokens do not change earlier log-probabilities.

        Where attention is not causal they do, and a log-likelihood read from one pass is that of
        nothing at all.
        """
        position = row.encoded.start - 1
        short = Row(row.encoded, row.tokens.head(position + 1))
        both = [self._forward.logits([each], [position])[0, 0] for each in (row, short)]
        first, second = (logits.float().log_softmax(-1) for logits in both)
        moved = (first - second).abs().mean().item()
        if moved > _ROUNDING[both[0].element_size()]:
            raise ModelError(
                f"{type(self._forward.model).__name__} lets later tokens change earlier "
                f"log-probabilities (by {moved:.2g}), so options of several tokens have none",
                hint="use options of one token, or generate the answer",
            )
        self._known_causal = True


def _score(logits: Tensor, targets: Tensor | None) -> Tensor:
    """Sum log-probabilities: logits (positions, vocabulary), targets (options, positions)."""
    assert targets is not None
    logprobs = logits.float().log_softmax(-1)
    chosen = logprobs.gather(-1, targets.to(logits.device).T)
    return chosen.sum(0)
