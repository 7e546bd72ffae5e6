"""A small data set of pairs on disk, in any of the formats that are read."""

import csv
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

COLOURS = ("red", "green", "blue", "yellow")


def _records(subset="mis"):
    labels = {"mis": ("safe", "unsafe"), "mic": ("Japan", "Italy")}[subset]
    return [
        {
            "id": f"p{i}",
            "image_0": f"images/{COLOURS[2 * i]}.png",
            "image_1": f"images/{COLOURS[2 * i + 1]}.png",
            "caption_0": f"A {COLOURS[2 * i]} page",
            "caption_1": f"A {COLOURS[2 * i + 1]} page",
            "label_0": labels[i % 2],  # read the label, never the index
            "label_1": labels[1 - i % 2],
            "category": f"page {i}",
        }
        for i in range(2)
    ]


def _draw(folder: Path) -> None:
    (folder / "images").mkdir(parents=True, exist_ok=True)
    for colour in COLOURS:
        Image.new("RGB", (8, 6), colour).save(folder / "images" / f"{colour}.png")


def _write(file: Path, rows: list[dict]) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    if file.suffix == ".jsonl":
        file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    elif file.suffix == ".json":
        file.write_text(json.dumps(rows), encoding="utf-8")
    elif file.suffix == ".csv":
        with file.open("w", encoding="utf-8", newline="") as stream:
            writer = csv.DictWriter(stream, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    else:
        pq.write_table(pa.Table.from_pylist(rows), file)
    return file


@pytest.fixture
def folder(tmp_path) -> Path:
    """Return a folder with four images and no metadata."""
    _draw(tmp_path / "data")
    return tmp_path / "data"


@pytest.fixture
def records():
    """Return two pairs: ``records()`` of MiS, ``records("mic")`` of MiC."""
    return _records


@pytest.fixture
def write():
    """Return what writes rows to a ``.jsonl``, ``.json``, ``.csv`` or ``.parquet`` file."""
    return _write
