"""Sequences as one tree: every distinct continuation of a prefix once.

The nodes are fed as one row. A node attends to the prefix, to its ancestors and to itself, and has
the position that it would have in a sequence of its own, so that it computes what it would there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class TokenTree:
    """Token sequences with common beginnings merged.

    Attributes
    ----------
    tokens
        The token of each node; a parent comes before its children.
    parents
        The parent of each node, -1 for the first token of a sequence.
    paths
        The nodes of each sequence in order.
    """

    tokens: tuple[int, ...]
    parents: tuple[int, ...]
    paths: tuple[tuple[int, ...], ...]

    @classmethod
    def of(cls, sequences: Sequence[Sequence[int]]) -> TokenTree:
        """Return the tree of some sequences."""
        nodes: dict[tuple[int, int], int] = {}
        paths = []
        for sequence in sequences:
            path, at = [], -1
            for token in sequence:
                at = nodes.setdefault((at, token), len(nodes))
                path.append(at)
            paths.append(tuple(path))
        tokens = tuple(token for _, token in nodes)
        return cls(tokens, tuple(parent for parent, _ in nodes), tuple(paths))

    def __len__(self) -> int:
        return len(self.tokens)

    def ancestry(self, size: int) -> Tensor:
        """Return which nodes each node sees: its ancestors and itself.

        Parameters
        ----------
        size
            Rows and columns, at least the number of nodes; further nodes are padding and see
            themselves alone.

        Returns
        -------
        Tensor
            Shape (size, size), bool.
        """
        sees = np.eye(size, dtype=np.bool_)
        # Run by run, in each of which every node is the child of the one before: there are few.
        begins = [node for node, parent in enumerate(self.parents) if not node or parent < node - 1]
        for begin, end in zip(begins, [*begins[1:], len(self)], strict=False):
            if self.parents[begin] >= 0:
                sees[begin:end] |= sees[self.parents[begin]]
            sees[begin:end, begin:end] = np.tri(end - begin, dtype=np.bool_)
        return torch.from_numpy(sees)
