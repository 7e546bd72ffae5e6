"""Reads a data set as a table of cells: a file, a folder with a metadata file, or a hub data set.

Cells are read when asked for, so that images inside a Parquet file or a hub data set are not all
decoded at once. What the cells mean is the business of whoever asks for them.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from vlm_eval.core.errors import DataError, MissingData
from vlm_eval.data.hub import at_once

METADATA = (
    "metadata.jsonl", "metadata.json", "metadata.csv", "metadata.tsv", "metadata.parquet",
)  # fmt: skip
MAX_CELL = 1 << 26  # characters; text tables of benchmarks hold whole images as base64


@dataclass(frozen=True)
class CellTable:
    """A table that is read cell by cell.

    Attributes
    ----------
    name
        What to call it in messages: the file, or the hub id and split.
    columns
        Column names.
    lines
        For each row, what to call its place: "line 3" of a text file, "row 3" of any other.
    cell
        Returns the value at a row (from 0) and a column; None if there is none.
    roots
        Folders that image paths must stay in; relative paths start at the first.
    group
        Name of the folder that the file lies in, or of the hub data set's configuration.
    """

    name: str
    columns: tuple[str, ...]
    lines: tuple[str, ...]
    cell: Callable[[int, str], Any]
    roots: tuple[Path, ...]
    group: str | None = None

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.lines)

    def place(self, row: int, column: str | None = None) -> str:
        """Return the place of a row or cell, for messages."""
        place = f"{self.name}, {self.lines[row]}"
        return place if column is None else f"{place}, column {column}"


def open_file(path: Path) -> CellTable:
    """Return the table of one file.

    Parameters
    ----------
    path
        A ``.jsonl``, ``.json`` (one list of objects; or, like official question files that are
        named so, one object a line), ``.csv``, ``.tsv`` or ``.parquet`` file.

    Raises
    ------
    DataError
        If there is no such file, it cannot be read, or it is empty; names file and line.
    """
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        hint = f"give one of {', '.join(_READERS)}, or a folder with {METADATA[0]}"
        raise DataError(f"a table of type {path.suffix!r} is not read", where=str(path), hint=hint)
    try:
        columns, lines, cell = reader(path)
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"cannot be read: {error}", where=str(path)) from error
    if not columns:
        raise DataError("the table is empty", where=str(path))
    name = path.parent.resolve().name
    return CellTable(str(path), columns, lines, cell, (path.parent,), name)


def open_folder(path: Path, *inside: str) -> CellTable:
    """Return the table of a folder that holds a metadata file; a file stands for itself.

    Parameters
    ----------
    path
        A folder with one of :data:`METADATA`, or a file as :func:`open_file` takes it.
    inside
        Names of folders in it that are looked into if the folder itself holds no metadata file.

    Raises
    ------
    DataError
        If there is no such file, or more than one, or it cannot be read.
    """
    if path.is_file():
        return open_file(path)
    if not path.is_dir():
        raise DataError("no such file or folder", where=str(path), hint="check the path")
    for folder in (path, *(path / name for name in inside)):
        found = [folder / name for name in METADATA if (folder / name).is_file()]
        if len(found) > 1:
            names = ", ".join(file.name for file in found)
            raise DataError(f"several metadata files: {names}", where=str(path), hint="name one")
        if found:
            return open_file(found[0])
    raise DataError(f"no {', '.join(METADATA)} in it", where=str(path), hint="add one, or name it")


_Read = tuple[tuple[str, ...], tuple[str, ...], Callable[[int, str], Any]]


def _records(records: list[dict[str, Any]], lines: list[str]) -> _Read:
    columns = tuple(dict.fromkeys(name for record in records for name in record))
    return columns, tuple(lines), lambda row, column: records[row].get(column)


def _read_jsonl(file: Path) -> _Read:
    records, lines = [], []
    with file.open(encoding="utf-8-sig") as stream:
        for number, line in enumerate(stream, start=1):
            if not line.strip():
                continue
            try:
                record = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise DataError(f"not JSON: {error}", where=f"{file}, line {number}") from error
            if not isinstance(record, dict):
                where = f"{file}, line {number}"
                raise DataError("not a JSON object", where=where, hint="write one object a line")
            records.append(record)
            lines.append(f"line {number}")
    return _records(records, lines)


def _read_json(file: Path) -> _Read:
    try:
        records = json.loads(file.read_text(encoding="utf-8-sig"))
    except (json.JSONDecodeError, RecursionError) as error:
        # Official question files of one object a line are often named .json.
        if isinstance(error, json.JSONDecodeError) and error.msg == "Extra data":
            return _read_jsonl(file)
        raise DataError(f"not JSON: {error}", where=str(file)) from error
    if not isinstance(records, list) or not all(isinstance(record, dict) for record in records):
        raise DataError("not a list of JSON objects", where=str(file), hint="or write .jsonl")
    return _records(records, [f"row {number}" for number in range(1, len(records) + 1)])


@contextmanager
def _large_cells() -> Iterator[None]:
    before = csv.field_size_limit(MAX_CELL)
    try:
        yield
    finally:
        csv.field_size_limit(before)


def _read_csv(file: Path, delimiter: str = ",") -> _Read:
    records: list[dict[str, Any]] = []
    lines = []
    with _large_cells(), file.open(encoding="utf-8-sig", newline="") as stream:
        reader = csv.reader(stream, strict=True, delimiter=delimiter)
        try:
            header = next(reader, [])
            for cells in reader:
                if not cells:
                    continue
                where = f"{file}, line {reader.line_num}"
                if len(cells) != len(header):
                    raise DataError(f"{len(cells)} cells, {len(header)} columns", where=where)
                records.append(dict(zip(header, cells, strict=True)))
                lines.append(f"line {reader.line_num}")
        except csv.Error as error:
            raise DataError(f"not CSV: {error}", where=f"{file}, line {reader.line_num}") from error
    if len(set(header)) != len(header):
        raise DataError("two columns have one name", where=f"{file}, line 1")
    return tuple(header), tuple(lines), _records(records, lines)[2]


def _read_parquet(file: Path) -> _Read:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(file)
    except pa.ArrowException as error:
        raise DataError(f"not Parquet: {error}", where=str(file)) from error

    def cell(row: int, column: str) -> Any:
        return table.column(column)[row].as_py() if column in table.column_names else None

    lines = tuple(f"row {number}" for number in range(1, table.num_rows + 1))
    return tuple(table.column_names), lines, cell


_READERS: dict[str, Callable[[Path], _Read]] = {
    ".jsonl": _read_jsonl,
    ".json": _read_json,
    ".csv": _read_csv,
    ".tsv": partial(_read_csv, delimiter="\t"),
    ".parquet": _read_parquet,
}


def open_hub(
    hub: str,
    *,
    split: str,
    config: str | None = None,
    revision: str | None = None,
    layout: str = "the data set as its source's documentation lays it out",
) -> CellTable:
    """Return the table of a hub data set (or of a local copy of one), images left undecoded.

    Parameters
    ----------
    hub
        A data set id, or a folder that ``datasets.load_dataset`` reads.
    split, config, revision
        As ``datasets.load_dataset`` takes them.
    layout
        What a local copy must hold, for the message where the hub cannot be reached.

    Raises
    ------
    MissingData
        If the hub cannot be reached, or does not give the data set.
    DataError
        If it has no such split or configuration, or cannot be read.
    """
    import datasets

    where = f"{hub} [{split}]"
    try:
        with at_once():
            data = datasets.load_dataset(hub, config, split=split, revision=revision)
    except OSError as error:  # no such data set, access denied, no network
        if Path(hub).is_dir():
            raise DataError(f"does not load: {error}", where=where) from error
        raise MissingData(f"{where} does not load: {error}", layout=layout, hub=hub) from error
    # a wrong split or configuration is a ValueError
    except (ValueError, datasets.exceptions.DatasetsError) as error:
        hint = "check data.hub, data.split and data.config"
        raise DataError(f"does not load: {error}", where=where, hint=hint) from error
    for name, feature in data.features.items():
        if isinstance(feature, datasets.Image):
            data = data.cast_column(name, datasets.Image(decode=False))
        elif isinstance(getattr(feature, "feature", None), datasets.Image):  # a list of images
            data = data.cast_column(name, type(feature)(datasets.Image(decode=False)))
    lines = tuple(f"row {number}" for number in range(1, len(data) + 1))
    columns = tuple(data.column_names)
    return CellTable(where, columns, lines, _hub_cell(data), _hub_roots(hub), config)


def _hub_cell(data: Any) -> Callable[[int, str], Any]:
    import datasets

    def cell(row: int, column: str) -> Any:
        if column not in data.features:
            return None
        value, feature = data[column][row], data.features[column]
        if isinstance(feature, datasets.ClassLabel) and value is not None:
            return feature.int2str(value)
        return value

    return cell


def _hub_roots(hub: str) -> tuple[Path, ...]:
    """Return where ``datasets`` may have put the image files of this data set."""
    import datasets
    from huggingface_hub.constants import HF_HUB_CACHE

    if Path(hub).is_dir():
        return (Path(hub),)
    return Path(HF_HUB_CACHE), Path(datasets.config.HF_DATASETS_CACHE)
