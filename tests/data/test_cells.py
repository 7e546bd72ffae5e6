import io

import pytest
from PIL import Image

from vlm_eval.core.errors import DataError
from vlm_eval.data.cells import image_cell, needed_text, text_cell
from vlm_eval.data.tables import CellTable


def table(value, root):
    return CellTable("t.jsonl", ("a",), ("line 1",), lambda row, column: value, (root,))  # noqa: ARG005


@pytest.mark.parametrize(("value", "text"), [("x", "x"), (" ", None), (None, None), ("", None)])
def test_an_empty_text_is_none(value, text, tmp_path):
    assert text_cell(table(value, tmp_path), 0, "a") == text


def test_what_is_no_text_is_an_error_with_its_place(tmp_path):
    with pytest.raises(DataError, match="line 1, column a: not a text but int"):
        text_cell(table(3, tmp_path), 0, "a")
    with pytest.raises(DataError, match="line 1, column a: empty or missing"):
        needed_text(table(None, tmp_path), 0, "a")


@pytest.mark.parametrize("wrap", [lambda data: data, lambda data: {"bytes": data, "path": None}])
def test_encoded_images_are_read_and_keyed_by_their_bytes(wrap, tmp_path):
    stream = io.BytesIO()
    Image.new("RGB", (3, 2), "red").save(stream, "PNG")
    one = image_cell(table(wrap(stream.getvalue()), tmp_path), 0, "a")
    assert one.load().size == (3, 2)
    assert one.key == image_cell(table(stream.getvalue(), tmp_path), 0, "a").key


def test_paths_are_taken_from_the_tables_folder_and_stay_in_it(tmp_path):
    (tmp_path / "in").mkdir()
    for place in ("in/a.png", "b.png"):
        Image.new("RGB", (3, 2), "red").save(tmp_path / place)
    inside = table("a.png", tmp_path / "in")
    assert image_cell(inside, 0, "a").load().size == (3, 2)
    with pytest.raises(DataError, match="leaves the data folder"):
        image_cell(table("../b.png", tmp_path / "in"), 0, "a")
    with pytest.raises(DataError, match="not fetched"):
        image_cell(table("https://x.org/a.png", tmp_path), 0, "a")
    with pytest.raises(DataError, match="empty or missing"):
        image_cell(table({"bytes": None, "path": None}, tmp_path), 0, "a")
