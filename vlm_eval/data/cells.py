"""What the cells of a table hold: texts and images, each with its place where one is wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from vlm_eval.core.errors import DataError
from vlm_eval.data.images import EncodedImage, open_image
from vlm_eval.data.tables import CellTable


def text_cell(table: CellTable, row: int, column: str) -> str | None:
    """Return a text cell; None if it is empty or there is no such column.

    Raises
    ------
    DataError
        If the cell holds something else than text.
    """
    value = table.cell(row, column)
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    if not isinstance(value, str):
        where = table.place(row, column)
        raise DataError(f"not a text but {type(value).__name__}", where=where)
    return value


def needed_text(table: CellTable, row: int, column: str) -> str:
    """Return a text cell as `text_cell` does; raises DataError if it is empty."""
    value = text_cell(table, row, column)
    if value is None:
        raise DataError("empty or missing", where=table.place(row, column))
    return value


def image_cell(table: CellTable, row: int, column: str) -> EncodedImage:
    """Return the image of a cell: a path, encoded bytes, or both as ``datasets`` keeps them.

    Bytes are not kept: the cell is read once more when the image is needed.

    Raises
    ------
    DataError
        If the cell holds no image, an address, or a path that is missing or leaves the table's
        folders. What the file holds is checked when the image is loaded.
    """
    where = table.place(row, column)
    cell = table.cell(row, column)
    data = _bytes(cell)
    if data is not None:
        return EncodedImage(lambda: _bytes(table.cell(row, column)) or b"", len(data), where)
    path = cell.get("path") if isinstance(cell, dict) else cell
    if path is None or path == "":
        raise DataError("empty or missing", where=where)
    if not isinstance(path, str):
        raise DataError(f"not an image but {type(path).__name__}", where=where)
    if "://" in path:
        hint = "download it into the data folder"
        raise DataError(f"images are not fetched: {path}", where=where, hint=hint)
    root = next((r for r in table.roots if Path(path).is_relative_to(r)), None)
    try:
        return open_image(path, root=root or table.roots[0])
    except DataError as error:
        raise DataError(f"{path}: {error.what}", where=where, hint=error.hint) from error


def _bytes(cell: Any) -> bytes | None:
    data = cell.get("bytes") if isinstance(cell, dict) else cell
    return data if isinstance(data, bytes) else None
