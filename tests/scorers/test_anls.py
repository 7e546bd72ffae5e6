import pytest
from hypothesis import given
from hypothesis import strategies as st

from vlm_eval.scorers.anls import Anls, levenshtein, similarity


def by_definition(one, other):
    row = list(range(len(other) + 1))
    for i, a in enumerate(one, 1):
        last, row[0] = row[0], i
        for j, b in enumerate(other, 1):
            last, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, last + (a != b))
    return row[-1]


@given(st.text("abc", max_size=12), st.text("abc", max_size=12))
def test_the_distance_is_levenshteins(one, other):
    assert levenshtein(one, other) == by_definition(one, other) == levenshtein(other, one)


@pytest.mark.parametrize(
    ("answer", "score"),
    [
        ("Receive", 1),
        ("  RECEIVE ", 1),
        ("recieve", 5 / 7),
        ("rec", 0),  # 3 / 7 is below one half
        ("receive now", 7 / 11),
        ("", 0),
        ("x" * 100_000, 0),
    ],
)
def test_similarity_with_its_threshold(answer, score):
    assert Anls(answers=None)("", answer, "receive", {})["accuracy"] == pytest.approx(score)


def test_one_half_is_kept():
    assert similarity("ab", "ac") == 0.5
    assert similarity("ab", "ac", threshold=0.51) == 0


def test_the_best_reference_counts():
    assert Anls()("", "cat", "x", {"answers": ["dog", "cats"]})["accuracy"] == 0.75


def test_only_the_beginning_of_two_long_texts_is_compared():
    assert similarity("a" * 5_000, "a" * 2_000 + "b" * 3_000) == 1
