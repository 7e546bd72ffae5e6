"""Segmentation quality on disk: matrices of single images, and mIoU as JSON or CSV."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from vlm_eval.core.errors import DataError
from vlm_eval.core.types import Level
from vlm_eval.data.cityscapes.labels import CLASSES
from vlm_eval.segmentation.quality import MIOU, Frame, Quality, by_name
from vlm_eval.stats.results import Estimate

CONDITION, SEGMENTER = "condition", "segmenter"


def save_matrices(path: Path, frames: Mapping[Level, Iterable[Frame]]) -> None:
    """Write the matrices of all images to an npz file.

    For each level ``LEVEL.counts``, int64 of shape (images, 19, 20), with ``LEVEL.frames`` and
    ``LEVEL.clusters``, names in the same order; ``classes`` names rows and columns, of which the
    last column is "no class". Raises OSError if it cannot be written.
    """
    arrays: dict[str, Any] = {"classes": np.array(CLASSES)}
    for level, found in frames.items():
        table = by_name(level, found)
        shape = (len(table), len(CLASSES), len(CLASSES) + 1)
        counts = np.array([frame.counts for frame in table.values()], dtype=np.int64)
        arrays[f"{level}.counts"] = counts.reshape(shape)
        arrays[f"{level}.frames"] = np.array(list(table), dtype=np.str_)
        clusters = [frame.cluster for frame in table.values()]
        arrays[f"{level}.clusters"] = np.array(clusters, dtype=np.str_)
    temporary = path.with_name(f".{path.name}.tmp.npz")
    try:
        np.savez_compressed(temporary, **arrays)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def load_matrices(path: Path) -> dict[str, list[Frame]]:
    """Read what `save_matrices` has written, by the level's name.

    Raises
    ------
    DataError
        If it is no such file.
    """
    try:
        with np.load(path, allow_pickle=False) as arrays:
            levels = [name.removesuffix(".counts") for name in arrays if name.endswith(".counts")]
            return {level: _frames(arrays, level) for level in levels}
    except (OSError, ValueError, KeyError, BadZipFile) as error:
        raise DataError(f"holds no confusion matrices ({error})", where=str(path)) from error


def _frames(arrays: Any, level: str) -> list[Frame]:
    columns = (arrays[f"{level}.{part}"] for part in ("frames", "clusters", "counts"))
    return [Frame(str(n), str(c), counts) for n, c, counts in zip(*columns, strict=True)]


def read_quality(path: Path) -> list[Quality]:
    """Read segmentation quality: a file of `vlm_eval segment`, or a CSV with condition,miou.

    A CSV may have a column ``segmenter``, for several models in one file, and others, which are
    not read. Its values are shares, 0 to 1; an empty one is unknown.

    Raises
    ------
    DataError
        If it cannot be read, or a value is none; names file, line and column.
    """
    if path.suffix.lower() == ".csv":
        return _read_csv(path)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"cannot be read ({error})", where=str(path)) from error
    if not isinstance(content, dict):
        raise DataError("is no JSON object", where=str(path))
    return [Quality.from_json(content, str(path))]


def _read_csv(path: Path) -> list[Quality]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            missing = {CONDITION, MIOU} - set(reader.fieldnames or ())
            if missing:
                raise DataError(
                    f"has no column {', '.join(sorted(missing))}",
                    where=f"{path}, line 1",
                    hint=f"the first line names the columns: {CONDITION},{MIOU}",
                )
            lines = [(reader.line_num, row) for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"cannot be read ({error})", where=str(path)) from error
    series: dict[str, dict[str, Estimate]] = {}
    for number, row in lines:
        where = f"{path}, line {number}"
        condition = (row[CONDITION] or "").strip()
        known = series.setdefault((row.get(SEGMENTER) or path.stem).strip(), {})
        if not condition or condition in known:
            what = f"the condition {condition!r} is there twice" if condition else "no condition"
            raise DataError(what, where=where)
        value = _share(row[MIOU], where)
        known[condition] = _without_interval(condition, value)
    if not series:
        raise DataError("holds no rows", where=str(path))
    return [
        Quality(name, CONDITION, tuple(found.values()), {}, {"source": str(path)})
        for name, found in series.items()
    ]


def _share(text: str | None, where: str) -> float | None:
    if text is None or not text.strip():
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value <= 1:
        raise DataError(
            f"column {MIOU}: {text.strip()!r} is no share",
            where=where,
            hint="write 0 to 1, .77 and not 77; leave an unknown value empty",
        )
    return value


def _without_interval(condition: str, value: float | None) -> Estimate:
    where = {CONDITION: condition}
    return Estimate(MIOU, where, value, None, None, None, n=0, clusters=0, method="none")
