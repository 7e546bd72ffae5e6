"""What a table of pairs holds, lacks and has wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from vlm_eval.core.errors import DataError
from vlm_eval.data.base import Row
from vlm_eval.data.check import Checkup, Progress
from vlm_eval.data.images import FileImage, same_file
from vlm_eval.data.pairs.columns import ColumnMap, check_columns
from vlm_eval.data.pairs.loader import read_pairs
from vlm_eval.data.tables import CellTable

_IMAGES = frozenset((".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff"))


def check_pairs(
    table: CellTable, columns: ColumnMap, subset: str | None, progress: Progress
) -> Checkup:
    """Look at every pair of a subset; all images are decoded.

    Parameters
    ----------
    table, columns, subset
        As for :func:`vlm_eval.data.pairs.loader.load_pairs`.
    progress
        Told of the rows.
    """
    try:
        check_columns(columns, table.columns, where=table.name)
    except DataError as error:
        return Checkup((), (str(error),))
    rows: list[Row] = []
    faults: list[str] = []
    for index, row in read_pairs(table, columns, subset):
        progress("pairs", index, len(table))
        if isinstance(row, DataError):
            faults.append(str(row))
        else:
            rows.append(row)
    if not rows and not faults:
        faults.append(f"{table.name}: no {subset} pair" if subset else f"{table.name}: no pair")
    by_category = Counter(str(row["category"] or "-") for row in rows)
    counts: list[dict[str, str | int]] = [
        {"category": name, "pairs": n} for name, n in sorted(by_category.items())
    ]
    other = len(table) - len(rows) - len(faults)
    notes = [*_notes(rows), *([f"{other} rows are of the other subset"] if other else [])]
    return Checkup(tuple(counts), tuple(faults), (*notes, *_unused(table, rows)))


def _notes(rows: list[Row]) -> Iterator[str]:
    for row in rows:
        if same_file(row["image_0"], row["image_1"]):
            yield f"pair {row['id']}: both images are the same file, so that it is dropped"
    for name, what in (("category", "category"), ("label_0", "label of the sides")):
        without = sum(row[name] is None for row in rows)
        if without:
            yield f"{without} of {len(rows)} pairs have no {what}: no results by it"


def _unused(table: CellTable, rows: list[Row]) -> Iterator[str]:
    """Yield that there are image files that no pair names."""
    images = [row[f"image_{side}"] for row in rows for side in (0, 1)]
    named = {image.file.resolve() for image in images if isinstance(image, FileImage)}
    if not named or not Path(table.name).is_file():
        return
    root = table.roots[0]
    there = (file for file in sorted(root.rglob("*")) if file.suffix.lower() in _IMAGES)
    unused = [file for file in there if file.resolve() not in named]
    if unused:
        yield f"{len(unused)} image files that no pair names, such as {unused[0]}"
