import pytest
from hypothesis import given
from hypothesis import strategies as st

from vlm_eval.parsers.vlmbias import LmmsVlmBias, VlmBias


@pytest.mark.parametrize(
    ("text", "answer", "rule"),
    [
        # each rule, and that it takes its last match
        ("{5}", "5", "braces"),
        ("{9}? No: {5}.", "5", "braces"),
        ("{ -2 }", "-2", "braces"),
        ("\\boxed{4} and {5}", "4", "boxed"),
        ("\\boxed{4}, no \\boxed {6}", "6", "boxed"),
        ("\\BOXED{ 3 }", "3", "boxed"),
        ("Answer: 3. There are 7.", "3", "answer"),
        ("final answer = 12, not 13", "12", "answer"),
        ("Answer: 3. Final Answer: 4. 9", "4", "answer"),
        ("3 legs and 4 wheels", "4", "last_integer"),
        ("I count -5", "-5", "last_integer"),
        # boxes come before braces, braces before statements, wherever they stand
        ("{7} ... answer: 8", "7", "braces"),
        ("answer: 8 ... \\boxed{9} {7}", "9", "boxed"),
        # what is no integer in braces falls through
        ("{3.5}", "5", "last_integer"),
        ("{five}", None, "none"),
        ("{4 legs} of 6", "6", "last_integer"),
        ("\\boxed{\\text{4}}", "4", "braces"),
        ("\\{5\\}", "5", "last_integer"),
        ("The answer is 4 of 6", "6", "last_integer"),
        ("**Answer:** 6 of 8", "8", "last_integer"),
        # pieces of numbers, and signs that are none
        ("1,234", "234", "last_integer"),
        ("3.5", "5", "last_integer"),
        ("3-5", "-5", "last_integer"),
        ("+5", "5", "last_integer"),
        ("{05}", "05", "braces"),
        ("4th", "4", "last_integer"),
        # words and nothing
        ("There are four.", None, "none"),
        ("", None, "none"),
        (" \n", None, "none"),
    ],
)
def test_the_published_rules(text, answer, rule):
    found = VlmBias()(text, ())
    assert (found.answer, found.rule) == (answer, rule)
    if found.span:
        assert text[slice(*found.span)] == answer


@given(st.text(alphabet="{}\\boxed answer:=0123456789.,- \n"))
def test_an_answer_is_there_where_a_digit_is(text):
    found = VlmBias()(text, ())
    assert (found.answer is not None) == any(c.isdigit() for c in text)


@pytest.mark.parametrize(
    ("text", "answer", "rule"),
    [
        ("{5}", "5", "digits"),
        ("2 and 3", "23", "digits"),
        ("{3.5}", "35", "digits"),
        ("There are 4 legs: {4}", "44", "digits"),
        ("{Yes}", "yes", "text"),
        ("{}", None, "none"),
        ("", None, "none"),
    ],
)
def test_the_digits_that_lmms_eval_joins(text, answer, rule):
    found = LmmsVlmBias()(text, ())
    assert (found.answer, found.rule) == (answer, rule)


def test_where_there_are_choices_the_answer_is_one_of_them():
    assert VlmBias()("{5}", ("4", "5")).answer == "5"
    assert VlmBias()("{6}", ("4", "5")).rule == LmmsVlmBias()("{6}", ("4", "5")).rule == "none"
