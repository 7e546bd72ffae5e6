"""`vlm_eval data check` of the VQA benchmarks."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from vlm_eval.core.errors import MissingData
from vlm_eval.core.options import build
from vlm_eval.data.base import SOURCES
from vlm_eval.data.check import check_source

from .upstream import ROWS


def check(name, file, rows):
    pq.write_table(pa.Table.from_pylist(rows), file)
    return check_source(
        build(SOURCES, {"name": "vqa", "benchmark": name, "path": str(file)}, where=None)
    )


def test_a_sound_copy_is_counted_by_kind(tmp_path):
    given, wanted = ROWS["mmstar"]
    found = check("mmstar", tmp_path / "val.parquet", given)
    assert found.usable
    assert found.counts == ({"kind": "mcq", "questions": len(wanted), "pictures": len(wanted)},)


def test_every_broken_picture_is_a_fault_and_what_is_left_out_a_note(tmp_path):
    given, _ = ROWS["mmstar"]
    sound = given[0]
    rows = [
        sound,
        {**sound, "index": 102, "image": {"bytes": b"broken"}},
        {**sound, "index": 103, "image": {"bytes": b"torn"}},
        {**sound, "index": 104, "question": " "},
        {**sound, "index": 105, "image": {"bytes": None}},
    ]
    found = check("mmstar", tmp_path / "val.parquet", rows)
    assert [("row 2" in f, "row 3" in f) for f in found.faults] == [(True, False), (False, True)]
    assert not found.usable
    assert "1 of 5 questions are left out: have no image" in found.notes


def test_another_table_is_a_fault(tmp_path):
    [fault] = check("mmstar", tmp_path / "val.parquet", [{"index": 1}]).faults
    assert "no column" in fault
    with pytest.raises(MissingData):
        check_source(
            build(SOURCES, {"name": "vqa", "benchmark": "mmstar", "path": "nowhere"}, where=None)
        )
