"""The units of minimal pairs: which trials of a sample must all be right for which score.

A trial of a sample has a key: its question, its side and its option order. Where each question is
asked in one order only, which one may differ from trial to trial, and every key has :data:`NATIVE`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from vlm_eval.core.types import Level
from vlm_eval.metrics.table import Table, TableRow

CONFIRM, REJECT, I2C, C2I, COMPOSITE = "confirm", "reject", "i2c", "c2i", "c2i_composite"
SELECTIONS = (I2C, C2I, COMPOSITE)
"""The questions with two options to choose from."""

SIDES = (0, 1)
NATIVE = "ab"
"""The option order in which option k is that of side k."""

Key: TypeAlias = tuple[str, int, Level]
Unit: TypeAlias = tuple[Key, ...]
Sample: TypeAlias = Mapping[Key, TableRow]

MATRIX_CHANCE: Mapping[str, float] = {
    "i2c_consistent_acc": 1 / 2,
    "c2i_consistent_acc": 1 / 2,
    "selection_group": 1 / 6,
    "pairing_suspect": 1 / 6,
}
"""Chance of a model that answers from one matrix of four independent continuous scores, where it
differs from that of coins: the order of the options means nothing to it, and its choices depend."""


@dataclass(frozen=True)
class Score:
    """A share of units: what counts, and how it is shown. ``less`` is taken off the share."""

    name: str
    units: tuple[Unit, ...]
    counts: Callable[[Sequence[TableRow]], bool]
    less: float = 0.0
    chance: float | None = None
    lower_is_better: bool = False


def scores(orders: Sequence[Level]) -> Iterator[Score]:
    """Yield every score of the questions; ``orders`` as in :func:`score_units`."""
    units = score_units(orders)
    for name, sets in units.items():
        yield Score(name, sets, _all_right, chance=0.5 ** len(sets[0]))
    suspect = units["selection_group"]
    yield Score(
        "pairing_suspect",
        suspect,
        _all_reversed,
        chance=0.5 ** len(suspect[0]),
        lower_is_better=True,
    )
    yield Score("yes_rate", units["itm_acc"], _says_yes)
    for question in SELECTIONS:
        choices = units[f"{question}_acc"]
        yield Score(f"{question}_position_bias", choices, _chooses_first, less=0.5)
    for question in (CONFIRM, REJECT, "itm", *SELECTIONS):
        asked = units[f"{question}_acc"]
        yield Score(f"{question}_invalid_rate", asked, _invalid, lower_is_better=True)


def score_units(orders: Sequence[Level]) -> dict[str, tuple[Unit, ...]]:
    """Return, for each score, the sets of a sample's trials that must all be right.

    Parameters
    ----------
    orders
        The option orders in the keys. Yes/no questions have no options and have the first only.
    """
    confirm, reject = ([(question, k, orders[0]) for k in SIDES] for question in (CONFIRM, REJECT))
    asked: dict[str, dict[Level, Unit]] = {
        question: {order: tuple((question, k, order) for k in SIDES) for order in orders}
        for question in SELECTIONS
    }
    groups = {order: asked[I2C][order] + asked[C2I][order] for order in orders}
    itm = (*confirm, *reject)
    units: dict[str, tuple[Unit, ...]] = {
        "confirm_acc": tuple((key,) for key in confirm),
        "reject_acc": tuple((key,) for key in reject),
        "itm_acc": tuple((key,) for key in itm),
        "selection_group": tuple(groups.values()),
        "itm_I_acc": tuple((confirm[k], reject[k]) for k in SIDES),
        # reject is asked of image k about caption 1 - k, so caption k's false image is the other's
        "itm_Q_acc": tuple((confirm[k], reject[1 - k]) for k in SIDES),
        "itm_group": (itm,),
        "holistic_group": tuple(itm + group for group in groups.values()),
    }
    for question, by_order in asked.items():
        units[f"{question}_acc"] = tuple((key,) for sides in by_order.values() for key in sides)
        units[f"{question}_consistent_acc"] = tuple(
            tuple((question, k, order) for order in orders) for k in SIDES
        )
        units[f"{question}_pair_score"] = tuple(by_order.values())
    return units


def key_of(row: TableRow) -> Key:
    """Return the question, side and order that a trial was asked under."""
    question, side = str(row.condition["question"]), int(row.condition["side"])
    return question, side, row.condition.get("order", NATIVE)


def key_orders(table: Table) -> tuple[Level, ...]:
    """Return the orders of keys: those of the task, or :data:`NATIVE` alone.

    Alone where the task has several orders and yet nothing is asked in two of them.
    """
    orders = table.factors.get("order", (NATIVE,))
    places = [(row.sample_id, *_rest(table, row)) for row in table.rows if _selects(row)]
    return (NATIVE,) if places and len(set(places)) == len(places) else orders


def _rest(table: Table, row: TableRow) -> tuple[Level | None, ...]:
    return tuple(row.condition.get(name) for name in table.factors if name != "order")


def _selects(row: TableRow) -> bool:
    return row.condition["question"] in SELECTIONS


def samples_of(table: Table, orders: Sequence[Level]) -> list[Sample]:
    """Return each sample's trials by key; ``orders`` as `key_orders` returns them."""
    found: dict[str, dict[Key, TableRow]] = {}
    for row in table.rows:
        question, side, order = key_of(row)
        key = (question, side, order if len(orders) > 1 else orders[0])
        found.setdefault(row.sample_id, {})[key] = row
    return list(found.values())


def is_right(row: TableRow) -> bool:
    """Return whether a trial was answered rightly."""
    return row.scores["accuracy"] == 1.0


def _all_right(rows: Sequence[TableRow]) -> bool:
    return all(map(is_right, rows))


def _all_reversed(rows: Sequence[TableRow]) -> bool:
    return all(row.answer is not None and not is_right(row) for row in rows)


def _invalid(rows: Sequence[TableRow]) -> bool:
    return rows[0].answer is None


# What was chosen follows from whether it was right, whatever the options are called.
def _says_yes(rows: Sequence[TableRow]) -> bool:
    question, _, _ = key_of(rows[0])
    return not _invalid(rows) and is_right(rows[0]) == (question == CONFIRM)


def _chooses_first(rows: Sequence[TableRow]) -> bool:
    _, side, order = key_of(rows[0])
    first_is_right = (side == 0) == (order == NATIVE)
    return not _invalid(rows) and is_right(rows[0]) == first_is_right
