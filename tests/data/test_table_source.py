import json

import pandas as pd
import pytest
from PIL import Image

from vlm_eval.core.errors import DataError, MissingData, TaskError
from vlm_eval.core.types import ImageRef
from vlm_eval.data.table_source import TableSource
from vlm_eval.tasks.index import TaskIndex
from vlm_eval.tasks.trials import expand

ROWS = [
    {"id": "a", "image": "images/red.png", "count": 3, "options": ["x", "y"], "note": None},
    {"id": "b", "image": "images/blue.png", "count": 4.5, "options": [], "note": {"k": True}},
]


@pytest.fixture
def data(tmp_path):
    """Return a folder with a metadata.jsonl of ``ROWS`` and their images."""
    folder = tmp_path / "data"
    (folder / "images").mkdir(parents=True)
    for colour in ("red", "blue"):
        Image.new("RGB", (6, 4), colour).save(folder / "images" / f"{colour}.png")
    lines = "".join(json.dumps(row) + "\n" for row in ROWS)
    (folder / "metadata.jsonl").write_text(lines)
    return folder


def source(path, **options):
    return TableSource(path=str(path), **{"images": ["image"], **options})


def test_a_row_a_line_a_field_a_column(data):
    rows = list(source(data).rows())
    assert [row.pop("row") for row in rows] == [1, 2]
    images = [row.pop("image") for row in rows]
    assert rows == [{k: v for k, v in row.items() if k != "image"} for row in ROWS]
    assert all(isinstance(image, ImageRef) for image in images)
    assert images[0].load().getpixel((0, 0)) == (255, 0, 0)
    assert images[0].load().size == (6, 4)


def test_columns_choose_and_rename(data):
    assert [set(r) for r in source(data, columns=["id", "image"]).rows()] == [
        {"row", "id", "image"}
    ] * 2
    renamed = source(data, columns={"key": "id", "picture": "image"}, images=["picture"])
    first = next(renamed.rows())
    assert set(first) == {"row", "key", "picture"}
    assert first["key"] == "a"
    assert isinstance(first["picture"], ImageRef)


def test_a_column_called_row_is_the_tables_own(data):
    (data / "metadata.jsonl").write_text('{"row": "seven", "image": "images/red.png"}\n')
    assert next(source(data).rows())["row"] == "seven"


def test_images_inside_a_parquet_file_are_the_same_images(data):
    encoded = [{"bytes": (data / row["image"]).read_bytes(), "path": None} for row in ROWS]
    frame = pd.DataFrame({"id": ["a", "b"], "image": encoded, "score": [0.5, float("nan")]})
    frame.to_parquet(data / "inside.parquet")
    rows = list(source(data / "inside.parquet").rows())
    files = list(source(data).rows())
    assert [row["image"].key for row in rows] == [row["image"].key for row in files]
    assert [row["score"] for row in rows] == [0.5, None]


def test_cells_of_csv_are_texts(data):
    (data / "t.csv").write_text("id,image,count\na,images/red.png,3\n")
    assert next(source(data / "t.csv").rows())["count"] == "3"


def test_the_digest_covers_fields_and_pixels_and_not_the_place(data, tmp_path):
    before = source(data).info()
    assert (before.synthetic, before.notice) == (False, None)
    data.rename(tmp_path / "moved")
    moved = tmp_path / "moved"
    assert source(moved).info().digest == before.digest
    Image.new("RGB", (6, 4), "green").save(moved / "images" / "red.png")
    changed = source(moved).info().digest
    assert changed != before.digest
    (moved / "metadata.jsonl").write_text(json.dumps(ROWS[0]) + "\n")
    assert source(moved).info().digest not in {before.digest, changed}
    assert source(moved, columns=["id", "image"]).info().digest != source(moved).info().digest


def test_the_stand_in_is_marked(data):
    made = TableSource(stand_in=str(data), embedded=True, images=("image",))
    info = made.info()
    assert info.synthetic
    assert info.notice.startswith("synthetic: 2 rows that ship with the task, not its data set")
    assert [row["id"] for row in made.rows()] == ["a", "b"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"path": "x", "hub": "o/n"}, "more than one of path, hub and embedded"),
        ({"path": "x", "embedded": True, "stand_in": "y"}, "more than one of path"),
        ({"embedded": True}, "the task has no stand_in"),
    ],
)
def test_options_that_contradict_each_other_are_refused(options, message):
    with pytest.raises(TaskError, match=message):
        TableSource(**options)


def test_no_data_is_told_with_what_is_needed():
    with pytest.raises(MissingData, match=r"DIR/metadata\.jsonl"):
        list(TableSource().rows())


@pytest.mark.parametrize(
    ("line", "options", "message"),
    [
        (
            {"image": "images/none.png"},
            {},
            r"metadata\.jsonl, line 1, column image: images/none\.png: there is no such image file",
        ),
        ({"image": "../secret.png"}, {}, r"line 1, column image: \.\./secret\.png: .* leaves"),
        ({"image": "https://example.org/a.png"}, {}, "images are not fetched"),
        ({"image": None}, {}, "line 1, column image: empty or missing"),
        ({"image": 5}, {}, "column image: not an image but int"),
        ({"imgae": "x"}, {}, "no image field 'image'; did you mean imgae"),
        ({"x": [float("inf")]}, {"images": []}, "column x: a field cannot hold inf"),
        ({"id": 1}, {"images": [], "columns": ["ids"]}, "no column 'ids'; did you mean id"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(data, line, options, message):
    (data / "metadata.jsonl").write_text(json.dumps(line) + "\n")
    with pytest.raises(DataError, match=message):
        list(source(data, **options).rows())


@pytest.mark.parametrize("value", [b"\x89PNG", pd.Timestamp("2026-01-01"), {"bytes": b"x"}])
def test_what_json_cannot_hold_is_refused_unless_it_is_left_out(data, value):
    pd.DataFrame({"id": ["a"], "odd": [value]}).to_parquet(data / "t.parquet")
    with pytest.raises(DataError, match=r"row 1, column odd: a field cannot hold .*data\.columns"):
        list(source(data / "t.parquet", images=[]).rows())
    rows = list(source(data / "t.parquet", images=[], columns=["id"]).rows())
    assert rows == [{"row": 1, "id": "a"}]


def test_a_field_is_not_nested_without_a_bound(data):
    (data / "metadata.jsonl").write_text('{"x": ' + "[" * 400 + "]" * 400 + "}\n")
    with pytest.raises(DataError, match="line 1, column x: a field is nested deeper than 50"):
        list(source(data, images=[]).rows())


TASK = """
task: seen
version: 1.0.0
title: t
data: {source: table, path: data, stand_in: data, images: [image]}
sample_id: "{{ id }}"
prompt: {content: [{image: image}, {text: "How many?"}]}
output: {kind: generate}
gold: "{{ count }}"
parser: number
metrics: [accuracy]
"""


def test_paths_in_a_task_file_start_at_its_folder(data, tmp_path, monkeypatch):
    (tmp_path / "seen.yaml").write_text(TASK)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    index = TaskIndex([tmp_path])
    assert [trial.sample_id for trial in expand(index.load("seen"))] == ["a", "b"]
    assert index.load("seen", data="embedded").data_info().synthetic
    # On the command line they start at the current folder, as everywhere else.
    with pytest.raises(DataError, match="no such file or folder"):
        index.load("seen", data="data").data_info()
    assert index.load("seen", data="../data").data_info() == index.load("seen").data_info()
    assert index.load("seen").digest == index.load("seen", data="../data").digest
