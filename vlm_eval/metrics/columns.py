"""Columns of values, in which what recurs is written once.

A column grows by blocks of values and is read row by row or whole. As an object a trial takes a
kilobyte; as an entry in each of some columns it takes little more than its numbers do.
"""

from __future__ import annotations

import weakref
from array import array
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from itertools import chain, repeat
from tempfile import SpooledTemporaryFile
from typing import Any, Generic, NamedTuple, Protocol, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

from vlm_eval.stats.clusters import BoolArray, FloatArray, IntArray

Codes: TypeAlias = npt.NDArray[np.integer[Any]]
IN_MEMORY = 1 << 20  # bytes of a column's texts before they go to a temporary file

_WIDER = {"B": "H", "H": "I", "I": "Q"}
_HOLDS = {code: 1 << 8 * array(code).itemsize for code in "BHIQ"}


class Column(Protocol):
    """One value a row."""

    def extend(self, values: Iterable[Any]) -> None:
        """Add the values of more rows."""
        ...

    def at(self, row: int) -> Any:
        """Return the value of a row."""
        ...


class Coded(NamedTuple):
    """One value a row, each value written once: that of row i is ``values[codes[i]]``.

    Attributes
    ----------
    values
        Distinct values; some may be of no row.
    codes
        Shape (rows,).
    """

    values: Sequence[Any]
    codes: Codes

    @classmethod
    def of(cls, column: Iterable[Any]) -> Coded:
        """Code a column; values that cannot be hashed are alike if they are written alike."""
        values = list(column)
        try:
            number = {value: code for code, value in enumerate(dict.fromkeys(values))}
            codes = map(number.__getitem__, values)
            kind = np.min_scalar_type(len(number))
            return cls(list(number), np.fromiter(codes, kind, len(values)))
        except TypeError:
            texts = list(map(repr, values))
            written = dict(zip(texts, values, strict=True))
            coded = cls.of(texts)
            return cls([written[text] for text in coded.values], coded.codes)

    def part(self, rows: IntArray) -> Coded:
        """Return the column of some of the rows."""
        return Coded(self.values, self.codes[rows])

    def merged(self) -> Coded:
        """Return the column in which values that are equal, such as 1 and True, are one."""
        once = Coded.of(self.values)
        return Coded(once.values, once.codes[self.codes])

    def either(self, own: BoolArray, other: Coded) -> Coded:
        """Return the column that has these values in the rows `own`, another's in all others."""
        codes = np.where(own, self.codes, other.codes + np.intp(len(self.values)))
        return Coded([*self.values, *other.values], codes).merged()

    @property
    def present(self) -> list[Any]:
        """The values that rows have."""
        return [self.values[code] for code in np.unique(self.codes)]

    def where(self, holds: Callable[[Any], object]) -> BoolArray:
        """Return of which rows the value fulfils a condition, which is asked once a value."""
        return np.array([bool(holds(value)) for value in self.values] or [False])[self.codes]

    def equal(self, wanted: Any) -> BoolArray:
        """Return which rows have a value, shape (rows,)."""
        return self.where(lambda value: value == wanted)

    def same(self, other: Coded) -> BoolArray:
        """Return in which rows another column has an equal value, shape (rows,)."""
        number = Coded.of([*self.values, *other.values]).codes
        equal: BoolArray = number[self.codes] == number[len(self.values) :][other.codes]
        return equal

    def ranks(self, key: Callable[[Any], Any]) -> IntArray:
        """Return the rank of each row's value when values are sorted, shape (rows,)."""
        order = sorted(range(len(self.values)), key=lambda code: key(self.values[code]))
        rank = np.empty(len(order), dtype=np.intp)
        rank[order] = np.arange(len(order))
        return rank[self.codes]


class Coding:
    """A column that grows, in which equal values of one type are one object."""

    def __init__(self) -> None:
        self._number: dict[Hashable, int] = {}
        self._values: list[Any] = []
        self._codes = array("B")

    def extend(self, values: Iterable[Any]) -> None:
        """Add the values of more rows."""
        # Only a text is told by what it equals: 1 equals True, and a list cannot be hashed.
        keyed = [(value if type(value) is str else (repr(value),), value) for value in values]
        number = self._number
        for key, value in keyed:
            if key not in number:
                number[key] = len(self._values)
                self._values.append(value)
        while len(self._values) > _HOLDS[self._codes.typecode]:
            self._codes = array(_WIDER[self._codes.typecode], self._codes)
        self._codes.extend([number[key] for key, _ in keyed])

    def at(self, row: int) -> Any:
        """Return the value of a row."""
        return self._values[self._codes[row]]

    @property
    def coded(self) -> Coded:
        """The column."""
        return Coded(self._values, np.asarray(self._codes))

    def close(self) -> None:
        """Forget what only a column that grows needs."""
        self._number.clear()


class Floats:
    """A column of numbers; None is NaN in it."""

    def __init__(self) -> None:
        self._values = array("d")

    def extend(self, values: Iterable[float | None]) -> None:
        """Add the values of more rows."""
        self._values.extend([np.nan if value is None else value for value in values])

    def at(self, row: int) -> float:
        """Return the value of a row."""
        return self._values[row]

    @property
    def array(self) -> FloatArray:
        """The column."""
        return np.asarray(self._values)


class Vectors:
    """A column of tuples of numbers; None where a row has none."""

    def __init__(self) -> None:
        self._numbers, self._ends, self._known = array("d"), array("q", [0]), array("B")

    def extend(self, values: Iterable[Sequence[float] | None]) -> None:
        """Add the values of more rows."""
        for value in values:
            self._numbers.extend(value or ())
            self._ends.append(len(self._numbers))
            self._known.append(value is not None)

    def at(self, row: int) -> tuple[float, ...] | None:
        """Return the value of a row."""
        if not self._known[row]:
            return None
        return tuple(self._numbers[self._ends[row] : self._ends[row + 1]])


class Texts:
    """A column of texts of which few recur, or None. They are on the disk once they are many."""

    def __init__(self) -> None:
        self._file = SpooledTemporaryFile(max_size=IN_MEMORY)  # noqa: SIM115 - it lives as long
        self._ends = array("q", [0])
        weakref.finalize(self, self._file.close)

    def extend(self, values: Iterable[str | None]) -> None:
        """Add the values of more rows."""
        self._file.seek(self._ends[-1])
        for value in values:
            # A model can emit half of a surrogate pair.
            written = b"" if value is None else b"=" + value.encode("utf-8", "surrogatepass")
            self._file.write(written)
            self._ends.append(self._ends[-1] + len(written))

    def at(self, row: int) -> str | None:
        """Return the value of a row."""
        start, end = self._ends[row], self._ends[row + 1]
        if start == end:
            return None
        self._file.seek(start)
        return self._file.read(end - start)[1:].decode("utf-8", "surrogatepass")


C = TypeVar("C", bound=Column)


class Fields(Generic[C]):
    """A column of mappings: a column for each name, and for each row the names that it has."""

    def __init__(self, make: Callable[[], C]) -> None:
        self.columns: dict[str, C] = {}
        self.names = Coding()
        self._make, self._rows = make, 0

    def extend(self, values: Iterable[Mapping[str, Any]]) -> None:
        """Add the values of more rows."""
        rows = list(values)
        for name in dict.fromkeys(chain.from_iterable(rows)):
            if name not in self.columns:
                self.columns[name] = self._make()
                self.columns[name].extend(repeat(None, self._rows))
        for name, column in self.columns.items():
            column.extend([row.get(name) for row in rows])
        self.names.extend(map(tuple, rows))
        self._rows += len(rows)

    def at(self, row: int) -> Mapping[str, Any]:
        """Return the value of a row, which is read when it is asked for."""
        return _Fields(self.columns, self.names.at(row), row)


class _Fields(Mapping[str, Any]):
    """The entry of one row in a column of mappings."""

    __slots__ = ("_columns", "_names", "_row")

    def __init__(self, columns: Mapping[str, Column], names: tuple[str, ...], row: int) -> None:
        self._columns, self._names, self._row = columns, names, row

    def __getitem__(self, name: str) -> Any:
        if name not in self._names:
            raise KeyError(name)
        return self._columns[name].at(self._row)

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def __repr__(self) -> str:
        return repr(dict(self))
