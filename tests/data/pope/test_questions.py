import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vlm_eval.core.errors import DataError
from vlm_eval.data.pope.questions import ask, duplicates, object_of, read_questions, relabel
from vlm_eval.data.scenes.objects import NAMES
from vlm_eval.data.tables import open_file

ROWS = [
    {
        "question_id": i,
        "image": "COCO_1.jpg",
        "text": f"Is there {it} in the image?",
        "label": label,
    }
    for i, it, label in ((1, "a dog", "yes"), (2, "an apple", "no"))
]
V2 = [
    {"image_id": 7, "image_name": "/images/007.jpg", "target_object": "remote",
     "query": "Is there a remote in the image?", "label": "No"},
    {"image_id": 7, "image_name": "/coco/train2017/007.jpg", "target_object": "remote",
     "query": "Is there a remote in the image?", "label": "Yes"},
]  # fmt: skip


@pytest.fixture
def read(tmp_path):
    def read(rows, *, lines=False, split="random"):
        file = tmp_path / "questions.json"
        text = "\n".join(map(json.dumps, rows)) if lines else json.dumps(rows, indent=4)
        file.write_text(text)
        return read_questions(open_file(file), split)

    return read


@pytest.mark.parametrize("lines", [True, False])
def test_json_lines_and_arrays_are_read_alike(read, lines):
    found = read(ROWS, lines=lines)
    assert [(q.split, q.id, q.image, q.object, q.label) for q in found] == [
        ("random", "1", "COCO_1.jpg", "dog", "yes"),
        ("random", "2", "COCO_1.jpg", "apple", "no"),
    ]
    assert found[0].place.endswith("line 1" if lines else "row 1")


def test_popev2_has_other_keys_and_no_ids(read):
    found = read(V2, split="popev2")
    assert [(q.id, q.image, q.object, q.label, q.scene) for q in found] == [
        ("1", "images/007.jpg", "remote", "no", "007"),
        ("2", "coco/train2017/007.jpg", "remote", "yes", "007"),
    ]


def test_the_hub_table_has_other_keys_and_a_category(read):
    rows = [
        {"question_id": str(i), "question": f"Is there a {n} in the image?", "answer": "yes",
         "image_source": f"COCO_{i}", "category": category}
        for i, (n, category) in enumerate(
            [("dog", "random"), ("cat", "popular"), ("cow", "random")]
        )
    ]  # fmt: skip
    assert [(q.id, q.object) for q in read(rows)] == [("0", "dog"), ("2", "cow")]
    assert [q.object for q in read(rows, split="popular")] == ["cat"]
    with pytest.raises(DataError, match="no question of the split 'adversarial'"):
        read(rows, split="adversarial")


def test_ids_are_unique_in_a_split(read):
    with pytest.raises(DataError, match=r"line 2: id '1' is also that of .*line 1"):
        read([ROWS[0], {**ROWS[1], "question_id": 1}], lines=True)


def test_a_question_asked_twice_is_kept_and_named(read):
    found = read([ROWS[0], {**ROWS[0], "question_id": 2}])
    assert [(a.id, b.id) for a, b in duplicates(found)] == [("1", "2")]
    assert duplicates(read(ROWS)) == []


def test_a_question_with_two_answers_is_refused(read):
    with pytest.raises(DataError, match="is no, but yes at"):
        read([ROWS[0], {**ROWS[0], "question_id": 2, "label": "no"}])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"label": "maybe"}, "column label: the label is yes or no, not 'maybe'"),
        ({"label": None}, "column label: empty"),
        ({"text": " "}, "column text: empty"),
        ({"question_id": True}, "column question_id: not a text but bool"),
        ({"image": 3}, "column image: not a text but int"),
    ],
)
def test_a_wrong_cell_is_named(read, change, message):
    with pytest.raises(DataError, match=f"row 2, {message}"):
        read([ROWS[0], {**ROWS[1], **change}])


def test_unknown_columns_are_named(read):
    with pytest.raises(DataError, match="the columns question_id, prompt are no POPE questions"):
        read([{"question_id": 1, "prompt": "?"}])


def test_revised_labels_are_joined_by_id(read):
    pope = read(ROWS)
    revised = read([{**ROWS[1], "label": "yes"}])
    (kept,) = relabel(pope, revised)
    assert (kept.id, kept.label, kept.pope_label) == ("2", "yes", "no")
    with pytest.raises(DataError, match="POPE has no question '3'"):
        relabel(pope, read([{**ROWS[1], "question_id": 3}]))
    with pytest.raises(DataError, match=r"is 'Is there an apple in the image\?' on COCO_1.jpg"):
        relabel(pope, read([{**ROWS[0], "question_id": 2}]))


@given(st.sampled_from(NAMES) | st.from_regex(r"[a-z]+( [a-z]+)?", fullmatch=True))
def test_the_object_can_be_read_off_the_question(name):
    assert object_of(ask(name)) == name
    assert ask(name).split()[2] == ("an" if name[0] in "aeiou" else "a")


def test_other_questions_have_no_object():
    assert object_of("What is it?") is None
    assert object_of("Is there an traffic light in the image?") == "traffic light"
