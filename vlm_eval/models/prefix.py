"""Prefixes computed once, and the tails of their rows: as one token tree, or row by row.

The keys and values of a prefix stay in a cache; what follows is fed on top of it. *Tree* packs the
tails of a job into one sequence with a mask of its own, so that no token is fed twice. *Rows* gives
each tail a copy of the cache, which also suits layers that keep a window or a state in place of all
keys. Both feed every token at the position that it has in a sequence of its own.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import DynamicCache

from vlm_eval.models.forward import Forward
from vlm_eval.models.hooks import Placing
from vlm_eval.models.jobs import Job
from vlm_eval.models.reading import Read
from vlm_eval.models.tree import TokenTree

# Tokens of trees in one pass: a mask has their number squared, logits their number of lines.
_TAILS = 1024


class Prefix:
    """The computed prefixes of some jobs.

    Parameters
    ----------
    forward
        Runs the model.
    jobs
        Jobs with prefixes of one length: nothing is padded between a prefix and its tails.
    states
        Is told where each token is fed.

    Attributes
    ----------
    length
        Tokens of a prefix.
    rows
        The rows of all jobs in order.
    """

    def __init__(
        self, forward: Forward, jobs: Sequence[Job], states: Placing | None = None
    ) -> None:
        self.length = jobs[0].prefix
        self.rows = [row for job in jobs for row in job.rows]
        self._jobs, self._forward, self._states = jobs, forward, states
        self._positions = forward.positions(self.rows)
        self._owner = [index for index, job in enumerate(jobs) for _ in job.rows]
        self._cache = self._compute()

    def _compute(self) -> Any:
        first = [job.rows[0] for job in self._jobs]
        heads = [row.tokens.head(self.length) for row in first]
        device = self._forward.device
        starts = [self._owner.index(index) for index in range(len(self._jobs))]
        cache = DynamicCache(config=self._forward.model.config)
        inputs = {
            "input_ids": torch.stack([head.ids for head in heads]).to(device),
            **{
                key: torch.stack([head.types[key] for head in heads]).to(device)
                for key in heads[0].types
            },
            **self._forward.vision.inputs(first),
            "position_ids": self._positions[..., starts, : self.length].to(device),
            "past_key_values": cache,
            "use_cache": True,
        }
        if self._states is not None:
            for row, line in zip(self.rows, self._owner, strict=True):
                self._states.place(row, line, 0, range(self.length))
        self._forward.read(inputs, [self.length - 1])
        return cache

    def tree_logits(self) -> Iterator[Read]:
        """Yield what is read from each pass, of rows by number.

        A cache is cut back after each pass, so this can be called once.
        """
        passes = _passes(self._jobs)
        for number, chunk in enumerate(passes):
            trees = [
                TokenTree.of([self.rows[i].tokens.ids[self.length :].tolist() for i in rows])
                for rows in chunk
            ]
            yield self._tree_pass(chunk, trees)
            if number + 1 < len(passes):
                self._cache.crop(-max(map(len, trees)))

    def _tree_pass(self, chunk: Sequence[Sequence[int]], trees: Sequence[TokenTree]) -> Read:
        size, model = max(map(len, trees)), self._forward.model
        ids = torch.full((len(trees), size), model.generation_config.pad_token_id or 0)
        sees = torch.ones(len(trees), 1, size, size, dtype=torch.bool)
        # A row that passes through each node, and where in its tail.
        owner, depth = np.zeros((2, len(trees), size), dtype=np.int64)
        read: dict[int, tuple[int, Sequence[int]]] = {}
        for line, (rows, tree) in enumerate(zip(chunk, trees, strict=True)):
            ids[line, : len(tree)] = torch.tensor(tree.tokens)
            sees[line, 0] = tree.ancestry(size)
            for row, path in zip(rows, tree.paths, strict=True):
                nodes = list(path)
                owner[line, nodes], depth[line, nodes] = row, range(len(path))
                read[row] = line, path[self._read(row)]
                if self._states is not None:
                    self._states.place(self.rows[row], line, self.length, path)
        at = torch.from_numpy(owner), torch.from_numpy(depth) + self.length
        inputs = {
            "input_ids": ids.to(self._forward.device),
            "position_ids": self._positions[(..., *at)].to(self._forward.device),
            "attention_mask": self._mask(sees),
            **self._types(len(trees), size),
            "past_key_values": self._cache,
            "use_cache": True,
        }
        return self._fed(inputs, read)

    def _mask(self, sees: Tensor) -> Tensor:
        """Return the attention mask of trees, all of whose nodes see the whole prefix.

        It is additive, because eager attention knows no other kind. It is made where it is used:
        it is many times as large as what says which nodes see which.
        """
        dtype, device = self._forward.model.dtype, self._forward.device
        shape = *sees.shape[:-1], self.length + sees.shape[-1]
        mask = torch.zeros(shape, dtype=dtype, device=device)
        mask[..., self.length :].masked_fill_(~sees.to(device), torch.finfo(dtype).min)
        return mask

    def _fed(
        self, inputs: Mapping[str, Any], read: Mapping[int, tuple[int, Sequence[int]]]
    ) -> Read:
        """Run a pass; given is, for each row, its line and where in it the row is read."""
        positions = sorted({position for _, own in read.values() for position in own})
        place = {position: index for index, position in enumerate(positions)}
        places = {row: (line, [place[each] for each in own]) for row, (line, own) in read.items()}
        return Read(self._forward.read(inputs, positions), places)

    def row_logits(self) -> Iterator[Read]:
        """Yield the same as `tree_logits`, from one copy of the cache a row."""
        order = sorted(range(len(self.rows)), key=lambda i: -len(self.rows[i].tokens))
        longest = len(self.rows[order[0]].tokens)
        step = max(1, self._forward.batch_tokens // longest)
        chunks = [order[i : i + step] for i in range(0, len(order), step)]
        for number, chunk in enumerate(chunks):
            yield self._row_pass(chunk, last=number + 1 == len(chunks))

    def _row_pass(self, chunk: Sequence[int], *, last: bool) -> Read:
        rows = [self.rows[i] for i in chunk]
        size = len(rows[0].tokens) - self.length
        ids = torch.zeros(len(rows), size, dtype=torch.int64)
        for line, row in enumerate(rows):
            tail = row.tokens.ids[self.length :]
            ids[line, : len(tail)] = tail
            if self._states is not None:
                self._states.place(row, line, self.length, range(len(tail)))
        inputs = {
            "input_ids": ids.to(self._forward.device),
            "position_ids": self._tails(chunk, size),
            **self._types(len(rows), size),
            "past_key_values": self.copies(chunk, last=last),
            "use_cache": True,
        }
        return self._fed(
            inputs, {i: (line, range(size)[self._read(i)]) for line, i in enumerate(chunk)}
        )

    def _tails(self, rows: Sequence[int], size: int) -> Tensor:
        """Return the positions after the prefix of some rows."""
        found = self._positions[..., rows, self.length : self.length + size]
        return found.to(self._forward.device)

    def copies(self, rows: Sequence[int], *, last: bool) -> Any:
        """Return a cache with one line for each of some rows; the last call takes the original."""
        cache = self._cache if last else copy.deepcopy(self._cache)
        owners = torch.tensor([self._owner[row] for row in rows], device=self._forward.device)
        cache.reorder_cache(owners)  # the one way to repeat lines that every kind of layer knows
        return cache

    def left_padded(self) -> dict[str, Any]:
        """Return the arguments of ``generate`` that continue every row from its prefix.

        Tails are padded on their left, between prefix and tail, and the padding is masked. Called
        once: it takes the cache.
        """
        pad = self._forward.model.generation_config.pad_token_id or 0
        longest = max(len(row.tokens) for row in self.rows)
        ids = torch.full((len(self.rows), longest), pad)
        mask = torch.ones(len(self.rows), longest, dtype=torch.int64)
        positions = self._positions.new_zeros(self._positions.shape)
        for line, row in enumerate(self.rows):
            own, begin = row.tokens.ids, self.length + longest - len(row.tokens)
            ids[line, : self.length], ids[line, begin:] = own[: self.length], own[self.length :]
            mask[line, self.length : begin] = 0
            positions[..., line, : self.length] = self._positions[..., line, : self.length]
            positions[..., line, begin:] = self._positions[..., line, self.length : len(own)]
            if self._states is not None:
                fed = range(begin - self.length, longest - self.length)
                self._states.place(row, line, self.length, fed)
        return {
            "input_ids": ids.to(self._forward.device),
            "attention_mask": mask.to(self._forward.device),
            "position_ids": positions.to(self._forward.device),
            "past_key_values": self.copies(range(len(self.rows)), last=True),
        }

    def _read(self, row: int) -> slice:
        """Return the part of a row's tail from which it is read."""
        read = self.rows[row].read
        return slice(read.start - self.length, read.stop - self.length)

    def _types(self, lines: int, size: int) -> dict[str, Tensor]:
        zeros = torch.zeros(lines, size, dtype=torch.int64, device=self._forward.device)
        return dict.fromkeys(self.rows[0].tokens.types, zeros)


def _passes(jobs: Sequence[Job]) -> list[list[list[int]]]:
    """Cut the jobs' rows, by number, into passes of bounded size: pass, job, row."""
    whole: list[list[list[int]]] = []
    number = 0
    for job in jobs:
        pieces: list[list[int]] = [[]]
        tokens = 0
        for row, new in zip(job.rows, job.new_tokens, strict=True):
            if pieces[-1] and tokens + new > _TAILS:
                pieces.append([])
                tokens, new = 0, len(row.tokens) - job.prefix
            pieces[-1].append(number)
            tokens += new
            number += 1
        whole.append(pieces)
    count = max(map(len, whole))
    return [[pieces[i] if i < len(pieces) else [] for pieces in whole] for i in range(count)]
