"""`vlm_eval data check` of POPE: files, questions, labels and images of every split."""

from __future__ import annotations

import json

import pytest
from PIL import Image

from vlm_eval.core.options import build
from vlm_eval.data.base import SOURCES
from vlm_eval.data.check import check_source

NAMES = ("a.jpg", "b.jpg")


def rows(**changes):
    found = [
        {"question_id": i, "image": NAMES[i % 2], "text": f"Is there a {word} in the image?",
         "label": ("yes", "no")[i % 2]}
        for i, word in enumerate(("dog", "cat", "bus", "cup"))
    ]  # fmt: skip
    found[0] |= changes
    return found


@pytest.fixture
def copy(tmp_path):
    (tmp_path / "val2014").mkdir()
    for name in NAMES:
        Image.new("RGB", (4, 4), "red").save(tmp_path / "val2014" / name)
    return tmp_path


def write(copy, split, rows, name="coco_pope_{}.json"):
    (copy / name.format(split)).write_text("\n".join(map(json.dumps, rows)))


def check(copy, **options):
    return check_source(build(SOURCES, {"name": "pope", "path": str(copy), **options}, where=None))


def test_splits_are_counted_and_those_not_asked_for_may_be_missing(copy):
    write(copy, "adversarial", rows())
    found = check(copy)
    count = {"split": "adversarial", "questions": 4, "yes": 2, "no": 2, "images": 2}
    assert found.counts == (count,)
    assert found.usable
    assert "split adversarial: 4 questions, 3000 as published" in found.notes
    assert sum("no coco_pope_" in note for note in found.notes) == 2
    both = check(copy, split=["adversarial", "random"])
    assert [fault.partition(":")[0] for fault in both.faults] == ["split random"]


def test_every_fault_is_told(copy):
    wrong = [*rows(label="maybe"), {**rows()[1], "question_id": 9, "label": "yes"}]
    write(copy, "adversarial", [*wrong, wrong[1]])
    write(copy, "random", [{"question": "?"}] * 2)
    (copy / "val2014" / "b.jpg").unlink()
    (copy / "val2014" / "a.jpg").write_bytes(b"broken")
    faults = check(copy).faults
    assert [any(words in fault for fault in faults) for words in (
        "the label is yes or no, not 'maybe'",
        "id '1' is also that of",
        "'Is there a cat in the image?' is yes, but no at",
        "the columns question are no POPE questions",
        "image b.jpg is in no known folder",
        "a.jpg: not a readable",
    )] == [True] * 6  # fmt: skip
    assert len(faults) == 6


def test_a_copy_without_images_is_one_fault(copy):
    write(copy, "adversarial", rows())
    for name in NAMES:
        (copy / "val2014" / name).unlink()
    found = check(copy)
    assert found.faults == (f"none of the 2 images is in {copy}, such as a.jpg",)
    assert any("DIR/val2014/*.jpg" in note for note in found.notes)


def test_questions_that_are_there_twice_are_a_note(copy):
    write(copy, "adversarial", [*rows(), {**rows()[0], "question_id": 77}])
    found = check(copy)
    assert found.usable
    assert any("1 questions are there twice" in note for note in found.notes)


def test_relatives_of_pope_are_checked_in_their_own_layout(copy):
    write(copy, "adversarial", rows(), "coco_repope_{}.json")
    assert check(copy, annotations="repope").usable
    [fault] = check(copy, annotations="popev2").faults
    assert fault.startswith("split popev2: no popev2_annotations.json")
