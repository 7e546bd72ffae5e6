import pytest

from vlm_eval.scorers.mmmu import MmmuOpen
from vlm_eval.scorers.one_of import OneOf


@pytest.mark.parametrize(
    ("form", "answer", "right"),
    [
        ("exact", "Left", 1),
        ("exact", "left", 0),
        ("lower", "left. ", 1),
        ("lower", "left!", 0),
        ("words", "(Left)!", 1),
        ("vqav2", "the left", 1),
        ("vqav2", "right", 0),
    ],
)
def test_both_sides_in_one_form(form, answer, right):
    assert OneOf(form=form)("", answer, "Left", {}) == {"accuracy": float(right)}


def test_any_of_a_field():
    fields = {"ok": ["left", "west"]}
    assert OneOf(answers="ok")("", "West.", "x", fields)["accuracy"] == 1
    assert OneOf(answers="ok")("", "x", "x", fields)["accuracy"] == 0


def test_mmmu_reads_the_text_and_not_the_parsers_summary():
    assert MmmuOpen()("So the result is 12.5 cm.", "x", "12.50", {})["accuracy"] == 1
    assert MmmuOpen()("", "12.5", "12.50", {})["accuracy"] == 1
