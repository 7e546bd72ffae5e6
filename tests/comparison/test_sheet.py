"""CSV that is data to every spreadsheet."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vlm_eval.comparison.markdown import escape
from vlm_eval.comparison.sheet import FORMULA, csv_text


@given(st.lists(st.text(), min_size=1, max_size=4))
def test_no_text_begins_a_formula_or_breaks_a_line(texts) -> None:
    columns = [f"c{i}" for i in range(len(texts))]
    text = csv_text(columns, [dict(zip(columns, texts, strict=True))])
    header, row = list(csv.reader(io.StringIO(text)))
    assert header == columns
    assert len(row) == len(texts)
    assert not any(cell.lstrip(" ").startswith(FORMULA) for cell in row)
    assert not any(ord(c) < 32 and c not in "\t" for cell in row for c in cell)


@pytest.mark.parametrize("first", ["=", "+", "-", "@", "\t", "  ="])
def test_a_formula_gets_an_apostrophe(first) -> None:
    text = csv_text(["a"], [{"a": f"{first}1+1"}])
    assert next(iter(list(csv.reader(io.StringIO(text)))[1])).startswith("'")


def test_numbers_stay_numbers_and_unknown_is_empty() -> None:
    rows = [{"a": -0.5, "b": None, "c": True, "d": 3}]
    assert csv_text(list("abcd"), rows) == "a,b,c,d\n-0.5,,true,3\n"


@given(st.text())
def test_markdown_has_no_markup_of_a_text(text) -> None:
    shown = escape(text)
    assert "<" not in shown
    assert "\n" not in shown
    assert "://" not in shown
    for i, character in enumerate(shown):
        if character in "|*_[]~`":
            assert shown[i - 1] == "\\"
