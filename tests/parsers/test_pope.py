"""Table C4 of the specification: what four published evaluators make of one answer."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vlm_eval.parsers.base import PARSERS
from vlm_eval.parsers.yes_no import YesNo

CHOICES = ("Yes", "No")
PUBLISHED = ("pope", "repope", "lmms_pope", "vlmevalkit_yes_no")
TABLE = {
    "Yes": ("Yes", "Yes", "Yes", "Yes"),
    "No": ("No", "No", "No", "No"),
    "yes.": ("Yes", "Yes", None, "Yes"),
    "no.": ("No", "No", None, "No"),
    "NO": ("Yes", "No", "No", "No"),
    "No\n": ("Yes", "No", "No", "No"),
    "There is not a dog in the image.": ("No", "No", None, None),
    "There isn't a dog.": ("Yes", None, None, None),
    "Yes. There is no cat though.": ("Yes", "Yes", None, None),
    "I cannot see one.": ("Yes", "No", None, None),
    "Not sure": ("Yes", "No", None, None),
    "": ("Yes", None, None, None),
}
CANONICAL = {
    "Yes": "Yes",
    "no.": "No",
    "NO": "No",
    "No\n": "No",
    "**Yes**": "Yes",
    "ＹＥＳ": "Yes",
    "There is not a dog in the image.": "No",
    "There isn't a dog.": "No",
    "There isn’t a dog.": "No",
    "Yes. There is no cat though.": "Yes",
    "No, but yes to the cat.": "No",
    "Yes, no doubt about it.": "Yes",
    "Yes. No problem.": "Yes",
    "I cannot see one.": "No",
    "There are none.": "No",
    "I would say yes.": "Yes",
    "I would say yes, there is no doubt": None,
    "Not yes": None,
    "Yes or No": None,
    "yes/no": None,
    "A dog stands on the grass.": None,
    "No-one is there, nothing either": None,
    "Nowhere": None,
    "yesterday": None,
    "<think>no</think>Yes": "Yes",
    "<think>Yes": None,
    "": None,
}


def answer(parser, text, choices=CHOICES):
    return PARSERS.get(parser)()(text, choices).answer


@pytest.mark.parametrize("text", TABLE)
def test_published_evaluators_read_as_the_table_says(text):
    assert tuple(answer(parser, text) for parser in PUBLISHED) == TABLE[text]


@pytest.mark.parametrize("text", CANONICAL)
def test_the_canonical_parser_takes_the_first_word_or_the_only_kind(text):
    assert answer("pope_canonical", text) == CANONICAL[text]


@pytest.mark.parametrize("parser", [*PUBLISHED, "pope_canonical"])
def test_the_choice_is_returned_as_it_is_spelled(parser):
    assert answer(parser, "no", ("YES", "no")) == "no"
    assert answer(parser, "yes", ("maybe", "other")) is None


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("unit", ["no ", "n't", "a-", "'", "\u0301", "ye", "<think>", "\n-"])
@pytest.mark.parametrize("parser", [*PUBLISHED, "pope_canonical"])
def test_a_megabyte_takes_linear_time(parser, unit):
    assert answer(parser, unit * (1_000_000 // len(unit))) in (None, *CHOICES)


@given(st.text())
def test_the_published_rules_of_yes_no_are_the_same_rules(text):
    for parser, policy in (("pope", "pope"), ("vlmevalkit_yes_no", "vlmeval")):
        assert answer(parser, text) == YesNo(policy=policy)(text, CHOICES).answer


@given(st.text(st.characters(codec="utf-8")), st.sampled_from(CHOICES))
def test_the_canonical_parser_reads_a_first_word_whatever_follows(text, word):
    assert answer("pope_canonical", f"{word}. {unicodedata.normalize('NFC', text)}") in (
        word,
        # a closing tag says that all before it was reasoning
        *((None, *CHOICES) if "<" in text else ()),
    )
