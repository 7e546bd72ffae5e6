"""Makes pairs of a table's cells and checks every one: nothing unanswerable gets past here.

A pair is two images and two captions; image 0 belongs with caption 0, image 1 with caption 1.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from vlm_eval.core.errors import DataError
from vlm_eval.core.types import ImageRef
from vlm_eval.data.base import Row
from vlm_eval.data.cells import image_cell, needed_text, text_cell
from vlm_eval.data.images import same_file
from vlm_eval.data.pairs.columns import OPTIONAL, ColumnMap, check_columns
from vlm_eval.data.tables import CellTable

SIDES = (0, 1)
SUBSETS = ("mis", "mic")


@dataclass(frozen=True)
class Loaded:
    """The pairs of a data set.

    Attributes
    ----------
    rows
        Pairs in the data set's order.
    dropped
        Ids of pairs that cannot be answered because their two images are the same file.
    places
        File and line of each pair, by id.
    """

    rows: tuple[Row, ...]
    dropped: tuple[str, ...]
    places: Mapping[str, str] = field(default_factory=dict)


def load_pairs(
    table: CellTable, columns: ColumnMap, subset: str | None, *, decode: bool = True
) -> Loaded:
    """Return the pairs of one subset, checked.

    Parameters
    ----------
    table
        The cells.
    columns
        Which column is which field.
    subset
        ``mis`` or ``mic``; rows of the other subset are left out. None: there are no subsets.
    decode
        Whether every image is decoded once. Otherwise it is only known to be there.

    Raises
    ------
    DataError
        Naming file, line and column: a missing column or value, an image that does not decode or
        lies outside the folder, an empty caption or two that are equal, an id twice, MiS labels
        other than safe and unsafe, or no pair at all.
    """
    check_columns(columns, table.columns, where=table.name)
    rows: list[Row] = []
    dropped: list[str] = []
    places: dict[str, str] = {}
    for index, row in read_pairs(table, columns, subset, decode=decode):
        if isinstance(row, DataError):
            raise row
        places[row["id"]] = table.place(index)
        if same_file(row["image_0"], row["image_1"]):
            dropped.append(row["id"])
        else:
            rows.append(row)
    if not rows:
        none = f"no {subset} pair" if subset else "no pair"
        what = none if not dropped else "every pair has two identical images"
        hint = "check data.subset and the subset column, folder or configuration"
        raise DataError(what, where=table.name, hint=hint if not dropped else None)
    return Loaded(tuple(rows), tuple(dropped), places)


def read_pairs(
    table: CellTable, columns: ColumnMap, subset: str | None, *, decode: bool = True
) -> Iterator[tuple[int, Row | DataError]]:
    """Yield the number and the pair of each row of a subset, or what is first wrong with it.

    Parameters are those of `load_pairs`; the columns are there.
    """
    reader = _Reader(table, columns, subset, decode)
    seen: dict[str, str] = {}
    for index, line in enumerate(table.lines):
        try:
            if subset is not None and reader.subset_of(index) != subset:
                continue
            row = reader.row(index)
            name = str(row["id"])
            if name in seen:
                where = table.place(index, columns.column("id"))
                raise DataError(f"id {name!r} is also that of {seen[name]}", where=where)
            seen[name] = line
        except DataError as error:
            yield index, error
        else:
            yield index, row


def decoded(image: ImageRef, where: str) -> ImageRef:
    """Return an image that decodes. Raises DataError, at the place where it is named."""
    try:
        image.load()
    except DataError as error:
        raise _at(error, where) from error
    return image


def _at(error: DataError, where: str) -> DataError:
    same = error.where in {None, where}
    what = error.what if same else f"{error.where}: {error.what}"
    return DataError(what, where=where, hint=error.hint)


@dataclass(frozen=True)
class _Reader:
    table: CellTable
    columns: ColumnMap
    subset: str | None
    decode: bool

    def subset_of(self, index: int) -> str | None:
        """Return the subset of a row: its own word, else the folder's, else the one asked for."""
        own = self.text(index, "subset")
        if own is None:
            group = (self.table.group or "").lower()
            return group if group in SUBSETS else self.subset
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
            "subset": self.subset or optional["subset"],
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
        return text_cell(self.table, index, self.columns.column(name))

    def caption(self, index: int, name: str) -> str:
        """Return a text cell that must not be empty."""
        return needed_text(self.table, index, self.columns.column(name))

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
        column = self.columns.column(name)
        where = self.table.place(index, column)
        try:
            image = image_cell(self.table, index, column)
        except DataError as error:
            raise _at(error, where) from error
        return decoded(image, where) if self.decode else image
