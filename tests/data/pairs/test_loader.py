import io
from pathlib import Path

import pytest
from PIL import Image

from vlm_eval.core.errors import DataError
from vlm_eval.core.hashing import digest_bytes
from vlm_eval.data.pairs.columns import column_map
from vlm_eval.data.pairs.loader import load_pairs
from vlm_eval.data.tables import CellTable, open_folder


def load(file, subset="mis", columns=None):
    return load_pairs(open_folder(file, subset), column_map(columns), subset)


def encoded(colour):
    data = io.BytesIO()
    Image.new("RGB", (4, 4), colour).save(data, "PNG")
    return data.getvalue()


def test_rows_have_every_field_and_images_that_decode(folder, records, write):
    write(folder / "metadata.jsonl", records())
    loaded = load(folder)
    assert [row["id"] for row in loaded.rows] == ["p0", "p1"]
    row = loaded.rows[1]
    assert row.keys() == {
        "id", "subset", "image_0", "image_1", "caption_0", "caption_1", "label_0", "label_1",
        "category", "tag", "source", "license",
    }  # fmt: skip
    assert (row["caption_0"], row["caption_1"]) == ("A blue page", "A yellow page")
    assert (row["label_0"], row["label_1"]) == ("unsafe", "safe")
    assert (row["subset"], row["category"], row["source"]) == ("mis", "page 1", None)
    assert row["image_1"].load().getpixel((0, 0)) == (255, 255, 0)
    assert row["image_1"].key == digest_bytes((folder / "images" / "yellow.png").read_bytes())
    assert loaded.dropped == ()


def test_captions_are_kept_as_written(folder, records, write):
    rows = records()
    rows[0]["caption_0"] = "  “Zwei” Wörter.\n"
    assert load(write(folder / "m.jsonl", rows)).rows[0]["caption_0"] == "  “Zwei” Wörter.\n"


def test_identical_images_are_dropped_and_reported(folder, records, write):
    rows = records()
    copy = folder / "images" / "copy.png"
    copy.write_bytes((folder / "images" / "red.png").read_bytes())
    rows[0]["image_1"] = "images/copy.png"
    loaded = load(write(folder / "m.jsonl", rows))
    assert [row["id"] for row in loaded.rows] == ["p1"]
    assert loaded.dropped == ("p0",)
    with pytest.raises(DataError, match="every pair has two identical images"):
        load(write(folder / "m.jsonl", rows[:1]))


def test_rows_of_the_other_subset_are_left_out_and_may_share_ids(folder, records, write):
    both = [{**row, "subset": "mis"} for row in records()]
    both += [{**row, "subset": "MiC"} for row in records("mic")]
    file = write(folder / "m.jsonl", both)
    assert [row["label_0"] for row in load(file, "mic").rows] == ["Japan", "Italy"]
    assert [row["label_0"] for row in load(file, "mis").rows] == ["safe", "unsafe"]


def test_the_folder_of_the_other_subset_is_refused(folder, records, write):
    write(folder / "mic" / "metadata.jsonl", records("mic"))
    with pytest.raises(DataError, match=r"no mis pair; check data\.subset"):
        load(folder / "mic", "mis")


def test_ids_may_be_whole_numbers(folder, records, write):
    rows = [{**row, "id": number} for number, row in enumerate(records())]
    assert [row["id"] for row in load(write(folder / "m.jsonl", rows)).rows] == ["0", "1"]


def test_labels_are_optional_and_read_whatever_their_case(folder, records, write):
    bare = [{k: v for k, v in row.items() if not k.startswith("label")} for row in records()]
    assert load(write(folder / "m.jsonl", bare)).rows[0]["label_0"] is None
    blank = [{**row, "label_0": "", "label_1": ""} for row in records()]
    assert load(write(folder / "m.csv", blank)).rows[0]["label_0"] is None
    rows = [{**row, "label_0": row["label_0"].upper()} for row in records()]
    assert load(write(folder / "m.jsonl", rows)).rows[1]["label_0"] == "unsafe"


def test_safe_unsafe_columns_give_the_labels(folder, records, write):
    rows = [
        {
            "id": row["id"],
            "safe_image": row["image_0"],
            "unsafe_image": row["image_1"],
            "safe_caption": row["caption_0"],
            "unsafe_caption": row["caption_1"],
        }
        for row in records()
    ]
    row = load(write(folder / "m.csv", rows), columns="safe_unsafe").rows[1]
    assert (row["label_0"], row["label_1"]) == ("safe", "unsafe")
    assert row["caption_1"] == "A yellow page"


@pytest.mark.parametrize(
    ("change", "column", "message"),
    [
        ({"id": "p0"}, "id", "id 'p0' is also that of line 1"),
        ({"id": None}, "id", "empty or missing"),
        ({"id": 1.5}, "id", "not a text but float"),
        ({"id": True}, "id", "not a text but bool"),
        ({"caption_0": " \n"}, "caption_0", "empty or missing"),
        ({"caption_1": ["a"]}, "caption_1", "not a text but list"),
        ({"caption_1": "A blue page "}, "caption_1", "both captions are 'A blue page'"),
        ({"label_0": "safe"}, "label_0 and label_1", "safe and unsafe, not safe, safe"),
        ({"label_1": None}, "label_0 and label_1", "safe and unsafe, not unsafe, None"),
        ({"subset": "safety"}, "subset", "unknown subset 'safety'; write mis or mic"),
        ({"image_0": "images/none.png"}, "image_0", "images/none.png: there is no such"),
        ({"image_1": "images/broken.png"}, "image_1", "images/broken.png: not a readable"),
        ({"image_1": "images/cut.png"}, "image_1", "images/cut.png: not a readable"),
        ({"image_1": "images"}, "image_1", "images: there is no such image file"),
        ({"image_1": ""}, "image_1", "empty or missing"),
        ({"image_1": 3}, "image_1", "not an image but int"),
        ({"image_1": "a\0b.png"}, "image_1", "not a usable path|no such"),
        ({"image_1": "../secret.png"}, "image_1", "leaves the data folder"),
        ({"image_1": "images/link.png"}, "image_1", "leaves the data folder"),
        ({"image_1": "https://example.org/a.png"}, "image_1", "images are not fetched"),
    ],
)
def test_a_fault_is_named_with_file_line_and_column(
    folder, records, write, change, column, message
):
    secret = folder.parent / "secret.png"
    secret.write_bytes(encoded("red"))
    (folder / "images" / "link.png").symlink_to(secret)
    (folder / "images" / "broken.png").write_bytes(b"\x89PNG no")
    (folder / "images" / "cut.png").write_bytes(encoded("red")[:-20])
    rows = records()
    rows[1] |= change
    file = write(folder / "m.jsonl", rows)
    with pytest.raises(DataError, match=message) as error:
        load(file)
    assert error.value.where == f"{file}, line 2, column {column}"


def test_an_absolute_path_outside_the_folder_is_refused(folder, records, write, tmp_path):
    (tmp_path / "secret.png").write_bytes(encoded("red"))
    rows = records()
    rows[0]["image_0"] = str(tmp_path / "secret.png")
    with pytest.raises(DataError, match="leaves the data folder"):
        load(write(folder / "m.jsonl", rows))


def test_a_missing_column_is_named_before_any_row(folder, records, write):
    rows = [{k: v for k, v in row.items() if k != "caption_1"} for row in records()]
    with pytest.raises(DataError, match="no column caption_1; found id, image_0"):
        load(write(folder / "m.jsonl", rows))


def test_an_empty_file_is_named(folder, write):
    with pytest.raises(DataError, match="the table is empty"):
        load(write(folder / "m.jsonl", []))


def cells(rows, roots=(Path(),)):
    lines = tuple(f"row {number}" for number, _ in enumerate(rows, start=1))
    return CellTable("t", tuple(rows[0]), lines, lambda i, c: rows[i].get(c), tuple(roots))


def test_images_as_bytes_are_read_again_when_needed():
    reads = []

    class Cell(dict):
        def get(self, key, default=None):
            reads.append(key)
            return super().get(key, default)

    pair = {"id": "a", "caption_0": "x", "caption_1": "y"}
    pair |= {f"image_{k}": Cell(bytes=encoded(c), path=None) for k, c in enumerate(("red", "blue"))}
    row = load_pairs(cells([pair]), column_map(None), "mic").rows[0]
    before = len(reads)
    assert row["image_1"].load().getpixel((0, 0)) == (0, 0, 255)
    assert len(reads) > before
    assert row["image_1"].key == digest_bytes(encoded("blue"))
    assert row["image_1"].label == "t, row 1, column image_1"


def test_a_path_of_a_hub_image_may_lie_in_any_of_its_caches(folder):
    pair = {"id": "a", "caption_0": "x", "caption_1": "y"}
    pair |= {
        f"image_{k}": {"bytes": None, "path": str(folder / "images" / f"{c}.png")}
        for k, c in enumerate(("red", "blue"))
    }
    table = cells([pair], roots=(folder.parent / "other", folder))
    assert len(load_pairs(table, column_map(None), "mic").rows) == 1
    with pytest.raises(DataError, match="leaves the data folder"):
        load_pairs(cells([pair], roots=(folder.parent / "other",)), column_map(None), "mic")
