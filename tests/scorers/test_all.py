"""What holds for every scorer: nothing raises, accuracy is a share, time is bounded."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vlm_eval.scorers.base import SCORERS

MEGABYTE = 1_000_000
EVERY = {name: SCORERS.get(name)() for name in SCORERS}
PIECES = [
    "1",
    ",",
    "000",
    ".",
    "%",
    "-",
    "e9",
    "is ",
    "the ",
    "red",
    "\n",
    "n't",
    "é",
    "\ud800",
    "½",
]
TEXTS = st.text() | st.lists(st.sampled_from(PIECES)).map("".join)


@pytest.mark.parametrize("name", EVERY)
@given(text=TEXTS, gold=TEXTS, answers=st.lists(TEXTS, min_size=1, max_size=10))
def test_any_text_has_a_share(name, text, gold, answers):
    scores = EVERY[name](text, text, gold, {"answers": answers})
    assert 0 <= scores["accuracy"] <= 1
    assert all(math.isfinite(score) for score in scores.values())


@pytest.mark.parametrize("name", EVERY)
def test_no_answer_is_wrong(name):
    assert EVERY[name]("yes", None, "yes", {"answers": ["yes"] * 10})["accuracy"] == 0


@pytest.mark.parametrize("name", EVERY)
def test_the_gold_answer_is_right(name):
    assert EVERY[name]("yes", "yes", "yes", {"answers": ["yes"] * 10})["accuracy"] == 1


# The limit is on minutes, which a product of lengths takes, and not on speed.
@pytest.mark.timeout(120)
@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("unit", ["9", "1,000,", "is ", "a ", "-.", "["])
def test_a_megabyte_takes_bounded_time(name, unit):
    text = (unit * (MEGABYTE // len(unit) + 1))[:MEGABYTE]
    for gold in ("5", text):
        scores = EVERY[name](text, text, gold, {"answers": [gold, text[::-1]]})
        assert 0 <= scores["accuracy"] <= 1
