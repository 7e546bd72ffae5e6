"""The answers of a decay as arrays: one row a sample, one column a level."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from vlm_eval.core.types import Level
from vlm_eval.metrics.pairing import answer_for
from vlm_eval.metrics.table import TableRow
from vlm_eval.stats.clusters import BoolArray, Clusters, FloatArray, IntArray

Says: TypeAlias = Callable[[TableRow], Hashable | None]
"""From a trial to what is compared between levels; None is never equal to anything."""

Unit: TypeAlias = Mapping[Level, TableRow]
"""One sample's trials by level of the decay, all else equal."""

UNPARSED = -1


@dataclass(frozen=True)
class Answers:
    """What n samples answered at T levels.

    Attributes
    ----------
    levels
        The levels in order, the baseline first.
    said
        A number for each distinct answer, shape (n, T); :data:`UNPARSED` where there is none.
    there
        Whether the trial exists and did not fail, shape (n, T).
    score
        The score, shape (n, T); 0 where there is no trial.
    option_set
        A number for each distinct set of options, shape (n,).
    clusters
        The partition of the samples.
    """

    levels: tuple[Level, ...]
    said: IntArray
    there: BoolArray
    score: FloatArray
    option_set: IntArray
    clusters: Clusters

    @classmethod
    def of(cls, units: Sequence[Unit], levels: Sequence[Level], score: str, says: Says) -> Answers:
        """Lay out samples, each a mapping from level to trial that is not empty."""
        shape = (len(units), len(levels))
        there, scores = np.zeros(shape, dtype=bool), np.zeros(shape)
        given: dict[tuple[int, int], Hashable] = {}
        for i, unit in enumerate(units):
            for t, level in enumerate(levels):
                row = unit.get(level)
                if row is None or row.failed or score not in row.scores:
                    continue
                there[i, t], scores[i, t] = True, row.scores[score]
                answer = says(row)
                if answer is not None:
                    given[i, t] = answer
        said = np.full(shape, UNPARSED, dtype=np.intp)
        codes = _numbered(given.values())
        for place, answer in given.items():
            said[place] = codes[answer]
        sets = [next(iter(unit.values())).choices for unit in units]
        numbers = _numbered(sets)
        option_set = np.array([numbers[options] for options in sets], dtype=np.intp)
        names = (next(iter(unit.values())).cluster for unit in units)
        return cls(tuple(levels), said, there, scores, option_set, Clusters.of(names))

    def same(self, one: int, other: int) -> BoolArray:
        """Return which samples gave one answer at two levels, shape (n,)."""
        said = self.said[:, one]
        both = self.there[:, one] & self.there[:, other]
        same: BoolArray = both & (said != UNPARSED) & (said == self.said[:, other])
        return same

    def modal(self, column: int) -> IntArray:
        """Return for each sample the most frequent answer of its option set at a level, shape (n,).

        Of answers equally frequent, the first by alphabet; :data:`UNPARSED` where there is none.
        """
        modal = np.full(len(self.said), UNPARSED, dtype=np.intp)
        for options in np.unique(self.option_set):
            members = self.option_set == options
            given = self.said[members & self.there[:, column], column]
            counts = Counter(given[given != UNPARSED].tolist())
            if counts:
                modal[members] = min(counts, key=lambda answer: (-counts[answer], answer))
        return modal


def _numbered(things: Iterable[Hashable]) -> dict[Hashable, int]:
    """Number distinct things in an order that does not depend on theirs."""
    return {thing: i for i, thing in enumerate(sorted(set(things), key=repr))}


def strict(score: str) -> Says:
    """Return what compares parsed answers: an unparsed one equals nothing, not even itself."""
    return lambda row: answer_for(row, score)


def raw(row: TableRow) -> Hashable | None:
    """Compare texts, in lower case and stripped; the answer, where options were scored."""
    return row.answer if row.text is None else row.text.strip().lower()


def content(row: TableRow, shift: Level, score: str) -> Hashable | None:
    """Return what was chosen, whatever its letter: the option's place before it was moved.

    Where the choices are A, B, ... in order, position p shows option (p + shift) mod n. Any other
    answer (yes, a text) is its own content.
    """
    answer, choices = answer_for(row, score), row.choices
    if answer is None or choices is None or isinstance(shift, str):
        return answer
    letters = tuple("ABCDEFGHIJKLMNOPQRSTUVWXYZ"[: len(choices)])
    if choices != letters or answer not in choices:
        return answer
    return (choices.index(answer) + int(shift)) % len(choices)
