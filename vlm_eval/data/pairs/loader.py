"""Makes pairs of a table's cells and checks every one: nothing unanswerable gets past here.

A pair is two images and two captions; image 0 belongs with caption 0, image 1 with caption 1.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vlm_eval.core.errors import DataError
from vlm_eval.core.hashing import digest_bytes
from vlm_eval.core.types import ImageRef
from vlm_eval.data.base import Row
from vlm_eval.data.images import decode, open_image
from vlm_eval.data.pairs.columns import OPTIONAL, ColumnMap, check_columns
from vlm_eval.data.pairs.tables import SUBSETS, CellTable

SIDES = (0, 1)


@dataclass(frozen=True)
class Loaded:
    """The pairs of a data set.

    Attributes
    ----------
    rows
        Pairs in the data set's order.
    dropped
        Ids of pairs that cannot be answered because their two images are the same file.
    """

    rows: tuple[Row, ...]
    dropped: tuple[str, ...]


def load_pairs(table: CellTable, columns: ColumnMap, subset: str) -> Loaded:
    """Return the pairs of one subset, checked.

    Parameters
    ----------
    table
        The cells.
    columns
        Which column is which field.
    subset
        ``mis`` or ``mic``; rows of the other subset are left out.

    Raises
    ------
    DataError
        Naming file, line and column: a missing column or value, an image that does not decode or
        lies outside the folder, an empty caption or two that are equal, an id twice, MiS labels
        other than safe and unsafe, or no pair at all.
    """
    check_columns(columns, table.columns, where=table.name)
    reader = _Reader(table, columns, subset)
    rows: list[Row] = []
    dropped: list[str] = []
    seen: dict[str, str] = {}
    for index in range(len(table.lines)):
        if reader.subset_of(index) != subset:
            continue
        row = reader.row(index)
        name, line = str(row["id"]), table.lines[index]
        if name in seen:
            where = table.place(index, columns.column("id"))
            raise DataError(f"id {name!r} is also that of {seen[name]}", where=where)
        seen[name] = line
        if row["image_0"].key == row["image_1"].key:
            dropped.append(name)
        else:
            rows.append(row)
    if not rows:
        what = f"no {subset} pair" if not dropped else "every pair has two identical images"
        hint = "check data.subset and the subset column, folder or configuration"
        raise DataError(what, where=table.name, hint=hint if not dropped else None)
    return Loaded(tuple(rows), tuple(dropped))


@dataclass(frozen=True)
class _Reader:
    table: CellTable
    columns: ColumnMap
    subset: str

    def subset_of(self, index: int) -> str:
        """Return the subset of a row: its own word, else the folder's, else the one asked for."""
        own = self.text(index, "subset")
        if own is None:
            return self.table.subset or self.subset
        if own.lower() not in SUBSETS:
            where = self.table.place(index, self.columns.column("subset"))
            raise DataError(f"unknown subset {own!r}", where=where, hint="write mis or mic")
        return own.lower()

    def row(self, index: int) -> Row:
        captions = [self.caption(index, f"caption_{side}") for side in SIDES]
        if captions[0].strip() == captions[1].strip():
            what = f"both captions are {captions[0]!r}"
            where = self.table.place(index, self.columns.column("caption_1"))
            raise DataError(what, where=where, hint="a pair needs two different captions")
        optional = {name: self.text(index, name) for name in OPTIONAL}
        return {
            **optional,
            **self.labels(index),
            "id": self.identity(index),
            "subset": self.subset,
            "caption_0": captions[0],
            "caption_1": captions[1],
            **{f"image_{side}": self.image(index, f"image_{side}") for side in SIDES},
        }

    def identity(self, index: int) -> str:
        value = self.table.cell(index, self.columns.column("id"))
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value)
        return self.caption(index, "id")

    def text(self, index: int, name: str) -> str | None:
        """Return a text cell, None if it is empty or there is no such column."""
        if name in self.columns.constants:
            return self.columns.constants[name]
        value = self.table.cell(index, self.columns.column(name))
        if value is None or (isinstance(value, str) and not value.strip()):
            return None
        if not isinstance(value, str):
            where = self.table.place(index, self.columns.column(name))
            raise DataError(f"not a text but {type(value).__name__}", where=where)
        return value

    def caption(self, index: int, name: str) -> str:
        """Return a text cell that must not be empty."""
        value = self.text(index, name)
        if value is None:
            raise DataError(
                "empty or missing", where=self.table.place(index, self.columns.column(name))
            )
        return value

    def labels(self, index: int) -> dict[str, str | None]:
        """Return both labels; of a MiS pair with labels, one is safe and one unsafe."""
        names = [f"label_{side}" for side in SIDES]
        labels = [self.text(index, name) for name in names]
        if self.subset == "mis" and any(labels):
            labels = [label and label.strip().lower() for label in labels]
            if set(labels) != {"safe", "unsafe"}:
                where = self.table.place(index, " and ".join(map(self.columns.column, names)))
                what = f"the labels of a MiS pair are safe and unsafe, not {labels[0]}, {labels[1]}"
                raise DataError(what, where=where)
        return dict(zip(names, labels, strict=True))

    def image(self, index: int, name: str) -> ImageRef:
        """Return an image after decoding it once."""
        column = self.columns.column(name)
        where = self.table.place(index, column)
        cell = self.table.cell(index, column)
        try:
            image = self.reference(cell, where, lambda: self.table.cell(index, column))
            image.load()
        except DataError as error:
            same = error.where in {None, where}
            what = error.what if same else f"{error.where}: {error.what}"
            raise DataError(what, where=where, hint=error.hint) from error
        return image

    def reference(self, cell: Any, where: str, again: Callable[[], Any]) -> ImageRef:
        """Return the image of a cell: a path, encoded bytes, or both as ``datasets`` keeps them.

        Bytes are not kept: ``again`` reads the cell once more when the image is needed.
        """
        data = _bytes(cell)
        if data is not None:
            return ImageRef(
                digest_bytes(data), lambda: decode(_bytes(again()) or b"", where), where
            )
        path = cell.get("path") if isinstance(cell, dict) else cell
        if path is None or path == "":
            raise DataError("empty or missing", where=where)
        if not isinstance(path, str):
            raise DataError(f"not an image but {type(path).__name__}", where=where)
        if "://" in path:
            hint = "download it into the data folder"
            raise DataError(f"images are not fetched: {path}", where=where, hint=hint)
        root = next((r for r in self.table.roots if Path(path).is_relative_to(r)), None)
        return open_image(path, root=root or self.table.roots[0])


def _bytes(cell: Any) -> bytes | None:
    data = cell.get("bytes") if isinstance(cell, dict) else cell
    return data if isinstance(data, bytes) else None
