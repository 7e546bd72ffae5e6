"""Who shares randomness with whom: the one source of truth for clusters.

Standard errors, degrees of freedom, permutations and resamples all derive from a
:class:`Clusters`, so that none of them can count the independent units differently.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

FloatArray: TypeAlias = npt.NDArray[np.float64]
IntArray: TypeAlias = npt.NDArray[np.intp]
BoolArray: TypeAlias = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Clusters:
    """A partition of rows into clusters, numbered in the order of their sorted names.

    Attributes
    ----------
    index
        Cluster number of each row, shape (rows,), from 0.
    sizes
        Rows of each cluster, shape (clusters,), each 1 or more.
    """

    index: IntArray
    sizes: IntArray

    @classmethod
    def of(cls, names: Iterable[str]) -> Clusters:
        """Partition rows by the name of each row's cluster."""
        rows = list(names)
        number = {name: position for position, name in enumerate(sorted(set(rows)))}
        index = np.fromiter(map(number.__getitem__, rows), dtype=np.intp, count=len(rows))
        return cls(index, np.bincount(index, minlength=len(number)))

    @classmethod
    def numbered(cls, numbers: IntArray) -> Clusters:
        """Partition rows by a number of each row's cluster, which orders them, shape (rows,)."""
        _, index, sizes = np.unique(numbers, return_inverse=True, return_counts=True)
        return cls(index, sizes)

    def part(self, rows: IntArray) -> Clusters:
        """Return the partition of some of the rows, which keep the order of their clusters."""
        index = self.index[rows]
        sizes = np.bincount(index, minlength=self.count)
        there = sizes > 0
        return Clusters((np.cumsum(there) - 1)[index], sizes[there])

    @property
    def count(self) -> int:
        """Distinct clusters."""
        return len(self.sizes)

    @property
    def rows(self) -> int:
        """Rows in all clusters."""
        return len(self.index)

    @property
    def singletons(self) -> bool:
        """Whether no two rows share a cluster."""
        return self.count == self.rows

    def totals(self, values: FloatArray) -> FloatArray:
        """Return the sum of the rows' values in each cluster, shape (clusters,)."""
        return self.sums(values)

    def sums(self, values: FloatArray) -> FloatArray:
        """Return the same of several values a row: shape (rows, ...) to (clusters, ...)."""
        sums = np.zeros((self.count, *values.shape[1:]))
        np.add.at(sums, self.index, values)
        return sums
