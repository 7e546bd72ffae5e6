"""Any table of questions and images as rows, its columns as they are."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from vlm_eval.core.errors import DataError, MissingData, TaskError, did_you_mean
from vlm_eval.core.hashing import digest
from vlm_eval.core.options import configurable
from vlm_eval.core.types import Condition, ImageRef
from vlm_eval.data.base import Row, SourceInfo
from vlm_eval.data.cells import image_cell
from vlm_eval.data.images import fingerprint
from vlm_eval.data.tables import CellTable, open_folder, open_hub

MAX_DEPTH = 50
LAYOUT = "DIR/metadata.jsonl (or .json, .csv, .tsv, .parquet) and the images it names, or a file"
STAND_IN = (
    "synthetic: {count} rows that ship with the task, not its data set; no number here is a result "
    "of it (give the data: --data TASK=PATH)"
)


@configurable
class TableSource:
    """A table file, a folder with one, or a hub data set: a row a line, a field a column.

    Formats are JSON lines, JSON, CSV, TSV and Parquet. Fields keep the table's types (those of CSV
    and TSV are texts). A row also has the field ``row``, its number from 1, unless the table has a
    column of that name.

    Attributes
    ----------
    path
        A table file, or a folder that holds ``metadata.jsonl`` (or .json, .csv, .tsv, .parquet).
    hub
        A hub id.
    split, config, revision
        Of the hub data set.
    stand_in
        A table like that of ``path``, which ships with the task; ``embedded`` reads it.
    embedded
        Read the stand-in.
    images
        Fields that hold images: a path below the table's folder, or the encoded image itself.
    columns
        Which columns to take, or the column of each field; None takes all.

    Raises
    ------
    TaskError
        If the options contradict each other.
    """

    path: str | None = None
    hub: str | None = None
    split: str = "test"
    config: str | None = None
    revision: str | None = None
    stand_in: str | None = None
    embedded: bool = False
    images: tuple[str, ...] = ()
    columns: tuple[str, ...] | dict[str, str] | None = None

    def __post_init__(self) -> None:
        if sum((self.path is not None, self.hub is not None, self.embedded)) > 1:
            raise TaskError("table: more than one of path, hub and embedded", hint="give one")
        if self.embedded and self.stand_in is None:
            hint = "ship a few rows with the task and name them: stand_in: data"
            raise TaskError("table: the task has no stand_in for embedded", hint=hint)

    def info(self) -> SourceInfo:
        """Return the provenance; the digest covers every field and every image that is taken."""
        rows = [
            {
                name: fingerprint(item) if isinstance(item, ImageRef) else item
                for name, item in row.items()
            }
            for row in self.rows()
        ]
        notice = STAND_IN.format(count=len(rows)) if self.embedded else None
        return SourceInfo(digest(["table", rows]), synthetic=self.embedded, notice=notice)

    def rows(self) -> Iterator[Row]:
        """Yield the rows in the table's order."""
        table, columns = self._table, self._columns
        for number in range(len(table)):
            fields = {
                name: image_cell(table, number, column)
                if name in self.images
                else _plain(table.cell(number, column), table.place(number, column))
                for name, column in columns.items()
            }
            yield {"row": number + 1, **fields}

    def fields(self, row: Row, condition: Condition) -> Row:  # noqa: ARG002 - one table for all
        """Return the row: nothing here depends on the condition."""
        return row

    @cached_property
    def _table(self) -> CellTable:
        if self.hub is not None:
            return open_hub(
                self.hub,
                split=self.split,
                config=self.config,
                revision=self.revision,
                layout=LAYOUT,
            )
        place = self.stand_in if self.embedded else self.path
        if place is None:
            raise MissingData("the task names no data of its own", layout=LAYOUT)
        return open_folder(Path(place))

    @cached_property
    def _columns(self) -> Mapping[str, str]:
        """The column of each field."""
        known, given = self._table.columns, self.columns
        if isinstance(given, dict):
            columns = given
        else:
            names = known if given is None else given
            columns = dict(zip(names, names, strict=True))
        for column in columns.values():
            self._check(column, known, "column")
        for name in self.images:
            self._check(name, columns, "image field")
        return columns

    def _check(self, name: str, known: Mapping[str, str] | tuple[str, ...], what: str) -> None:
        if name not in known:
            raise DataError(
                f"there is no {what} {name!r}",
                where=self._table.name,
                hint=did_you_mean(name, known),
            )


def _plain(value: Any, where: str, depth: int = 0) -> Any:
    """Return a value that JSON can hold. Raises DataError for any other."""
    if depth > MAX_DEPTH:
        raise DataError(f"a field is nested deeper than {MAX_DEPTH}", where=where)
    if value is None or isinstance(value, (str, bool, int)):
        return value
    if isinstance(value, float) and not math.isinf(value):
        return None if math.isnan(value) else value  # pandas writes a missing number as NaN
    if isinstance(value, (list, tuple)):
        return [_plain(item, where, depth + 1) for item in value]
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        return {key: _plain(item, where, depth + 1) for key, item in value.items()}
    kind = value if isinstance(value, float) else type(value).__name__
    raise DataError(
        f"a field cannot hold {kind}",
        where=where,
        hint="name the column in data.images if it holds images, or leave it out with data.columns",
    )
