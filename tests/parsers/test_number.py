import pytest
from hypothesis import given
from hypothesis import strategies as st

from vlm_eval.parsers.number import Number


@pytest.mark.parametrize(
    ("text", "answer", "rule"),
    [
        ("{4}", "4", "exact"),
        ("4.", "4", "exact"),
        ("**007**", "7", "exact"),
        ("1,000.0", "1000", "exact"),
        ("-3", "-3", "exact"),
        ("３", "3", "exact"),
        (".5", "0.5", "exact"),
        ("**-.5**", "-0.5", "exact"),
        ("...5", "5", "exact"),
        ("four", "4", "exact"),
        ("Twenty.", "20", "exact"),
        ("There are 4 legs, so {5}", "5", "braces"),
        ("{3} no, {5}", "5", "braces"),
        ("\\boxed{\\text{6}}", "6", "braces"),
        ("{6 legs}", "6", "braces"),
        ("so {}{7}{ }", "7", "braces"),
        ("There are 4 legs.", "4", "only"),
        ("4 legs. I counted: 4", "4", "only"),
        ("It shows 3.5 cm", "3.5", "only"),
        ("<think>3 or 4</think>5 legs", "5", "only"),
        # Digits that stand apart are never joined.
        ("2 and 3", None, "none"),
        ("1/2", None, "none"),
        ("12,34", None, "none"),
        ("{2 and 3}", None, "none"),
        ("4 {answer}", None, "none"),
        ("2²", None, "none"),
        ("2*3", None, "none"),
        ("not 4", None, "none"),
        ("It isn't 4", None, "none"),
        ("There aren’t 4 legs", None, "none"),
        ("one of them", None, "none"),
        ("B2 and 3D", None, "none"),
        ("", None, "none"),
    ],
)
def test_a_count(text, answer, rule):
    found = Number()(text, ())
    assert (found.answer, found.rule) == (answer, rule)


def test_words_that_are_answers_too():
    parser = Number(words=("yes", "no"))
    assert parser("They differ: {No}", ()).answer == "no"
    assert parser("Yes.", ()).answer == "yes"
    assert parser("No idea", ()).answer is None
    assert parser("{3}", ()).answer == "3"
    assert Number()("{No}", ()).answer is None


def test_choices_are_compared_by_value():
    assert Number()("{4.0}", ("3", "4")).answer == "4"
    assert Number()("{5}", ("3", "4")).answer is None
    assert Number(words=("yes",))("{YES}", ("Yes", "No")).answer == "Yes"


@given(st.integers(0, 10**6), st.integers(0, 10**6))
def test_two_different_numbers_are_no_answer(one, other):
    found = Number()(f"{one} or {other}", ())
    assert found.answer == (str(one) if one == other else None)
    assert Number()(f"{one}, hence {{{other}}}", ()).answer == str(other)
