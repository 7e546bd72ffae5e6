import json

import pytest
from PIL import Image

from vlm_eval.core.errors import DataError, MissingData, TaskError
from vlm_eval.core.options import build
from vlm_eval.data.base import SOURCES
from vlm_eval.data.pope.files import FILES

IMAGES = ("COCO_val2014_000000000001.jpg", "COCO_val2014_000000000002.jpg")


def make(**options):
    return build(SOURCES, {"name": "pope", **options}, where=None)


def questions(negative="apple", *, label="no"):
    rows = []
    for image in IMAGES:
        for text, answer in (("a dog", "yes"), (f"an {negative}", label)):
            rows.append(
                {"question_id": len(rows) + 1, "image": image,
                 "text": f"Is there {text} in the image?", "label": answer}
            )  # fmt: skip
    return rows


def write(file, rows):
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("\n".join(map(json.dumps, rows)))


def draw(folder, names=IMAGES):
    folder.mkdir(parents=True, exist_ok=True)
    for i, name in enumerate(names):
        Image.new("RGB", (20, 10), (90 * i, 0, 0)).save(folder / name)


@pytest.fixture
def copy(tmp_path):
    for split, negative in (("random", "apple"), ("popular", "oven"), ("adversarial", "apple")):
        write(tmp_path / f"coco_pope_{split}.json", questions(negative))
    draw(tmp_path / "val2014")
    return tmp_path


def test_a_local_copy_gives_rows(copy):
    rows = list(make(path=str(copy), split=["random", "popular"]).rows())
    assert [(r["split"], r["question_id"]) for r in rows] == [
        *(("random", str(i)) for i in (1, 2, 3, 4)),
        *(("popular", str(i)) for i in (1, 2, 3, 4)),
    ]
    one = rows[1]
    assert one["question"] == "Is there an apple in the image?"
    assert (one["object"], one["label"], one["answer"]) == ("apple", "no", "No")
    assert (one["image_name"], one["scene"]) == (IMAGES[0], IMAGES[0][:-4])
    assert one["image"].load().size == (20, 10)
    assert one["options"] == one["letters"] == ["Yes", "No"]


def test_one_split_may_be_given_as_text(copy):
    assert {r["split"] for r in make(path=str(copy), split="popular").rows()} == {"popular"}
    assert {r["split"] for r in make(path=str(copy)).rows()} == {"adversarial"}
    with pytest.raises(TaskError, match="split"):
        make(path=str(copy), split="popuar")


@pytest.mark.parametrize("place", ["", "images", "coco/val2014", "images/val2014"])
@pytest.mark.parametrize("name", FILES["pope"])
def test_files_and_images_are_found_in_the_usual_places(tmp_path, name, place):
    write(tmp_path / name.format(split="random"), questions())
    draw(tmp_path / place)
    assert len(list(make(path=str(tmp_path), split="random").rows())) == 4


def test_images_may_lie_elsewhere_and_one_file_may_be_given(copy, tmp_path_factory):
    other = tmp_path_factory.mktemp("coco")
    draw(other / "val2014")
    file = copy / "coco_pope_random.json"
    assert len(list(make(path=str(file), images=str(other), split="random").rows())) == 4
    with pytest.raises(TaskError, match="one file for several splits"):
        list(make(path=str(file), split=["random", "popular"]).rows())


def test_what_is_missing_is_named(copy, tmp_path):
    (copy / "val2014" / IMAGES[1]).unlink()
    with pytest.raises(DataError, match=f"1 of 2 images are missing, such as {IMAGES[1]}"):
        make(path=str(copy)).info()
    (copy / "val2014" / IMAGES[0]).unlink()
    with pytest.raises(MissingData, match="none of the 2 images"):
        make(path=str(copy)).info()
    (copy / "coco_pope_random.json").unlink()
    with pytest.raises(MissingData, match=r"no coco_pope_random.json in .*hub:lmms-lab/POPE"):
        make(path=str(copy), split="random").info()
    with pytest.raises(MissingData, match="no such file or folder"):
        make(path=str(tmp_path / "nowhere")).info()
    with pytest.raises(MissingData, match="embedded runs the synthetic stand-in"):
        make().info()


@pytest.mark.parametrize(
    ("annotations", "parts"),
    [
        ("pope", ("DIR/coco_pope_popular.json", "DIR/val2014", "hub:lmms-lab/POPE,")),
        ("repope", ("DIR/annotations/coco_repope_popular.json", "hub:lmms-lab/POPE,labels=")),
        ("seem_gqa", ("DIR/gqa_pope_seem_popular.json", "images of GQA")),
        ("popev2", ("DIR/popev2_annotations.json", "DIR/coco/train2017")),
    ],
)
def test_what_is_missing_is_said_of_each_annotation(tmp_path, annotations, parts):
    for options in ({}, {"path": str(tmp_path)}):
        with pytest.raises(MissingData) as error:
            make(annotations=annotations, **options).info()
        assert all(part in str(error.value) for part in parts)
        assert ("hub:" in str(error.value)) == (annotations in ("pope", "repope"))


def test_an_image_outside_the_folder_is_refused(copy, tmp_path_factory):
    outside = tmp_path_factory.mktemp("outside")
    draw(outside)
    rows = [{**row, "image": f"../../{outside.name}/{IMAGES[0]}"} for row in questions()]
    write(copy / "coco_pope_random.json", rows)
    with pytest.raises(DataError):
        make(path=str(copy), split="random").info()


def test_repope_replaces_labels_and_leaves_questions_out(copy):
    revised = questions()[:3]
    revised[1]["label"] = "yes"
    write(copy / "annotations" / "coco_repope_random.json", revised)
    source = make(path=str(copy), annotations="repope", split="random")
    rows = list(source.rows())
    assert [(r["question_id"], r["label"], r["pope_label"]) for r in rows] == [
        ("1", "yes", "yes"), ("2", "yes", "no"), ("3", "yes", "yes")
    ]  # fmt: skip
    assert source.info().notice == "1 of 3 labels differ from POPE's"
    (copy / "coco_pope_random.json").unlink()
    alone = make(path=str(copy), annotations="repope", split="random")
    assert [r["label"] for r in alone.rows()] == ["yes", "yes", "yes"]
    assert {r["pope_label"] for r in alone.rows()} == {None}


def test_popev2_has_an_edited_and_an_original_image(tmp_path):
    rows = [
        {"image_id": 1, "image_name": f"/{folder}/007.jpg", "target_object": "dog",
         "query": "Is there a dog in the image?", "label": label}
        for folder, label in (("images", "No"), ("coco/train2017", "Yes"))
    ]  # fmt: skip
    (tmp_path / "annotations.json").write_text(json.dumps(rows))
    draw(tmp_path / "images", ["007.jpg"])
    draw(tmp_path / "coco" / "train2017", ["007.jpg"])
    found = list(make(path=str(tmp_path), annotations="popev2").rows())
    assert [(r["split"], r["answer"], r["scene"]) for r in found] == [
        ("popev2", "No", "007"), ("popev2", "Yes", "007")
    ]  # fmt: skip


def test_a_question_asked_twice_is_said_aloud(copy):
    rows = questions()
    write(copy / "coco_pope_random.json", [*rows, {**rows[0], "question_id": 9}])
    info = make(path=str(copy), split="random").info()
    assert info.notice == "1 of 5 questions asked twice: ids 1 and 9 of random"
    assert not info.synthetic


def test_the_hub_data_set_is_read_with_its_images(tmp_path):
    import io

    from datasets import Dataset, Features, Value
    from datasets import Image as ImageFeature

    data = io.BytesIO()
    Image.new("RGB", (8, 6), "red").save(data, "PNG")
    rows = [
        {"id": str(i), "question_id": str(i), "question": q["text"], "answer": q["label"],
         "image_source": q["image"][:-4], "category": "random",
         "image": {"bytes": data.getvalue(), "path": None}}
        for i, q in enumerate(questions(), start=1)
    ]  # fmt: skip
    names = ("id", "question_id", "question", "answer", "image_source", "category")
    features = Features({**{name: Value("string") for name in names}, "image": ImageFeature()})
    hub = tmp_path / "hub"
    file = hub / "data" / "random-00000-of-00001.parquet"
    file.parent.mkdir(parents=True)
    Dataset.from_list(rows, features=features).to_parquet(str(file))
    source = make(hub=str(hub), config=None, split="random")
    found = list(source.rows())
    assert [r["answer"] for r in found] == ["Yes", "No", "Yes", "No"]
    assert found[0]["image"].load().size == (8, 6)
    _, negative, third, _ = questions()
    labels = tmp_path / "labels"
    write(labels / "coco_repope_random.json", [{**negative, "label": "yes"}, third])
    options = {"hub": str(hub), "config": None, "split": "random", "annotations": "repope"}
    kept = list(make(**options, labels=str(labels)).rows())
    assert [(r["answer"], r["pope_label"]) for r in kept] == [("Yes", "no"), ("Yes", "yes")]
    with pytest.raises(MissingData, match="labels=DIR"):
        make(**options).info()


def test_the_stand_in_is_never_called_pope():
    info = make(embedded=True, count=2).info()
    assert info.synthetic
    assert "not POPE; no number here is a POPE result" in info.notice
    rows = list(make(embedded=True, count=2, split=["random", "adversarial"]).rows())
    assert [r["split"] for r in rows] == ["random"] * 12 + ["adversarial"] * 12
    assert rows[0]["image"].load().size == (224, 224)
    assert rows[0]["image"].key == rows[12]["image"].key
    assert "RePOPE result" in make(embedded=True, annotations="repope", count=2).info().notice


def test_digests_follow_questions_labels_and_images(copy):
    digests = [make(path=str(copy), split="random").info().digest]
    rows = questions()
    write(copy / "coco_pope_random.json", [{**rows[0], "label": "no"}, *rows[1:]])
    digests.append(make(path=str(copy), split="random").info().digest)
    Image.new("RGB", (9, 9)).save(copy / "val2014" / IMAGES[0])
    digests.append(make(path=str(copy), split="random").info().digest)
    digests += [make(embedded=True, count=2, seed=seed).info().digest for seed in (0, 1)]
    assert len(set(digests)) == 5


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"path": "a", "hub": "b"}, "exclude each other"),
        ({"path": "a", "embedded": True}, "exclude each other"),
        ({"hub": "a/b", "annotations": "popev2"}, "no hub data set has popev2"),
    ],
)
def test_contradicting_options_are_refused(options, message):
    with pytest.raises(TaskError, match=message):
        make(**options)
