import pytest
from datasets import Dataset, Features, Image, Value

from vlm_eval.core.errors import DataError, TaskError
from vlm_eval.core.hashing import digest_bytes
from vlm_eval.core.options import build
from vlm_eval.data.base import SOURCES
from vlm_eval.data.pairs.source import Pairs


def make(**options):
    return build(SOURCES, {"name": "pairs", **options}, where=None)


def test_the_stand_in_says_that_it_is_no_mischief():
    info = make(subset="mis", count=3).info()
    assert info.synthetic
    assert "synthetic" in info.notice
    assert "no number here is a MiSCHiEF result" in info.notice
    assert "--data mis=PATH" in info.notice


def test_the_stand_in_has_the_fields_of_a_data_set(folder, records, write):
    write(folder / "metadata.json", records())
    given = next(iter(make(subset="mis", path=str(folder)).rows()))
    for subset in ("mis", "mic"):
        rows = list(make(subset=subset, count=9).rows())
        assert all(row.keys() == given.keys() for row in rows)
        assert len({row["id"] for row in rows}) == 9
        assert {row["subset"] for row in rows} == {subset}
    assert {row["label_0"] for row in make(subset="mis").rows()} <= {"safe", "unsafe"}


def test_a_data_set_is_not_called_synthetic(folder, records, write):
    write(folder / "metadata.csv", records())
    info = make(subset="mis", path=str(folder)).info()
    assert (info.synthetic, info.notice) == (False, None)


def test_the_digest_follows_texts_and_images(folder, records, write):
    rows = records()
    write(folder / "metadata.json", rows)
    first = make(subset="mis", path=str(folder)).info().digest
    assert make(subset="mis", path=str(folder / "metadata.json")).info().digest == first
    rows[0]["caption_0"] += "!"
    write(folder / "metadata.json", rows)
    second = make(subset="mis", path=str(folder)).info().digest
    red, green = (folder / "images" / f"{name}.png" for name in ("red", "green"))
    old, new = red.read_bytes(), green.read_bytes()
    red.write_bytes(new), green.write_bytes(old)
    assert len({first, second, make(subset="mis", path=str(folder)).info().digest}) == 3
    seeds = [make(subset="mis", seed=seed, count=2).info().digest for seed in (0, 1)]
    assert seeds[0] != seeds[1]


def test_the_label_is_that_of_the_side(folder, records, write):
    write(folder / "metadata.json", records())
    source = make(subset="mis", path=str(folder))
    row = list(source.rows())[1]
    labels = [source.fields(row, {"side": side, "order": "ba"})["label"] for side in (0, 1)]
    assert labels == ["unsafe", "safe"]
    assert source.fields(row, {}) == row


def test_dropped_pairs_are_counted_and_named(folder, records, write):
    rows = records()
    rows[1]["image_1"] = rows[1]["image_0"]
    write(folder / "metadata.json", rows)
    notice = make(subset="mis", path=str(folder)).info().notice
    assert notice == "1 of 2 pairs dropped, both images are the same file: p1"


def test_many_dropped_pairs_are_not_all_named(folder, records, write):
    rows = [{**records()[0], "id": f"x{i}", "image_1": "images/red.png"} for i in range(7)]
    write(folder / "metadata.json", [*rows, records()[1]])
    notice = make(subset="mis", path=str(folder)).info().notice
    assert notice.startswith("7 of 8 pairs dropped")
    assert notice.endswith("x0, x1, x2, x3, x4, ...")


def test_a_column_map_is_an_option(folder, records, write):
    rows = [{("key" if k == "id" else k): v for k, v in row.items()} for row in records()]
    write(folder / "metadata.json", rows)
    source = make(subset="mis", path=str(folder), columns={"id": "key"})
    assert [row["id"] for row in source.rows()] == ["p0", "p1"]
    with pytest.raises(DataError, match="no column id; found key"):
        list(make(subset="mis", path=str(folder)).rows())


def test_a_column_map_may_be_json_text(folder, records, write):
    write(folder / "metadata.csv", [{"key" if k == "id" else k: v for k, v in r.items()}
                                    for r in records()])  # fmt: skip
    text = make(subset="mis", path=str(folder), columns='{"id": "key"}')
    assert text == make(subset="mis", path=str(folder), columns={"id": "key"})
    assert [row["id"] for row in text.rows()] == [record["id"] for record in records()]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"subset": "mix"}, "'subset'"),
        ({"subset": "mis", "paht": "x"}, "did you mean path"),
        ({"subset": "mis", "path": "x", "hub": "y"}, "both path and hub"),
        ({"subset": "mis", "columns": "winoground"}, "columns without data"),
        ({"subset": "mis", "path": "x", "columns": "wino"}, "unknown column map 'wino'"),
        ({"subset": "mis", "count": 0}, "'count'"),
    ],
)
def test_wrong_options_are_named(options, message):
    with pytest.raises(TaskError, match=message):
        make(**options)


def test_a_data_set_is_read_once(folder, records, write):
    file = write(folder / "metadata.json", records())
    source = Pairs(subset="mis", path=str(folder))
    digest = source.info().digest
    file.unlink()
    assert source.info().digest == digest
    assert len(list(source.rows())) == 2


def test_a_winoground_shaped_hub_data_set_loads(folder, tmp_path, monkeypatch):
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    encoded = [(folder / "images" / f"{name}.png").read_bytes() for name in ("red", "green")]
    rows = {
        "id": [0],
        **{f"image_{k}": [{"bytes": encoded[k], "path": None}] for k in (0, 1)},
        "caption_0": ["some plants surrounding a lightbulb"],
        "caption_1": ["a lightbulb surrounding some plants"],
        "collapsed_tag": ["Object"],
    }
    features = Features(
        {name: Image() if "image" in name else Value("string") for name in rows}
        | {"id": Value("int32")}
    )
    (tmp_path / "hub").mkdir()
    Dataset.from_dict(rows, features=features).to_parquet(tmp_path / "hub" / "test.parquet")
    source = make(subset="mic", hub=str(tmp_path / "hub"), columns="winoground")
    (row,) = source.rows()
    assert (row["id"], row["category"], row["label_0"]) == ("0", "Object", None)
    assert row["image_1"].key == digest_bytes(encoded[1])
    assert row["image_1"].load().getpixel((0, 0)) == (0, 128, 0)
    assert not source.info().synthetic


def test_a_broken_image_comes_to_light_with_the_first_question_about_it(folder, records, write):
    file = write(folder / "m.jsonl", records())
    (folder / "images" / "yellow.png").write_bytes(b"broken")
    source = make(subset="mis", path=str(file))
    source.info()  # reads no whole image
    sound, broken = source.rows()
    assert source.fields(sound, {"side": 0, "question": "confirm"})["asked"]
    with pytest.raises(DataError, match=r"images/yellow\.png: not a readable") as error:
        source.fields(broken, {"side": 0, "question": "confirm"})
    assert error.value.where == f"{file}, line 2, column image_1"
