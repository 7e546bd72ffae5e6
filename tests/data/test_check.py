"""What a copy holds, lacks and has wrong, for sources that say nothing of it themselves."""

from __future__ import annotations

import json

from PIL import Image

from vlm_eval.core.options import build
from vlm_eval.data.base import SOURCES
from vlm_eval.data.check import Checkup, check_source


def table(folder, rows):
    (folder / "metadata.jsonl").write_text("\n".join(map(json.dumps, rows)))
    options = {"name": "table", "path": str(folder), "images": ["image"]}
    return build(SOURCES, options, where=None)


def test_all_broken_images_are_found(tmp_path):
    for name in ("a", "b", "c"):
        Image.new("RGB", (4, 4), "red").save(tmp_path / f"{name}.png")
    for name in ("b", "c"):
        (tmp_path / f"{name}.png").write_bytes(b"broken")
    rows = [{"id": i, "image": f"{name}.png"} for i, name in enumerate("abcc")]
    seen = []
    found = check_source(table(tmp_path, rows), lambda *told: seen.append(told))
    assert found.counts == ({"rows": 4, "images": 3, "broken": 2},)
    assert [fault.partition(":")[0] for fault in found.faults] == ["b.png", "c.png"]
    assert not found.usable
    assert seen == [("images", i, 3) for i in range(3)]


def test_sound_data_is_usable(tmp_path):
    Image.new("RGB", (4, 4), "red").save(tmp_path / "a.png")
    found = check_source(table(tmp_path, [{"id": 1, "image": "a.png"}]))
    assert found == Checkup(({"rows": 1, "images": 1, "broken": 0},), ())
    assert found.usable


def test_a_stand_in_is_called_one():
    source = build(SOURCES, {"name": "vlmbias", "embedded": True}, where=None)
    found = check_source(source)
    assert found.usable
    assert any("synthetic" in note for note in found.notes)
