import pytest

from vlm_eval.parsers.open_answers import MmmuOpen, RealWorldQa, ShortAnswer, VqaAnswer


@pytest.mark.parametrize(
    ("parser", "text", "answer", "rule"),
    [
        (VqaAnswer(), "The two dogs.", "2 dogs", "normalised"),
        (VqaAnswer(), "<think>one</think>A dont know", "don't know", "normalised"),
        (VqaAnswer(), "The.", None, "none"),
        (VqaAnswer(), "", None, "none"),
        (VqaAnswer(variant="textvqa"), "Man's", "man 's", "normalised"),
        (ShortAnswer(), " 25  MPH. ", "25 mph", "text"),
        (ShortAnswer(), ".", None, "none"),
        (ShortAnswer(form="words"), "To the left!", "to the left", "text"),
        (RealWorldQa(), "Yes.", "yes", "text"),
        (RealWorldQa(labels=("A", "B")), "The answer is B", "B", "answer"),
        (RealWorldQa(labels=("A", "B")), "yes", None, "none"),
        (MmmuOpen(), "So the result is 12.50", "12.5", "phrases"),
        (MmmuOpen(), "It is red.\nSo blue", "red; blue", "phrases"),
        (MmmuOpen(), " . ", None, "none"),
    ],
)
def test_the_whole_text_in_a_form(parser, text, answer, rule):
    found = parser(text, ())
    assert (found.answer, found.rule) == (answer, rule)


def test_choices_are_compared_in_that_form():
    assert VqaAnswer()("two", ("2", "3")).answer == "2"
    assert VqaAnswer()("four", ("2", "3")).answer is None
    assert VqaAnswer()("2", ("two", "2.")).answer is None  # two choices are that answer
    assert RealWorldQa(labels=("A", "B"))("B", ("A", "C")).answer is None
