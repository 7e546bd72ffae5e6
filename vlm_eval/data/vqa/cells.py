"""One row of a benchmark's table, read by our names for its columns."""

from __future__ import annotations

import ast
import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, TypeAlias

from vlm_eval.core.errors import DataError
from vlm_eval.core.types import ImageRef
from vlm_eval.data.cells import image_cell
from vlm_eval.data.tables import CellTable
from vlm_eval.data.vqa.item import UnaskableError

Columns: TypeAlias = Mapping[str, str | tuple[str, ...]]
"""Our name of a field to the data set's column, or columns in order."""

# Shorter text is a path or another row's index; no encoded image is so short (VLMEvalKit's rule).
SHORTEST_BASE64 = 64
LONGEST_LITERAL = 100_000


@dataclass(frozen=True)
class Pictures:
    """Where pictures lie that are not in the question's own row.

    Attributes
    ----------
    column
        The column that holds them.
    rows
        What a question calls a picture, to the table and row that hold it.
    """

    column: str
    rows: Mapping[str, tuple[CellTable, int]]

    def image(self, name: str) -> dict[int, ImageRef]:
        """Return the picture of a name that is in ``rows``, or none where its cell is empty."""
        table, row = self.rows[name]
        missing = _missing(table.cell(row, self.column))
        return {} if missing else {1: _image(table, row, self.column)}


@dataclass(frozen=True)
class Cells:
    """A row.

    Attributes
    ----------
    table, row
        The table and the row's number in it.
    columns
        Which column is which field; a field without a column is empty.
    elsewhere
        Where the pictures are that the image column only names.
    """

    table: CellTable
    row: int
    columns: Columns
    elsewhere: Pictures | None = field(default=None, repr=False)

    def named(self, name: str) -> tuple[str, ...]:
        """Return the columns of a field."""
        found = self.columns.get(name, ())
        return (found,) if isinstance(found, str) else found

    def value(self, name: str) -> Any:
        """Return the value of a field; None if it has no column."""
        columns = self.named(name)
        return self.table.cell(self.row, columns[0]) if columns else None

    def text(self, name: str) -> str:
        """Return a field as text, "" if it is null; a whole number loses its ".0"."""
        return _text(self.value(name))

    def texts(self, name: str) -> tuple[str, ...]:
        """Return a list: of the field's columns, of a list cell, or of a list written as text.

        Raises
        ------
        UnaskableError
            If text is no list.
        """
        columns = self.named(name)
        if len(columns) > 1:
            return tuple(_text(self.table.cell(self.row, column)) for column in columns)
        value = self.value(name)
        if isinstance(value, str):
            value = _literal(value)
        return () if value is None else tuple(_text(item) for item in value)

    def identity(self) -> str:
        """Return the id: its columns' values joined by a dash, "" if there is no id column."""
        return "-".join(_text(self.table.cell(self.row, c)) for c in self.named("id"))

    def images(self) -> dict[int, ImageRef]:
        """Return the pictures by number, from 1; columns and list entries without one are left out.

        Raises
        ------
        DataError
            If a cell holds something else than an image.
        """
        columns = self.named("image")
        if len(columns) == 1:
            return self._one_column(columns[0])
        return {
            number: _image(self.table, self.row, column)
            for number, column in enumerate(columns, start=1)
            if not _missing(self.table.cell(self.row, column))
        }

    def _one_column(self, column: str) -> dict[int, ImageRef]:
        value = self.table.cell(self.row, column)
        if _missing(value):
            return {}
        if isinstance(value, list):
            return {
                place + 1: _image(self.table, self.row, column, place)
                for place, item in enumerate(value)
                if not _missing(item)
            }
        name = "" if isinstance(value, (bytes, dict)) else _text(value)
        if self.elsewhere is not None and name in self.elsewhere.rows:
            return self.elsewhere.image(name)
        return {1: _image(self.table, self.row, column)}


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def _literal(text: str) -> Any:
    """Read a list that was written as Python or JSON."""
    if not text.strip():
        return None
    for read in (ast.literal_eval, json.loads):
        try:
            value = read(text.strip()[:LONGEST_LITERAL])
        except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
            continue
        if isinstance(value, (list, tuple)):
            return value
    raise UnaskableError("hold a list that cannot be read")


def _missing(value: Any) -> bool:
    if isinstance(value, dict):
        return value.get("bytes") is None and not value.get("path")
    return value is None or value in ("", b"")


def _image(table: CellTable, row: int, column: str, place: int | None = None) -> ImageRef:
    """Return an image that is written in any of the published ways, base64 text among them."""
    value = _picture(table, row, column, place)
    if isinstance(value, ImageRef):  # of a stand-in
        return value
    return image_cell(replace(table, cell=partial(_picture, table, place=place)), row, column)


def _picture(table: CellTable, row: int, column: str, place: int | None) -> Any:
    value = table.cell(row, column)
    if place is not None:
        value = value[place]
    if not isinstance(value, str) or len(value) <= SHORTEST_BASE64 or "://" in value[:16]:
        return value
    try:
        return base64.b64decode(value.partition("base64,")[2] or value, validate=True)
    except (binascii.Error, ValueError) as error:
        if "." in value[-6:]:
            return value  # a long path
        where = table.place(row, column)
        raise DataError("text that is neither base64 nor a path", where=where) from error
