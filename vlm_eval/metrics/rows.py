"""The rows of the table that metrics read: a row a trial, each a view of columns."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import field, fields
from itertools import islice
from operator import attrgetter
from typing import Any, cast, overload

import numpy as np

from vlm_eval.core.types import Condition, Level
from vlm_eval.core.values import value
from vlm_eval.metrics.columns import Coded, Coding, Column, Fields, Floats, Texts, Vectors
from vlm_eval.stats.clusters import BoolArray, FloatArray, IntArray

BLOCK = 256  # rows that are added to the columns at once


@value(frozen=True, slots=True)
class TableRow:
    """One scored trial.

    Attributes
    ----------
    sample_id, cluster, condition
        Identity of the trial, and what it shares randomness with.
    fields
        The JSON-able fields of the sample under this condition, for slices (game, category).
    gold
        The right answer.
    answer
        The parsed answer; None if unparsed or failed.
    scores
        Per-trial scores by name; ``accuracy`` is 1.0 when the answer equals the gold answer and
        0.0 otherwise, unparsed included. Empty when the trial failed.
    failed
        Whether the model gave no answer at all. Failed trials carry no score and drop their pair.
    choices, logprobs, token_counts
        The options and their log-likelihoods, where options were scored.
    image_tokens
        How many tokens stood for the images in the prompt; None if the backend could not tell.
    parser_rule
        The parser rule that fired.
    literal
        What the paper's own parser made of the same text: answer (None if nothing), where the task
        has one and text was generated; absent otherwise (see ``scores["accuracy_literal"]``).
    also
        The same of each other parser that the task names, by its name
        (see ``scores["accuracy_NAME"]``).
    text
        The generated text, unchanged; None where options were scored or the trial failed.
    request
        The hash of what the model was asked, by which captured states are found.
    """

    sample_id: str
    cluster: str
    condition: Condition
    fields: Mapping[str, Any]
    gold: str
    answer: str | None
    scores: Mapping[str, float]
    failed: bool = False
    choices: tuple[str, ...] | None = None
    logprobs: tuple[float, ...] | None = None
    token_counts: tuple[int, ...] | None = None
    image_tokens: int | None = None
    parser_rule: str = ""
    literal: str | None = None
    also: Mapping[str, str | None] = field(default_factory=dict)
    text: str | None = None
    request: str = ""

    def value(self, name: str) -> Level | None:
        """Return a factor level or, failing that, a field of this row."""
        if name in self.condition:
            return self.condition[name]
        found: Level | None = self.fields.get(name)
        return found


_ATTRIBUTES = tuple(f.name for f in fields(TableRow))
_READ = attrgetter(*_ATTRIBUTES)


class _Columns:
    """The columns of a table's rows, one for each attribute of a row."""

    def __init__(self, rows: Iterable[TableRow]) -> None:
        self.fields: Fields[Coding] = Fields(Coding)
        self.scores: Fields[Floats] = Fields(Floats)
        self.size = 0
        others: dict[str, Column] = {
            "fields": self.fields, "scores": self.scores, "logprobs": Vectors(),
            "text": Texts(), "request": Texts(),
        }  # fmt: skip
        self.coded = {name: Coding() for name in _ATTRIBUTES if name not in others}
        self.all: dict[str, Column] = {name: (self.coded | others)[name] for name in _ATTRIBUTES}
        read = map(_READ, rows)
        while block := list(islice(read, BLOCK)):
            for column, entries in zip(self.all.values(), zip(*block, strict=True), strict=True):
                column.extend(entries)
            self.size += len(block)
        for column in (*self.coded.values(), *self.fields.columns.values()):
            column.close()


class _HeldRow:
    """Stands for a row that is held in columns: an attribute is read when it is asked for.

    It takes a tenth of the memory of a row, because metrics gather them by sample.
    """

    __slots__ = ("_columns", "_row")
    # To `isinstance`, to `==` and to `dataclasses.replace` it is a row.
    __class__ = property(lambda _: TableRow)
    __dataclass_fields__ = TableRow.__dataclass_fields__
    __eq__, __hash__, __repr__ = TableRow.__eq__, TableRow.__hash__, TableRow.__repr__
    value = TableRow.value

    def __init__(self, columns: Mapping[str, Column], row: int) -> None:
        self._columns, self._row = columns, row


def _attribute(name: str) -> property:
    return property(lambda row: row._columns[name].at(row._row))


for _name in _ATTRIBUTES:
    setattr(_HeldRow, _name, _attribute(_name))


class TableRows(Sequence[TableRow]):
    """Rows, or some of the rows, of a table. They are held as columns.

    Parameters
    ----------
    rows
        The rows, taken one by one.
    """

    def __init__(self, rows: Iterable[TableRow] = ()) -> None:
        self._columns = _Columns(rows)
        self._places: IntArray = np.arange(self._columns.size)

    @classmethod
    def of(cls, rows: Iterable[TableRow]) -> TableRows:
        """Return the rows themselves if they are such, and such rows otherwise."""
        return rows if isinstance(rows, cls) else cls(rows)

    def part(self, places: IntArray | BoolArray) -> TableRows:
        """Return some of the rows, without a copy of what they hold."""
        made = object.__new__(TableRows)
        made._columns, made._places = self._columns, self._places[places]
        return made

    def attribute(self, name: str) -> Coded:
        """Return an attribute of each row; not fields, scores, logprobs, text or request."""
        return self._columns.coded[name].coded.part(self._places)

    def value(self, name: str) -> Coded:
        """Return the factor level or field of each row, as `TableRow.value` does."""
        conditions = self.attribute("condition")
        levels = Coded([condition.get(name) for condition in conditions.values], conditions.codes)
        given = conditions.where(lambda condition: name in condition)
        found = self._columns.fields.columns.get(name)
        if found is None or given.all():
            return levels.merged()
        return levels.either(given, found.coded.part(self._places))

    def score(self, name: str) -> FloatArray:
        """Return the score of each row, NaN where it has none, shape (rows,)."""
        column = self._columns.scores.columns.get(name)
        return np.full(len(self), np.nan) if column is None else column.array[self._places]

    @property
    def scores(self) -> Coded:
        """The names of each row's scores."""
        return self._columns.scores.names.coded.part(self._places)

    def __len__(self) -> int:
        return len(self._places)

    def __iter__(self) -> Iterator[TableRow]:
        return map(self._row, self._places)

    @overload
    def __getitem__(self, place: int) -> TableRow: ...
    @overload
    def __getitem__(self, place: slice) -> TableRows: ...
    def __getitem__(self, place: int | slice) -> TableRow | TableRows:
        if isinstance(place, slice):
            return self.part(np.arange(len(self))[place])
        return self._row(self._places[place])

    def _row(self, place: np.intp) -> TableRow:
        return cast(TableRow, _HeldRow(self._columns.all, int(place)))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence):
            return NotImplemented
        return len(self) == len(other) and all(map(TableRow.__eq__, self, other))

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"TableRows({list(self)!r})"
