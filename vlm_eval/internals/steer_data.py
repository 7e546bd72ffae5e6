"""What steering works on: captured states, and the splits into training and test rows."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vlm_eval.core.capture import NORM
from vlm_eval.core.errors import TaskError
from vlm_eval.core.types import condition_key
from vlm_eval.internals.base import Study
from vlm_eval.metrics.table import TableRow

SITE = "prompt_last"
_CAPTURE = "capture: {sites: [prompt_last], layers: 12, norm: both, samples: 400}"


@dataclass(frozen=True, eq=False)
class QueryStates:
    """States at the last token of the prompt.

    Attributes
    ----------
    rows
        The answered trials that have them.
    layers
        Which layers, numbered from 1 as the blocks are.
    before
        Shape (rows, layers, width), float32: the residual stream, of the last layer too.
    after
        Of the last layer after the final norm, shape (rows, width); None if not captured.
    without
        How many answered trials have no states.
    """

    rows: tuple[TableRow, ...]
    layers: tuple[int, ...]
    before: NDArray[np.float32]
    after: NDArray[np.float32] | None
    without: int = 0

    @classmethod
    def of(cls, study: Study, last: int) -> QueryStates:
        """Read the states of the last layers of a study, at most so many as are asked for.

        Raises
        ------
        TaskError
            If they were not captured.
        """
        captured, where = study.table.states, study.task.name
        if captured is None:
            raise TaskError("the run has no captured states", where=where, hint=f"run {_CAPTURE}")
        found = [(row, captured.of(row)) for row in study.table.rows if not row.failed]
        kept = [(row, states) for row, states in found if states and SITE in states.arrays]
        if not kept:
            raise TaskError(f"nothing is captured at {SITE}", where=where, hint=f"run {_CAPTURE}")
        labels = kept[0][1].layers
        capture = study.task.spec.capture
        if capture is not None and capture.norm == "after":
            raise TaskError(
                "the last layer is captured after the final norm alone", where=where,
                hint=f"run {_CAPTURE}",
            )  # fmt: skip
        layers = [int(label) for label in labels if label not in (NORM, "0")][-last:]
        index = [labels.index(str(layer)) for layer in layers]
        arrays = [states.arrays[SITE] for _, states in kept]
        return cls(
            rows=tuple(row for row, _ in kept),
            layers=tuple(layers),
            before=np.stack([array[index] for array in arrays]),
            after=np.stack([array[-1] for array in arrays]) if labels[-1] == NORM else None,
            without=len(found) - len(kept),
        )


@dataclass(frozen=True, eq=False)
class Split:
    """Which rows are trained on and which are tested, by number.

    Attributes
    ----------
    setup
        ``within_GAME``, or ``cross_GAME`` where GAME is the one that is left out of training.
    repeat
        The seed of the split.
    train, test
        Numbers of rows.
    """

    setup: str
    repeat: int
    train: NDArray[np.intp]
    test: NDArray[np.intp]


def splits(
    rows: Sequence[TableRow], setup: str, group: str, repeats: Sequence[int], test_size: float
) -> Iterator[Split]:
    """Yield the splits of all groups and repeats.

    Clusters, such as boards, are split with scikit-learn's ``train_test_split``, in the order of
    their numbers, seeded with the repeat (VLM-Fix: 70/30 by state, seeds 1, 2, 3: **code**; the
    order of the states is inferred). ``cross`` tests on the test clusters of one group and trains
    on the training clusters of all others (**our default**; the paper reports no such number).

    Raises
    ------
    TaskError
        If a row has no such group, there is only one to cross, or one cluster to split.
    """
    from sklearn.model_selection import train_test_split

    groups: dict[str, list[int]] = {}
    for number, row in enumerate(rows):
        value = row.value(group)
        if value is None:
            raise TaskError(f"trials have no field {group!r} to steer within")
        groups.setdefault(str(value), []).append(number)
    if setup == "cross" and len(groups) < 2:
        raise TaskError(f"only one {group} was asked: there is none to train on")
    for repeat in repeats:
        parts = {}
        for name, own in groups.items():
            clusters = sorted({rows[i].cluster for i in own}, key=_natural)
            if len(clusters) < 2:
                raise TaskError(
                    f"{name} has a single cluster, which cannot be split into training and test",
                    hint="ask more samples",
                )
            train, test = train_test_split(clusters, test_size=test_size, random_state=repeat)
            parts[name] = _numbers(rows, own, train), _numbers(rows, own, test)
        for name, (train, test) in parts.items():
            if setup == "cross":
                train = np.concatenate([own for g, (own, _) in parts.items() if g != name])
            yield Split(f"{setup}_{name}", repeat, train, test)


def _numbers(rows: Sequence[TableRow], own: list[int], names: Sequence[str]) -> NDArray[np.intp]:
    chosen = set(names)
    found = [i for i in own if rows[i].cluster in chosen]
    found.sort(key=lambda i: (_natural(rows[i].cluster), condition_key(rows[i].condition)))
    return np.array(found, dtype=np.intp)


def _natural(name: str) -> list[tuple[bool, int, str]]:
    """Return a key that sorts names by the numbers in them."""
    parts = re.split(r"(\d+)", name)
    return [(p.isdigit(), int(p) if p.isdigit() else 0, p) for p in parts]
