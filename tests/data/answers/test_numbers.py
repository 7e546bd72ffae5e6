from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vlm_eval.data.answers.numbers import as_number, is_percentage, numbers, spelled, value_of


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("2 and 3", [2, 3]),
        ("1,234.50 and -7", [Decimal("1234.5"), -7]),
        ("1,2,3", [1, 2, 3]),
        ("12,34", [12, 34]),
        ("3-4", [3, 4]),
        ("x=-4", [-4]),
        ("2e3", [2000]),
        (".5", [Decimal("0.5")]),
        ("40 %", [40]),
        ("3D B2 1.2.3 v2", []),
        ("9" * 41, []),
        ("2²", []),
    ],
)
def test_numbers_are_found_whole(text, found):
    assert [value_of(match) for match in numbers(text)] == found


@pytest.mark.parametrize("text", ["", "2 and 3", "4 legs", "nan", "inf", "1_000", "0x1", "1" * 50])
def test_what_is_no_number_alone(text):
    assert as_number(text) is None


def test_percentages_are_told():
    assert (is_percentage("40 %"), is_percentage("40")) == (True, False)


@given(st.integers(-(10**9), 10**9), st.integers(0, 3))
def test_a_spelling_is_read_back(whole, places):
    value = Decimal(whole).scaleb(-places)
    assert as_number(spelled(value)) == value
    assert spelled(Decimal(spelled(value))) == spelled(value)
