import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vlm_eval.core.errors import TaskError
from vlm_eval.scorers.vqa import VqaAccuracy, vqa_accuracy


@pytest.mark.parametrize(
    ("agreeing", "score"), [(0, 0), (1, 0.3), (2, 0.6), (3, 0.9), (4, 1), (10, 1)]
)
def test_ten_people(agreeing, score):
    assert vqa_accuracy("x", ["x"] * agreeing + ["y"] * (10 - agreeing)) == score


@given(st.lists(st.sampled_from("ab"), min_size=4, max_size=10))
def test_leaving_one_out_by_hand(people):
    left_out = [people[:i] + people[i + 1 :] for i in range(len(people))]
    expected = sum(min(1, others.count("a") / 3) for others in left_out) / len(people)
    assert vqa_accuracy("a", people) == pytest.approx(expected)


def test_fewer_people_must_all_agree():
    assert vqa_accuracy("a", ["a"]) == 1
    assert vqa_accuracy("a", ["a", "a", "a"]) == 1
    assert vqa_accuracy("a", ["b"]) == 0


def test_both_sides_are_normalised():
    people = [{"answer": said, "answer_id": i} for i, said in enumerate(["Two.", "2", "a two"] * 3)]
    fields = {"answers": [*people, {"answer": "3"}]}
    assert VqaAccuracy()("two", "two", "2", fields)["accuracy"] == 1


def test_variants_differ():
    fields = {"answers": ["man 's"] * 10}
    for variant, score in (("vqav2", 0.0), ("textvqa", 1.0)):
        assert VqaAccuracy(variant=variant)("", "man's", "x", fields) == {"accuracy": score}


def test_a_missing_field_is_named():
    with pytest.raises(TaskError, match=r"'answers'.*did you mean answer"):
        VqaAccuracy()("x", "x", "x", {"answer": "x"})
    with pytest.raises(TaskError, match="an accepted answer is"):
        VqaAccuracy()("x", "x", "x", {"answers": [None]})


def test_a_rendered_template_is_a_list():
    for answers in itertools.islice(itertools.permutations("xxyy"), 3):
        assert VqaAccuracy(answers=answers)("x", "x", "x", {})["accuracy"] == 0.5
