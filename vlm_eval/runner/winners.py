"""Which of several records of one trial counts: the last, and any answer before any failure.

Of what could not be asked for want of a first answer nothing counts once it has been asked. Keys
are digests of 16 bytes, and what stands for a record is a number: a run has very many of both.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from vlm_eval.core.hashing import SHORT
from vlm_eval.stats.clusters import IntArray
from vlm_eval.tasks.rendering import FIRST_ANSWER

if TYPE_CHECKING:
    from vlm_eval.runner.records import Record

WIDTH = np.dtype(SHORT).itemsize


class Keys:
    """The keys of many records, 17 bytes each. What counts is known when all have been added."""

    def __init__(self) -> None:
        self._keys, self._answered, self._followed = bytearray(), bytearray(), bytearray()

    def add(self, record: Record) -> None:
        """Note the next record."""
        self.note(record.key, answered=record.failure is None)
        if record.request_hash and FIRST_ANSWER in record.fields:
            self._followed += record.unasked_key

    def note(self, key: bytes, *, answered: bool) -> None:
        """Note the next answer or failure under a key."""
        self._keys += key
        self._answered.append(answered)

    def winners(self) -> IntArray:
        """Return which count, one a key, by their number in the order in which they were added."""
        keys, followed = (np.frombuffer(held, SHORT) for held in (self._keys, self._followed))
        if not len(keys):
            return np.empty(0, dtype=np.intp)
        order = np.argsort(keys)
        ahead = keys[order]
        starts = np.flatnonzero(np.append(True, ahead[1:] != ahead[:-1]))
        weight = np.frombuffer(self._answered, bool) * len(keys) + np.arange(len(keys))
        best = np.sort(np.maximum.reduceat(weight[order], starts) % len(keys))
        return best[~np.isin(keys[best], followed)] if len(followed) else best

    def found(self, numbers: array[int]) -> Found:
        """Return what counts, given the number that stands for each that was added."""
        best, keys = self.winners(), np.frombuffer(self._keys, SHORT)
        best = best[np.argsort(keys[best])]
        return Found(
            keys[best].tobytes(),
            array("Q", np.asarray(numbers)[best].tobytes()),
            bytearray(np.frombuffer(self._answered, bool)[best]),
            frozenset(
                bytes(self._followed[start : start + WIDTH])
                for start in range(0, len(self._followed), WIDTH)
            ),
        )


class Found:
    """What counts of what was found recorded, 25 bytes a key.

    Parameters
    ----------
    keys
        In their order, without repetition, one after another.
    numbers
        What stands for the record of each.
    answered
        Whether it is an answer.
    followed
        Keys of what could not be asked, and has been asked since.
    """

    def __init__(
        self,
        keys: bytes = b"",
        numbers: array[int] | None = None,
        answered: bytearray | None = None,
        followed: frozenset[bytes] = frozenset(),
    ) -> None:
        self._keys, self.answered, self.followed = keys, answered or bytearray(), followed
        self.numbers = numbers or array("Q")
        self.dropped = bytearray(len(self.numbers))

    def key(self, place: int) -> bytes:
        """Return the key at a place; empty behind the last."""
        return self._keys[WIDTH * place : WIDTH * place + WIDTH]

    def place(self, key: bytes) -> int | None:
        """Return where a key is, None if it is not there or was dropped."""
        if not self.numbers:  # as in any run that is not continued
            return None
        place = bisect_left(range(len(self.numbers)), key, key=self.key)
        return place if self.key(place) == key and not self.dropped[place] else None


class Winners:
    """What counts under each key: what was found, and what is noted while more is recorded.

    Parameters
    ----------
    found
        What was found.
    """

    def __init__(self, found: Found | None = None) -> None:
        self._found = found or Found()
        self._items: dict[bytes, int] = {}
        self._failed: set[bytes] = set()
        self._followed: set[bytes] = set(self._found.followed)

    def add(self, record: Record, number: int, key: bytes) -> None:
        """Note what stands for a record under its key."""
        if not record.request_hash and key in self._followed:
            return
        self.keep(key, number, answered=record.failure is None)
        if record.request_hash and FIRST_ANSWER in record.fields:
            unasked = record.unasked_key
            self.drop(unasked)
            self._followed.add(unasked)

    def keep(self, key: bytes, number: int, *, answered: bool) -> None:
        """Note what stands for an answer or a failure under a key."""
        if answered:
            self._items[key] = number
            self._failed.discard(key)
        elif self.get(key, answered=True) is None:
            self._items[key] = number
            self._failed.add(key)

    def drop(self, key: bytes) -> None:
        """Forget a key, if it is there."""
        self._items.pop(key, None)
        self._failed.discard(key)
        self._followed.discard(key)
        place = self._found.place(key)
        if place is not None:
            self._found.dropped[place] = True

    def get(self, key: bytes, *, answered: bool = False) -> int | None:
        """Return what counts, None if nothing does or (with ``answered``) no answer."""
        if key in self._items:
            return None if answered and key in self._failed else self._items[key]
        place = self._found.place(key)
        if place is None or (answered and not self._found.answered[place]):
            return None
        return self._found.numbers[place]

    def count(self, *, answered: bool = False) -> int:
        """Return how many keys there are, or (with ``answered``) how many have an answer."""
        found = sum(1 for place in self._standing() if self._found.answered[place] or not answered)
        return found + len(self._items) - (len(self._failed) if answered else 0)

    def __iter__(self) -> Iterator[int]:
        """Yield what counts of each key."""
        yield from (self._found.numbers[place] for place in self._standing())
        yield from self._items.values()

    def _standing(self) -> Iterator[int]:
        """Yield the places of what was found and still counts."""
        for place, dropped in enumerate(self._found.dropped):
            if not dropped and self._found.key(place) not in self._items:
                yield place
