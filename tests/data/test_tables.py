import csv
import io
import json

import PIL.Image
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import ClassLabel, Dataset, Features, Image, Value

from vlm_eval.core.errors import DataError, MissingData
from vlm_eval.data.tables import METADATA, open_file, open_folder, open_hub

RECORDS = [
    {"id": "p0", "image": "images/red.png", "caption": "A red\tpage"},
    {"id": "p1", "image": "images/green.png", "caption": 'A "green" page'},
]


def write(file):
    file.parent.mkdir(parents=True, exist_ok=True)
    if file.suffix == ".jsonl":
        file.write_text("".join(json.dumps(row) + "\n" for row in RECORDS), encoding="utf-8")
    elif file.suffix == ".json":
        file.write_text(json.dumps(RECORDS), encoding="utf-8")
    elif file.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(RECORDS), file)
    else:
        with file.open("w", encoding="utf-8", newline="") as stream:
            delimiter = {".csv": ",", ".tsv": "\t"}[file.suffix]
            writer = csv.DictWriter(stream, list(RECORDS[0]), delimiter=delimiter)
            writer.writeheader()
            writer.writerows(RECORDS)
    return file


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "data").mkdir()
    return tmp_path / "data"


@pytest.mark.parametrize("name", METADATA)
def test_every_format_gives_the_same_cells(folder, name):
    write(folder / name)
    table = open_folder(folder)
    assert set(table.columns) == set(RECORDS[0])
    assert len(table) == 2
    for row, record in enumerate(RECORDS):
        assert {column: table.cell(row, column) for column in table.columns} == record
    assert table.cell(0, "nothing") is None
    assert table.roots == (folder,)


def test_the_metadata_may_lie_in_a_folder_of_a_given_name(folder):
    write(folder / "mis" / "metadata.jsonl")
    write(folder / "mic" / "metadata.csv")
    assert open_folder(folder, "mic").name.endswith("mic/metadata.csv")
    assert open_folder(folder, "no", "mis").group == "mis"
    with pytest.raises(DataError, match="no metadata"):
        open_folder(folder, "other")


def test_a_file_may_have_any_name(folder):
    table = open_folder(write(folder / "pairs.jsonl"))
    assert len(table.lines) == 2
    assert table.group == "data"
    assert open_file(folder / "pairs.jsonl").cell(1, "id") == "p1"


def test_one_object_a_line_may_be_named_json(folder):
    write(folder / "x.jsonl").rename(folder / "coco_pope_random.json")
    table = open_file(folder / "coco_pope_random.json")
    assert table.cell(1, "image") == "images/green.png"
    assert table.lines == ("line 1", "line 2")
    (folder / "one.json").write_text('{"id": 1}\n{"id": \n')
    with pytest.raises(DataError, match="line 2: not JSON"):
        open_file(folder / "one.json")


def test_a_text_cell_may_hold_a_whole_image(folder):
    before = csv.field_size_limit()
    (folder / "big.tsv").write_text("id\timage\n1\t" + "A" * 1_000_000 + "\n")
    assert len(open_file(folder / "big.tsv").cell(0, "image")) == 1_000_000
    assert csv.field_size_limit() == before


def test_places_are_the_lines_of_the_file(folder):
    file = folder / "metadata.csv"
    file.write_text('\ufeffid,caption_0\n1,"two\nlines"\n\n2,x\n', encoding="utf-8")
    table = open_folder(file)
    assert table.place(1, "caption_0") == f"{file}, line 5, column caption_0"
    assert table.cell(0, "caption_0") == "two\nlines"
    file = folder / "metadata.jsonl"
    file.write_text('{"id": 1}\n\n{"id": 2}\n', encoding="utf-8")
    assert open_folder(file).place(1) == f"{file}, line 3"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("m.jsonl", b'{"id": 1}\n{"id": \n', "line 2: not JSON"),
        ("m.jsonl", b"[1]\n", "line 1: not a JSON object"),
        ("m.jsonl", b'{"id": "\xff"}\n', "cannot be read: .*utf-8"),
        ("m.jsonl", b"[" * 100_000, "line 1: not JSON"),
        ("m.json", b'{"id": 1}', "not a list of JSON objects"),
        ("m.json", b"[", "not JSON"),
        ("m.jsonl", b"\n", "the table is empty"),
        ("m.json", b"[]", "the table is empty"),
        ("m.csv", b"", "the table is empty"),
        ("m.csv", b"a,b\n1,2\n3\n", "line 3: 1 cells, 2 columns"),
        ("m.csv", b'a,b\n1,"2\n', "not CSV"),
        ("m.csv", b"a,a\n1,2\n", "two columns have one name"),
        ("m.parquet", b"PAR1", "not Parquet"),
        ("m.xlsx", b"", "a table of type '.xlsx' is not read; .*metadata.jsonl"),
    ],
)
def test_a_broken_file_is_named_with_its_line(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=message) as error:
        open_folder(tmp_path / name)
    assert name in error.value.where


def test_a_folder_without_metadata_or_with_two_is_named(tmp_path):
    with pytest.raises(DataError, match=r"no metadata.jsonl, .*metadata.parquet in it"):
        open_folder(tmp_path)
    with pytest.raises(DataError, match="no such file or folder"):
        open_folder(tmp_path / "nowhere")
    (tmp_path / "metadata.json").write_text("[]")
    (tmp_path / "metadata.csv").write_text("id\n")
    with pytest.raises(DataError, match=r"several metadata files: metadata.json, metadata.csv"):
        open_folder(tmp_path)


@pytest.fixture
def images():
    buffers = []
    for colour in ("red", "green"):
        PIL.Image.new("RGB", (8, 6), colour).save(buffer := io.BytesIO(), "PNG")
        buffers.append(buffer.getvalue())
    return buffers


@pytest.fixture
def hub(images, tmp_path, monkeypatch):
    """Return a local copy of a hub data set with Image and ClassLabel columns."""
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    label = ClassLabel(names=["safe", "unsafe"])
    features = Features({"id": Value("int64"), "image_0": Image(), "label_0": label})
    rows = {
        "id": [7, 8],
        "image_0": [{"bytes": data, "path": None} for data in images],
        "label_0": [1, None],
    }
    (tmp_path / "hub").mkdir()
    Dataset.from_dict(rows, features=features).to_parquet(tmp_path / "hub" / "test.parquet")
    return tmp_path / "hub"


def test_a_hub_data_set_keeps_its_images_encoded(hub, images):
    table = open_hub(str(hub), split="test", config=None, revision=None)
    assert table.columns == ("id", "image_0", "label_0")
    cell = table.cell(1, "image_0")
    assert cell["bytes"] == images[1]
    assert [table.cell(row, "id") for row in (0, 1)] == [7, 8]
    assert [table.cell(row, "label_0") for row in (0, 1)] == ["unsafe", None]
    assert table.cell(0, "nothing") is None
    assert table.place(1, "id") == f"{hub} [test], row 2, column id"


def test_a_hub_data_set_that_does_not_load_is_named(hub):
    with pytest.raises(DataError, match=r"\[valid\]: does not load: .*valid"):
        open_hub(str(hub), split="valid", config=None, revision=None)


def test_a_hub_data_set_that_cannot_be_reached_is_missing(monkeypatch):
    def unreachable(*args, **kwargs):
        raise ConnectionError("no network")

    monkeypatch.setattr("datasets.load_dataset", unreachable)
    with pytest.raises(MissingData, match="no network") as error:
        open_hub("lmms-lab/POPE", split="test", layout="DIR/coco_pope_random.json")
    message = str(error.value.of_task("pope"))
    assert message.startswith("task pope: lmms-lab/POPE [test] does not load: no network; ")
    assert "--data pope=PATH (DIR/coco_pope_random.json)" in message
    assert "--data pope=embedded" in message
    assert "--data pope=hub:lmms-lab/POPE" in message


def test_images_inside_parquet_are_read_cell_by_cell(tmp_path):
    image = pa.array(
        [{"bytes": b"abc", "path": None}],
        pa.struct([("bytes", pa.binary()), ("path", pa.string())]),
    )
    pq.write_table(pa.table({"id": ["a"], "image_0": image}), tmp_path / "metadata.parquet")
    table = open_folder(tmp_path)
    assert table.cell(0, "image_0") == {"bytes": b"abc", "path": None}
    assert table.place(0, "image_0").endswith("row 1, column image_0")
