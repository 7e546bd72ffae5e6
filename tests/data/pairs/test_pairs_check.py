"""`vlm_eval data check` of pairs: every fault, not the first; and what is only odd."""

from __future__ import annotations

import json

import pytest
from PIL import Image

from vlm_eval.core.errors import DataError
from vlm_eval.core.options import build
from vlm_eval.data.base import SOURCES
from vlm_eval.data.check import check_source

ITEM = {"filename": "1.jpg", "caption": "A cat on a mat.", "negative_caption": "A mat on a cat."}


def check(folder, name="pairs", **options):
    return check_source(build(SOURCES, {"name": name, "path": str(folder), **options}, where=None))


def test_a_sound_copy_is_counted_by_category(folder, records, write):
    write(folder / "metadata.jsonl", records())
    found = check(folder, subset="mis")
    assert found.usable
    assert list(found.counts) == [{"category": f"page {i}", "pairs": 1} for i in range(2)]
    assert found.notes == ()


def test_every_fault_is_told_with_its_place(folder, records, write):
    (folder / "images" / "broken.png").write_bytes(b"\x89PNG no")
    rows = [{**row, "id": f"{row['id']}-{i}"} for i in range(2) for row in records()]
    rows[0]["image_0"] = "images/none.png"
    rows[1]["image_1"] = "images/broken.png"
    rows[2]["label_0"] = rows[2]["label_1"]
    rows[3]["id"] = rows[2]["id"] = "same"
    found = check(write(folder / "m.jsonl", [*rows, rows[3]]), subset="mis")
    places = ["line 1, column image_0", "line 2, column image_1", "line 3, column label_0"]
    for fault, place in zip(found.faults, places, strict=False):
        assert place in fault
    assert "id 'same' is also that of line 4" in found.faults[3]
    assert len(found.faults) == 4
    assert not found.usable


def test_oddities_are_notes(folder, records, write):
    rows = [{**row, "subset": "mis", "category": None} for row in records()]
    (folder / "images" / "copy.png").write_bytes((folder / "images" / "red.png").read_bytes())
    rows[0]["image_1"] = "images/copy.png"
    rows.append({**records("mic")[0], "subset": "mic"})
    found = check(write(folder / "m.jsonl", rows), subset="mis")
    assert found.usable
    notes = "\n".join(found.notes)
    assert "pair p0: both images are the same file, so that it is dropped" in notes
    assert "2 of 2 pairs have no category" in notes
    assert "1 rows are of the other subset" in notes
    assert "1 image files that no pair names, such as" in notes
    assert "green.png" in notes


def test_missing_columns_and_subsets_are_faults(folder, records, write):
    rows = [{k: v for k, v in row.items() if k != "caption_1"} for row in records()]
    [fault] = check(write(folder / "m.jsonl", rows), subset="mis").faults
    assert "no column caption_1" in fault
    mic = write(folder / "mic" / "metadata.jsonl", records("mic"))
    assert check(mic, subset="mis").faults == (f"{mic}: no mis pair",)


def test_the_drawn_stand_in_has_nothing_wrong():
    source = build(SOURCES, {"name": "pairs", "subset": "mis", "count": 3}, where=None)
    assert check_source(source).usable


@pytest.fixture
def crepe(tmp_path):
    (tmp_path / "val2017").mkdir()
    Image.new("RGB", (8, 8), "red").save(tmp_path / "val2017" / "1.jpg")
    return tmp_path


def test_sugarcrepe_tells_what_there_is_and_is_not(crepe):
    (crepe / "swap_obj.json").write_text(json.dumps({"0": ITEM, "1": {**ITEM, "caption": " "}}))
    (crepe / "add_att.json").write_text("not json")
    lost = {**ITEM, "filename": "2.jpg"}
    (crepe / "add_obj.json").write_text(json.dumps([lost, lost]))
    found = check(crepe, "sugarcrepe")
    assert list(found.counts) == [{"subset": "swap_obj", "items": 1, "images": 1}]
    assert [fault.rpartition(": ")[2] for fault in found.faults[1:]] == [
        "there is no such image file",
        "caption is empty or missing",
    ]
    assert "not readable JSON" in found.faults[0]
    assert "replace_rel: no items, 1406 as published" in found.notes
    assert not found.usable


def test_sugarcrepes_images_are_decoded(crepe):
    (crepe / "swap_obj.json").write_text(json.dumps({"0": ITEM}))
    assert check(crepe, "sugarcrepe").usable
    (crepe / "val2017" / "1.jpg").write_bytes(b"broken")
    [fault] = check(crepe, "sugarcrepe").faults
    assert fault.startswith("1.jpg: not a readable")
    with pytest.raises(DataError, match="no such file or folder"):
        check(crepe / "nowhere", "sugarcrepe")
