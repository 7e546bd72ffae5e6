"""Parts of a table: its slices by factors and fields."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

import numpy as np

from vlm_eval.core.types import Level
from vlm_eval.metrics.checks import check_field
from vlm_eval.metrics.table import Table
from vlm_eval.stats.clusters import IntArray

By: TypeAlias = tuple[str | tuple[str, ...], ...]
"""What to break results down by. Each entry is one breakdown: a factor or a field, or several that
are crossed. ``("game", ("game", "target"))`` gives each game, and each target of each game."""


def crossed(entry: str | tuple[str, ...]) -> tuple[str, ...]:
    """Return the names that one breakdown crosses."""
    return (entry,) if isinstance(entry, str) else entry


def slices(table: Table, by: By) -> Iterator[tuple[dict[str, Level], Table]]:
    """Yield the whole table (with an empty place), then each slice of each breakdown.

    Rows without a value belong to no slice.

    Raises
    ------
    TaskError
        If no row has a field that is asked for, or its values are not scalars.
    """
    for where, places in slice_places(table, by):
        yield where, table.take(places) if where else table


def slice_places(table: Table, by: By) -> Iterator[tuple[dict[str, Level], IntArray]]:
    """Yield the same as `slices`, but the places of the rows. Raises as `slices`."""
    yield {}, np.arange(len(table.rows))
    for entry in by:
        names = crossed(entry)
        for name in names:
            check_field(table, name)
        found = table.groups(*names)
        for values in sorted(found, key=lambda values: _order(table, names, values)):
            where = {n: v for n, v in zip(names, values, strict=True) if v is not None}
            if len(where) == len(names):
                yield where, found[values]


def _order(
    table: Table, names: tuple[str, ...], values: tuple[Level | None, ...]
) -> list[tuple[int, bool, Level]]:
    """Return a sort key: levels as declared, other values by size or alphabet, missing first."""
    keys: list[tuple[int, bool, Level]] = []
    for name, value in zip(names, values, strict=True):
        declared = table.factors.get(name, ())
        if value is None:
            keys.append((-1, False, 0))
        elif value in declared:
            keys.append((declared.index(value), False, 0))
        else:
            keys.append((len(declared), isinstance(value, str), value))
    return keys
