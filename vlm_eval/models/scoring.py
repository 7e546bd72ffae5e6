"""Log-likelihood of options given the conversation.

The score of an option is the sum of the natural log-probabilities of its tokens, each given the
conversation and the option's earlier tokens. An option's last token is never fed, since nothing
follows it; options that agree in all the tokens before it, and so all one-token options, are read
from one and the same row. How rows share work is decided by :mod:`vlm_eval.models.sharing`.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor

from vlm_eval.core.errors import ModelError
from vlm_eval.core.types import Answer
from vlm_eval.models.capture import watching
from vlm_eval.models.forward import Forward
from vlm_eval.models.hooks import Placing, Watch
from vlm_eval.models.inputs import Encoded, Row
from vlm_eval.models.jobs import Job, alone, shared
from vlm_eval.models.prefix import Prefix
from vlm_eval.models.reading import Read
from vlm_eval.models.sharing import ROUNDING, Sharing


class Scoring:
    """The work of :meth:`vlm_eval.models.hf.HfModel.loglikelihood`.

    If what watches wants the states of answers, an option's last token is fed as well, and
    every option is a row.
    """

    def __init__(self, forward: Forward, sharing: Sharing, watch: Watch | None = None) -> None:
        self._forward, self._sharing, self._watch = forward, sharing, watch
        self._whole = watch is not None and watch.answers

    def jobs(self, alike: Sequence[Encoded]) -> list[Job]:
        """Return what must be computed for requests that show the same images."""
        rows = [row for encoded in alike for row in self.rows(encoded)]
        if not self._sharing.shares:
            return alone(rows)
        return shared(rows, equal=self._sharing.equal)

    def rows(self, encoded: Encoded) -> list[Row]:
        """Return one row for each distinct sequence before an option's last token."""
        groups: dict[tuple[int, ...], list[int]] = {}
        for index, option in enumerate(encoded.options):
            # The naive engine shares nothing: an option is a row.
            apart = self._whole or self._sharing.level == "naive"
            same = (-index,) if apart else tuple(option.ids[:-1].tolist())
            groups.setdefault(same, []).append(index)
        rows = []
        for members in groups.values():
            targets = [encoded.options[index].ids[encoded.start :] for index in members]
            first = encoded.options[members[0]]
            fed = first if self._whole else first.head(len(first) - 1)
            rows.append(Row(encoded, fed, tuple(members), torch.stack(targets)))
        return rows

    @torch.inference_mode()
    def forward(self, jobs: Sequence[Job]) -> list[list[dict[int, float]]]:
        """Return, for each job and row, the scores of the options that are read from the row."""
        rows = [row for job in jobs for row in job.rows]
        if jobs[0].prefix:
            self._sharing.prove(self._forward, jobs[0])
        for row in rows:
            if not self._sharing.causal and len(row.tokens) > row.encoded.start:
                self._check_causal(row)
        with watching(self._watch) as states:
            if jobs[0].prefix and self._sharing.shares:
                sums = self._shared(jobs, states)
            elif jobs[0].prefix:  # planned at a level that has proved wrong
                sums = [score for row in rows for score in self._alone([row], states)]
            else:
                sums = self._alone(rows, states)
            if not torch.cat(sums).isfinite().all():
                raise ArithmeticError("the log-probabilities are not finite; try another dtype")
        found = iter(zip(rows, sums, strict=True))
        return [[_by_option(*next(found)) for _ in job.rows] for job in jobs]

    def _alone(self, rows: Sequence[Row], states: Placing | None) -> list[Tensor]:
        """Return the scores of each row's options, all rows in one padded batch."""
        positions = sorted(set().union(*(row.read for row in rows)))
        logits = self._forward.logits(rows, positions, states)
        index = {position: i for i, position in enumerate(positions)}
        places = {i: (i, [index[position] for position in row.read]) for i, row in enumerate(rows)}
        return [*Read(logits, places).scores([_targets(row) for row in rows]).values()]

    def _shared(self, jobs: Sequence[Job], states: Placing | None) -> list[Tensor]:
        """Return the same, the prefix of each job computed once."""
        prefix = Prefix(self._forward, jobs, states)
        targets = [_targets(row) for row in prefix.rows]
        passes = prefix.tree_logits() if self._sharing.level == "tree" else prefix.row_logits()
        found: dict[int, Tensor] = {}
        # What is read gets no name: the logits of one pass are gone before the next.
        for scores in map(partial(Read.scores, targets=targets), passes):
            found |= scores
        return [found[number] for number in range(len(prefix.rows))]

    def answer(self, encoded: Encoded, results: Sequence[dict[int, float]]) -> Answer:
        """Put the scores of a request's rows into the order of its options."""
        scores = {option: score for result in results for option, score in result.items()}
        logprobs = tuple(scores[index] for index in range(len(encoded.options)))
        if self._watch is not None:
            self._watch.finish(encoded, logprobs)
        return Answer(
            logprobs=logprobs,
            token_counts=tuple(len(option) - encoded.start for option in encoded.options),
            finish="scored",
            prompt_tokens=len(encoded.prompt),
            image_tokens=encoded.image_tokens,
            image_sizes=encoded.image_sizes,
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
        if moved > 10 * ROUNDING[both[0].element_size()]:
            raise ModelError(
                f"{type(self._forward.model).__name__} lets later tokens change earlier "
                f"log-probabilities (by {moved:.2g}), so options of several tokens have none",
                hint="use options of one token, or generate the answer",
            )
        self._sharing.causal = True


def _by_option(row: Row, scores: Tensor) -> dict[int, float]:
    return dict(zip(row.options, scores.tolist(), strict=True))


def _targets(row: Row) -> Tensor:
    assert row.targets is not None
    return row.targets
