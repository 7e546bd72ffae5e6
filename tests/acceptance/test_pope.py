"""POPE's real question files: loader, metrics' goldens, and a run on images that are drawn."""

import json
from collections import Counter

import pytest
from PIL import Image

from vlm_eval.cli.main import main
from vlm_eval.core.errors import DataError
from vlm_eval.core.options import build
from vlm_eval.data.base import SOURCES
from vlm_eval.data.pope.questions import SPLITS, ask, duplicates, object_of, read_questions
from vlm_eval.data.tables import open_file
from vlm_eval.parsers.base import PARSERS

ARTICLES = {"adversarial": 58, "popular": 44, "random": 149}  # questions with "an"


@pytest.fixture(scope="module")
def folder(shared):
    return shared / "data" / "pope"


@pytest.fixture(scope="module")
def coco(folder):
    return {
        split: read_questions(open_file(folder / f"coco_pope_{split}.json"), split)
        for split in SPLITS
    }


@pytest.fixture(scope="module")
def drawn(folder, tmp_path_factory):
    """Return a local copy whose images are one colour each, keyed by name."""
    root = tmp_path_factory.mktemp("pope")
    (root / "val2014").mkdir()
    names = set()
    for split in SPLITS:
        lines = (folder / f"coco_pope_{split}.json").read_text().splitlines()
        (root / f"coco_pope_{split}.json").write_text("\n".join(lines))
        names |= {json.loads(line)["image"] for line in lines}
    for name in names:
        colour = int(name[-10:-4]) % (1 << 24)
        Image.new("RGB", (8, 8), colour).save(root / "val2014" / name, "PNG")
    return root


@pytest.mark.parametrize("split", SPLITS)
def test_a_split_has_3000_questions_yes_and_no_in_turn(coco, split):
    questions = coco[split]
    assert [q.label for q in questions] == ["yes", "no"] * 1500
    assert [q.id for q in questions] == [str(i) for i in range(1, 3001)]
    assert set(Counter(q.image for q in questions).values()) == {6}
    assert len({q.image for q in questions}) == 500
    assert duplicates(questions) == []


@pytest.mark.parametrize("split", SPLITS)
def test_objects_and_articles(coco, split):
    questions = coco[split]
    assert len({q.object for q in questions}) == 79
    assert sum(" an " in q.text for q in questions) == ARTICLES[split]
    assert not any("imange" in q.text for q in questions)
    odd = {q.text for q in questions if q.text != ask(object_of(q.text))}
    slip = {"Is there an traffic light in the image?"}  # the one wrong article of the release
    assert odd == (slip if split == "random" else set())


def test_the_union_of_the_splits(coco):
    union = {(q.image, q.text) for questions in coco.values() for q in questions}
    assert len(union) == 5127
    assert len({text for _, text in union}) == 80  # 79 objects, one of them with both articles
    positives = [
        {(q.image, q.text) for q in questions if q.label == "yes"} for questions in coco.values()
    ]
    assert positives[0] == positives[1] == positives[2]
    assert len(positives[0]) == 1500


def test_the_seem_file_is_an_array_with_one_duplicate(folder):
    table = open_file(folder / "aokvqa_pope_seem_adversarial.json")
    questions = read_questions(table, "adversarial")
    assert Counter(q.label for q in questions) == {"yes": 1500, "no": 1500}
    ((one, other),) = duplicates(questions)
    assert (one.id, other.id, one.object) == ("1952", "1954", "person")


def test_popev2_has_pairs_of_an_edited_and_an_original_image(folder):
    questions = read_questions(open_file(folder / "popev2_annotations.json"), "popev2")
    assert Counter(q.label for q in questions) == {"yes": 500, "no": 500}
    assert Counter(q.image.rsplit("/", 1)[0] for q in questions) == {
        "images": 500, "coco/train2017": 500
    }  # fmt: skip
    assert all(q.object == object_of(q.text) for q in questions)
    assert len({q.scene for q in questions}) == 500


def test_the_question_files_without_images_say_what_is_missing(folder):
    source = build(SOURCES, {"name": "pope", "path": str(folder)}, where=None)
    with pytest.raises(DataError, match=r"none of the 500 images .*val2014"):
        source.info()


def test_rows_of_all_splits(drawn):
    source = build(SOURCES, {"name": "pope", "path": str(drawn), "split": SPLITS}, where=None)
    rows = list(source.rows())
    assert len(rows) == len({(r["split"], r["question_id"]) for r in rows}) == 9000
    assert len({r["scene"] for r in rows}) == 500
    assert source.info().notice is None
    assert not source.info().synthetic


def test_the_official_example_answer_is_read_as_yes(folder):
    example = json.loads((folder / "answer_example.jsonl").read_text())
    for parser in ("pope", "repope", "lmms_pope", "vlmevalkit_yes_no", "pope_canonical"):
        assert PARSERS.get(parser)()(example["answer"], ("Yes", "No")).answer == "Yes"


@pytest.mark.parametrize(
    ("said", "golden"),
    [
        ("Yes", {"accuracy": 0.5, "precision": 0.5, "recall": 1, "f1": 2 / 3, "yes_ratio": 1}),
        ("No", {"accuracy": 0.5, "precision": 0, "recall": 0, "f1": 0, "yes_ratio": 0}),
    ],
)
def test_a_constant_model_through_the_command_line(drawn, said, golden, tmp_path):
    run = tmp_path / "run"
    asked = ["--model", f"mock:constant={said}", "--tasks", "pope", "--data", f"pope={drawn}"]
    assert main([*asked, "--limit", "900", "--output_path", str(run)]) == 0
    (task,) = json.loads((run / "results.json").read_text())["tasks"].values()
    assert not task["synthetic"]
    # The positives, which the splits share, are asked once.
    assert task["counts"]["trials"] == 900
    assert 150 + 150 < task["counts"]["asked"] < 150 + 3 * 150
    estimates = {
        (e["name"], e["where"].get("split")): e["value"]
        for e in task["estimates"]
        if set(e["where"]) <= {"split"}
    }
    for parser in ("", "_literal", "_repope", "_lmms_pope", "_vlmevalkit_yes_no"):
        for split in (*SPLITS, None):
            found = {name: estimates[f"{name}{parser}", split] for name in golden}
            assert found == pytest.approx(golden)
