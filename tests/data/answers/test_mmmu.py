import pytest
from hypothesis import given
from hypothesis import strategies as st

from vlm_eval.data.answers.mmmu import candidates, golds, matches


@pytest.mark.parametrize(
    ("text", "gold", "right"),
    [
        ("The answer is 5.", "5", True),
        ("5", "5", True),
        ("So the voltage is 5.004 V", "5", True),
        ("So the voltage is 5.006 V", "5.01", True),
        ("So the voltage is 5.01 V", "5", False),
        ("1,200 dollars", "1200", True),
        ("The answer is 15", "5", False),
        ("First 4 + 3.\nThus x = 7", "7", True),
        ("First 4 + 3.\nThus x = 7", "4", False),  # not in a key phrase
        ("I think the capital is Paris, France.", "paris", True),
        ("The capital could be London", "Paris", False),
        ("The tendency is increasing", "increas", True),  # the published rule: inside words too
        ("The variable is x", "x", True),
        ("It is maximal", "x", False),
        ("It is 12", "['12 cm', '12']", True),
        ("", "5", False),
    ],
)
def test_key_phrases_against_gold(text, gold, right):
    assert matches(candidates(text), golds(gold)) is right


def test_lists_are_read_and_nothing_else_is():
    assert golds("['a', 5]") == ["a", "5"]
    assert golds("[") == ["["]
    assert golds("[x for x in y]") == ["[x for x in y]"]
    assert golds("[]") == ["[]"]


@given(
    st.text()
    | st.lists(st.sampled_from(["is ", "so ", "1,", "000", "e9", ".", "\n", "="])).map("".join)
)
def test_any_text_is_survived(text):
    found = candidates(text)
    assert all(phrase and phrase == phrase.lower() for phrase in found.phrases)
    matches(found, [text, "5"])
