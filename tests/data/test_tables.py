import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import ClassLabel, Dataset, Features, Image, Value

from vlm_eval.core.errors import DataError
from vlm_eval.data.pairs.tables import METADATA, open_folder, open_hub


@pytest.mark.parametrize("name", METADATA)
def test_every_format_gives_the_same_cells(folder, records, write, name):
    write(folder / name, records())
    table = open_folder(folder, "mis")
    assert set(table.columns) == set(records()[0])
    for row, record in enumerate(records()):
        assert {column: table.cell(row, column) for column in table.columns} == record
    assert table.cell(0, "nothing") is None
    assert table.roots == (folder,)


def test_the_metadata_of_a_subset_may_lie_in_a_folder_of_its_name(folder, records, write):
    write(folder / "mis" / "metadata.jsonl", records())
    write(folder / "mic" / "metadata.jsonl", records("mic"))
    assert open_folder(folder, "mic").cell(0, "label_0") == "Japan"
    assert open_folder(folder, "mic").subset == "mic"
    assert open_folder(folder / "mis", "mis").subset == "mis"


def test_a_metadata_file_may_have_any_name(folder, records, write):
    table = open_folder(write(folder / "pairs.jsonl", records()), "mis")
    assert len(table.lines) == 2
    assert table.subset is None


def test_places_are_the_lines_of_the_file(folder):
    file = folder / "metadata.csv"
    file.write_text('\ufeffid,caption_0\n1,"two\nlines"\n\n2,x\n', encoding="utf-8")
    table = open_folder(file, "mis")
    assert table.place(1, "caption_0") == f"{file}, line 5, column caption_0"
    assert table.cell(0, "caption_0") == "two\nlines"
    file = folder / "metadata.jsonl"
    file.write_text('{"id": 1}\n\n{"id": 2}\n', encoding="utf-8")
    assert open_folder(file, "mis").place(1) == f"{file}, line 3"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("m.jsonl", b'{"id": 1}\n{"id": \n', "line 2: not JSON"),
        ("m.jsonl", b"[1]\n", "line 1: not a JSON object"),
        ("m.jsonl", b'{"id": "\xff"}\n', "cannot be read: .*utf-8"),
        ("m.jsonl", b"[" * 100_000, "line 1: not JSON"),
        ("m.json", b'{"id": 1}', "not a list of JSON objects"),
        ("m.json", b"[", "not JSON"),
        ("m.csv", b"a,b\n1,2\n3\n", "line 3: 1 cells, 2 columns"),
        ("m.csv", b'a,b\n1,"2\n', "not CSV"),
        ("m.csv", b"a,a\n1,2\n", "two columns have one name"),
        ("m.parquet", b"PAR1", "not Parquet"),
        ("m.xlsx", b"", "metadata of type '.xlsx' is not read; .*metadata.jsonl"),
    ],
)
def test_a_broken_file_is_named_with_its_line(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=message) as error:
        open_folder(tmp_path / name, "mis")
    assert name in error.value.where


def test_a_folder_without_metadata_or_with_two_is_named(tmp_path):
    with pytest.raises(DataError, match=r"no metadata.jsonl, .*metadata.parquet in it"):
        open_folder(tmp_path, "mis")
    with pytest.raises(DataError, match="no such file or folder"):
        open_folder(tmp_path / "nowhere", "mis")
    (tmp_path / "metadata.json").write_text("[]")
    (tmp_path / "metadata.csv").write_text("id\n")
    with pytest.raises(DataError, match=r"several metadata files: metadata.json, metadata.csv"):
        open_folder(tmp_path, "mis")


@pytest.fixture
def hub(folder, tmp_path, monkeypatch):
    """Return a local copy of a hub data set with Image and ClassLabel columns."""
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    encoded = [(folder / "images" / f"{name}.png").read_bytes() for name in ("red", "green")]
    label = ClassLabel(names=["safe", "unsafe"])
    features = Features({"id": Value("int64"), "image_0": Image(), "label_0": label})
    rows = {
        "id": [7, 8],
        "image_0": [{"bytes": data, "path": None} for data in encoded],
        "label_0": [1, None],
    }
    (tmp_path / "hub").mkdir()
    Dataset.from_dict(rows, features=features).to_parquet(tmp_path / "hub" / "test.parquet")
    return tmp_path / "hub"


def test_a_hub_data_set_keeps_its_images_encoded(hub, folder):
    table = open_hub(str(hub), split="test", config=None, revision=None)
    assert table.columns == ("id", "image_0", "label_0")
    cell = table.cell(1, "image_0")
    assert cell["bytes"] == (folder / "images" / "green.png").read_bytes()
    assert [table.cell(row, "id") for row in (0, 1)] == [7, 8]
    assert [table.cell(row, "label_0") for row in (0, 1)] == ["unsafe", None]
    assert table.cell(0, "nothing") is None
    assert table.place(1, "id") == f"{hub} [test], row 2, column id"


def test_a_hub_data_set_that_does_not_load_is_named(hub):
    with pytest.raises(DataError, match=r"\[valid\]: does not load: .*valid"):
        open_hub(str(hub), split="valid", config=None, revision=None)


def test_images_inside_parquet_are_read_cell_by_cell(tmp_path):
    image = pa.array(
        [{"bytes": b"abc", "path": None}],
        pa.struct([("bytes", pa.binary()), ("path", pa.string())]),
    )
    pq.write_table(pa.table({"id": ["a"], "image_0": image}), tmp_path / "metadata.parquet")
    table = open_folder(tmp_path, "mis")
    assert table.cell(0, "image_0") == {"bytes": b"abc", "path": None}
    assert table.place(0, "image_0").endswith("row 1, column image_0")
