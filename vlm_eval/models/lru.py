"""A mapping that forgets what was used longest ago."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Lru(Generic[K, V]):
    """Values by key, made on first use and kept within a budget.

    Parameters
    ----------
    limit
        What all kept values may cost together. The newest value is kept whatever it costs.
    cost
        What one value costs; 1 by default, so that ``limit`` counts values.
    """

    def __init__(self, limit: int, cost: Callable[[V], int] = lambda _: 1) -> None:
        self._limit, self._cost, self._spent = limit, cost, 0
        self._kept: OrderedDict[K, V] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def kept(self, key: K) -> V | None:
        """Return the value of a key, or None if it is not kept."""
        if key in self._kept:
            self._kept.move_to_end(key)
        return self._kept.get(key)

    def get(self, key: K, make: Callable[[], V]) -> V:
        """Return the value of a key, making it if it is not kept."""
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key]
        value = make()
        self._kept[key] = value
        self._spent += self._cost(value)
        while self._spent > self._limit and len(self._kept) > 1:
            self._spent -= self._cost(self._kept.popitem(last=False)[1])
        return value
