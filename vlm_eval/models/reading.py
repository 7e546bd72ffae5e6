"""What is read from a pass: the log-probabilities of options.

Logits lie on the model's device and are as wide as the vocabulary; a few numbers of each row are
wanted on the host. Every copy from one to the other makes an accelerator wait, so there is one in
each direction a pass, however many rows it has.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

# Positions whose log-probabilities, in float32, are in memory at once.
_AT_ONCE = 32


@dataclass(frozen=True)
class Read:
    """The next-token logits of a pass, and where in them its rows are read.

    Attributes
    ----------
    logits
        Shape (lines, positions, vocabulary).
    places
        By a row's number: its line, and from which of the positions it is read.
    """

    logits: Tensor
    places: Mapping[int, tuple[int, Sequence[int]]]

    def last(self, row: int) -> Tensor:
        """Return the logits at the last position from which a row is read. Shape (vocabulary,)."""
        line, positions = self.places[row]
        return self.logits[line, positions[-1]]

    def scores(self, targets: Sequence[Tensor]) -> dict[int, Tensor]:
        """Return the sums of the log-probabilities of each row's options, on the host.

        Parameters
        ----------
        targets
            By a row's number: for each of its options the tokens that follow the positions from
            which the row is read. Shape (options, positions), int64.

        Returns
        -------
        dict
            By a row's number: shape (options,), float32.
        """
        at: list[int] = []
        spans: dict[int, tuple[slice, slice]] = {}
        for row, (line, positions) in self.places.items():
            spans[row] = slice(len(at), len(at) + len(positions)), slice(len(targets[row]))
            at += [line * self.logits.shape[1] + position for position in positions]
        most = max((options.stop for _, options in spans.values()), default=0)
        tokens = torch.zeros(len(at), most, dtype=torch.int64)
        for row, span in spans.items():
            tokens[span] = targets[row].T
        found = self._logprobs(torch.tensor(at, dtype=torch.int64), tokens)
        return {row: found[span].sum(0) for row, span in spans.items()}

    def _logprobs(self, at: Tensor, tokens: Tensor) -> Tensor:
        """Return the log-probabilities of some tokens at each of some positions, on the host.

        Parameters
        ----------
        at
            The positions, lines one after the other. Shape (n,).
        tokens
            Shape (n, tokens), as is what is returned.
        """
        logits = self.logits.flatten(0, 1)
        pairs = (torch.split(each.to(logits.device), _AT_ONCE) for each in (at, tokens))
        parts = [
            logits[some].float().log_softmax(-1).gather(-1, wanted)
            for some, wanted in zip(*pairs, strict=True)
        ]
        return torch.cat(parts).cpu()
