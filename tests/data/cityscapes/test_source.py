import io

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from vlm_eval.core.errors import DataError, MissingData, TaskError, VlmEvalError
from vlm_eval.core.options import build
from vlm_eval.data.base import SOURCES
from vlm_eval.data.cityscapes.export import export_drawn
from vlm_eval.data.cityscapes.labels import CRITICAL
from vlm_eval.data.cityscapes.source import Cityscapes
from vlm_eval.data.cityscapes.tree import frames


def read(source):
    return [source.fields(row, {}) for row in source.rows()]


def without_images(source):
    return [{k: v for k, v in row.items() if k != "image"} for row in read(source)]


def test_the_mini_tree_as_rows(mini, expected):
    rows = read(Cityscapes(path=str(mini)))
    assert {r["image_id"]: sorted(r["present"]) for r in rows} == {
        name: scene["C_gt_19"] for name, scene in expected.items()
    }
    first = rows[0]
    assert first["image"].load().size == (128, 64)
    assert (first["largest"], first["critical"]) == ("road", list(CRITICAL["fig4_8"]))
    assert first["questions"] == ["description", *CRITICAL["fig4_8"], "safety"]


def test_the_area_threshold_is_its_own_field(mini):
    row = read(Cityscapes(path=str(mini), min_area=0.01))[0]
    assert set(row["present"]) - set(row["present_area"]) == {"pole", "traffic sign"}


def test_what_is_written_is_what_is_drawn(tmp_path):
    export_drawn(tmp_path / "out", 5, seed=3)
    written, drawn = (
        Cityscapes(path=str(tmp_path / "out")),
        Cityscapes(embedded=True, count=5, seed=3),
    )
    assert without_images(written) == without_images(drawn)
    for one, other in zip(read(written), read(drawn), strict=True):
        assert one["image"].load().tobytes() == other["image"].load().tobytes()
    for source in (written, drawn):
        assert source.info().synthetic
        assert "not Cityscapes" in (source.info().notice or "")


def test_a_real_tree_is_not_called_synthetic_but_its_rule_is(mini):
    info = Cityscapes(path=str(mini)).info()
    assert not info.synthetic
    assert "safety labels: synthetic, by the rule gt_corridor_v1" in (info.notice or "")
    assert "critical classes: fig4_8" in (info.notice or "")


def test_safety_labels_come_from_the_file_the_rule_or_nowhere(copy):
    by_rule = {r["image_id"]: r["safety"] for r in read(Cityscapes(path=str(copy)))}
    assert set(by_rule.values()) <= {"safe", "unsafe"}
    silent = Cityscapes(path=str(copy), safety="none")
    assert all(r["safety"] is None and "safety" not in r["questions"] for r in read(silent))
    before = Cityscapes(path=str(copy)).info().digest
    (copy / "safety_labels.csv").write_text("image_id,label\ntestcity_000000_000019,safe\n")
    source = Cityscapes(path=str(copy))
    assert [r["safety"] for r in read(source)] == ["safe", None]
    assert "safety_labels.csv (1 of 2 images have none)" in (source.info().notice or "")
    assert source.info().digest != before
    (copy / "safety_labels.jsonl").write_text("")
    with pytest.raises(DataError, match="both safety_labels"):
        Cityscapes(path=str(copy)).info()


def test_the_digest_follows_labels_names_and_options(copy):
    before = Cityscapes(path=str(copy)).info().digest
    assert before == Cityscapes(path=str(copy)).info().digest
    assert before != Cityscapes(path=str(copy), critical="vru6").info().digest
    path = next(copy.glob("gtFine/val/*/*labelIds.png"))
    values = np.array(Image.open(path))
    values[0, 0] = 26
    Image.fromarray(values).save(path)
    assert Cityscapes(path=str(copy)).info().digest != before


def test_images_are_read_when_asked_for(copy):
    next(copy.glob("leftImg8bit/val/*/*.png")).write_bytes(b"broken")
    source = Cityscapes(path=str(copy))
    assert len(list(source.rows())) == 2
    source.info()
    with pytest.raises(DataError, match="not a readable"):
        [row["image"].load() for row in read(source)]


def test_subsets():
    every = [r["image_id"] for r in Cityscapes(embedded=True, count=70).rows()]
    assert [
        r["image_id"] for r in Cityscapes(embedded=True, count=70, subset="paper_n50").rows()
    ] == every[:50]
    chosen = [
        r["image_id"] for r in Cityscapes(embedded=True, count=70, subset="seeded_n50").rows()
    ]
    assert len(chosen) == 50
    assert chosen == sorted(chosen) != every[:50]
    assert set(chosen) < set(every)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"path": "x", "split": "test"}, "split 'test', which has no labels"),
        ({"path": "x", "split": "vla"}, "split 'vla', which there is not"),
        ({"path": "x", "embedded": True}, "more than one of path, hub and embedded"),
        ({"path": "x", "critical": "fig4"}, "unknown preset critical 'fig4'; did you mean fig4_8"),
        ({"hub": "a/b"}, "a hub mirror needs columns"),
        ({"hub": "a/b", "columns": {"image": "i"}}, "columns names image, labels"),
        ({"path": "x", "encoding": "ids"}, "are for mirrors"),
        ({"path": "x", "subset": "n50"}, "subset"),
    ],
)
def test_wrong_options(options, words):
    with pytest.raises(TaskError, match=words):
        build(SOURCES, {"name": "cityscapes", **options}, where=None)


@pytest.mark.parametrize("path", [None, "nowhere", "."])
def test_missing_data_says_what_is_needed(tmp_path, monkeypatch, path):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(MissingData, match=r"leftImg8bit/val/CITY.*embedded"):
        list(Cityscapes(path=path).rows())


def test_train_is_read_with_a_warning(copy):
    for kind in ("leftImg8bit", "gtFine"):
        (copy / kind / "val").rename(copy / kind / "train")
    assert "warning: the train split" in (
        Cityscapes(path=str(copy), split="train").info().notice or ""
    )


def mirror(tmp_path, mini, encode):
    rows = []
    for frame in frames(mini, "val"):
        stream = io.BytesIO()
        Image.fromarray(encode(frame)).save(stream, "PNG")
        photo, mask = (
            {"bytes": data, "path": None} for data in (frame.image.read_bytes(), stream.getvalue())
        )
        rows.append({"photo": photo, "mask": mask, "name": frame.id})
    pd.DataFrame(rows).to_parquet(tmp_path / "metadata.parquet")
    return {"path": str(tmp_path), "columns": {"image": "photo", "labels": "mask", "id": "name"}}


@pytest.mark.parametrize(
    ("encode", "options"),
    [
        (lambda frame: frame.annotation.label_map(), {}),
        (lambda frame: frame.annotation.train_ids(), {}),
        (lambda frame: frame.annotation.train_ids(), {"encoding": "train_ids"}),
        (
            lambda frame: (frame.annotation.label_map() + 100).astype(np.uint8),
            {"id2label": {107: "road", 126: "car", 123: "sky", 111: "building"}},
        ),
    ],
)
def test_a_mirror_is_read_by_column_map(tmp_path, mini, expected, encode, options):
    given = mirror(tmp_path, mini, encode)
    rows = read(Cityscapes(**given, **options))
    assert [r["image_id"] for r in rows] == sorted(expected)
    for row in rows:
        truth = set(expected[row["image_id"]]["C_gt_19"])
        if "id2label" in options:
            truth &= set(options["id2label"].values())
        assert set(row["present"]) == truth
        assert row["image"].load().size == (128, 64)


def test_columns_may_be_json_as_the_command_line_gives_them(tmp_path, mini):
    mirror(tmp_path, mini, lambda frame: frame.annotation.label_map())
    columns = '{"image": "photo", "labels": "mask"}'
    rows = read(Cityscapes(path=str(tmp_path), columns=columns))
    assert [row["image_id"] for row in rows] == ["row-000000", "row-000001"]


@pytest.mark.parametrize(
    ("encode", "options", "words"),
    [
        (lambda _: np.full((64, 128), 7, np.uint8), {}, "may be label ids or train ids"),
        (lambda f: f.annotation.label_map(), {"encoding": "train_ids"}, "it holds ids"),
        (lambda f: f.annotation.label_map(), {"id2label": {7: "raod"}}, "unknown class 'raod'"),
        (lambda _: np.full((64, 128), 99, np.uint8), {}, "neither ids nor train_ids"),
    ],
)
def test_a_mirror_is_never_guessed_at(tmp_path, mini, encode, options, words):
    given = mirror(tmp_path, mini, encode)
    with pytest.raises(VlmEvalError, match=words):
        read(Cityscapes(**given, **options))


def test_a_missing_column_is_named(tmp_path, mini):
    given = mirror(tmp_path, mini, lambda frame: frame.annotation.label_map())
    given["columns"] = {"image": "photo", "labels": "msk"}
    with pytest.raises(DataError, match="no column 'msk'; did you mean mask"):
        list(Cityscapes(**given).rows())


def test_a_label_map_of_another_size_than_its_image_is_refused(copy):
    path = next(copy.glob("leftImg8bit/val/*/*_000019_leftImg8bit.png"))
    Image.open(path).resize((64, 32)).save(path)
    with pytest.raises(DataError) as caught:
        read(Cityscapes(path=str(copy)))
    assert "label map has 128 x 64 pixels" in caught.value.what
    assert str(path) in caught.value.what
    assert caught.value.what.endswith("64 x 32")
    assert str(caught.value.where).endswith("_000019_gtFine_labelIds.png")


def test_an_image_that_is_stored_on_its_side_has_its_upright_size(copy):
    path = next(copy.glob("leftImg8bit/val/*/*_000019_leftImg8bit.png"))
    upright = Image.open(path)
    exif = Image.Exif()
    exif[0x0112] = 6  # stored turned by 90 degrees
    upright.transpose(Image.Transpose.ROTATE_90).save(path, exif=exif)
    [row, _] = read(Cityscapes(path=str(copy)))
    assert row["image"].load().size == upright.size


def test_the_digest_follows_the_images(copy, tmp_path):
    before = Cityscapes(path=str(copy)).info().digest
    path = next(copy.glob("leftImg8bit/val/*/*.png"))
    image = Image.open(path).convert("RGB")
    image.putpixel((0, 0), (1, 2, 3))
    image.save(path)
    assert Cityscapes(path=str(copy)).info().digest != before
