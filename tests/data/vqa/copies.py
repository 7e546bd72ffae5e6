"""Copies of the benchmarks as they are published, a few rows each."""

import pyarrow as pa
import pyarrow.parquet as pq

from vlm_eval.core.options import build
from vlm_eval.core.types import ImageRef
from vlm_eval.data.base import SOURCES

from .upstream import ROWS


def make(name, **options):
    return build(SOURCES, {"name": "vqa", "benchmark": name, **options}, where=None)


def parquet(file, rows):
    file.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows), file)
    return file


def rows_of(source):
    """The rows as a task sees them: every field of the condition."""
    return [dict(source.fields(row, {})) for row in source.rows()]


def assert_wanted(found, wanted):
    assert len(found) == len(wanted)
    for row, fields in zip(found, wanted, strict=True):
        assert {name: row[name] for name in fields} == fields
        assert row["prompt"] == "".join(row["chunks"])
        assert len(row["chunks"]) == len(row["shown"]) + 1
        assert all(isinstance(row[name], ImageRef) for name in row["shown"])


def mmmu_row(**changes):
    return {**ROWS["mmmu_val"][0][0], "question": "<image 1> Which?", **changes}
