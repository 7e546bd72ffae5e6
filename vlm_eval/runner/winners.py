"""Which of several records of one trial counts."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from typing import TYPE_CHECKING, Generic, TypeVar

import numpy as np

from vlm_eval.core.hashing import SHORT
from vlm_eval.stats.clusters import IntArray
from vlm_eval.tasks.rendering import FIRST_ANSWER

if TYPE_CHECKING:
    from vlm_eval.runner.records import Record

T = TypeVar("T")


class Winners(Generic[T]):
    """What was noted under each key: the last, except that an answer is replaced by answers only.

    Of what could not be asked for want of a first answer nothing is kept once it has been asked.
    """

    def __init__(self) -> None:
        self._items: dict[Hashable, T] = {}
        self._failed: set[Hashable] = set()
        self._followed: set[Hashable] = set()

    def add(self, record: Record, item: T, key: bytes | None = None) -> None:
        """Note what stands for a record under the record's key, which may be known already."""
        key = key or record.key
        if not record.request_hash and key in self._followed:
            return
        self.keep(key, item, answered=record.failure is None)
        if record.request_hash and FIRST_ANSWER in record.fields:
            unasked = record.unasked_key
            self._followed.add(unasked)
            self._items.pop(unasked, None)
            self._failed.discard(unasked)

    def keep(self, key: Hashable, item: T, *, answered: bool) -> None:
        """Note something under a key: an answer or a failure."""
        if answered:
            self._items[key] = item
            self._failed.discard(key)
        elif key not in self._items or key in self._failed:
            self._items[key] = item
            self._failed.add(key)

    def drop(self, key: Hashable) -> None:
        """Forget a key, if it is there."""
        self._items.pop(key, None)
        self._failed.discard(key)
        self._followed.discard(key)

    def get(self, key: Hashable, *, answered: bool = False) -> T | None:
        """Return what counts, None if nothing does or (with ``answered``) no answer."""
        return None if answered and key in self._failed else self._items.get(key)

    def count(self, *, answered: bool = False) -> int:
        """Return how many keys there are, or (with ``answered``) how many have an answer."""
        return len(self._items) - (len(self._failed) if answered else 0)

    def __iter__(self) -> Iterator[T]:
        """Yield what counts of each key, in the order in which keys were first noted."""
        return iter(self._items.values())


class Keys:
    """The keys of many records, of which one a key counts, by the rule of `Winners`.

    It is known when all have been added, and each takes 17 bytes.
    """

    def __init__(self) -> None:
        self._keys, self._answered, self._followed = bytearray(), bytearray(), bytearray()

    def add(self, record: Record) -> None:
        """Note the next record."""
        self._keys += record.key
        self._answered.append(record.failure is None)
        if record.request_hash and FIRST_ANSWER in record.fields:
            self._followed += record.unasked_key

    def winners(self) -> IntArray:
        """Return which records count, by their number in the order in which they were added."""
        keys, followed = (np.frombuffer(held, SHORT) for held in (self._keys, self._followed))
        if not len(keys):
            return np.empty(0, dtype=np.intp)
        order = np.argsort(keys)
        ahead = keys[order]
        starts = np.flatnonzero(np.append(True, ahead[1:] != ahead[:-1]))
        # The last of a key counts, and any answer before any failure.
        weight = np.frombuffer(self._answered, bool) * len(keys) + np.arange(len(keys))
        best = np.sort(np.maximum.reduceat(weight[order], starts) % len(keys))
        return best[~np.isin(keys[best], followed)] if len(followed) else best
