from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import Markup

from vlm_eval.reports.text import (
    address,
    decimal,
    interval,
    isolated,
    levels,
    marked,
    p_value,
    percent,
    shown,
    slug,
    visible,
)

HARMLESS = {"\u200c", "\u200d"}  # joiners, which emoji and several scripts need


@given(st.text(st.characters(), max_size=40))
def test_nothing_that_is_printed_can_act(text: str) -> None:
    for character in visible(text):
        category = unicodedata.category(character)
        assert category not in {"Cs", "Zl", "Zp"}
        assert category != "Cc" or character in "\n\t"
        assert category != "Cf" or character in HARMLESS or not _reorders(character)
    assert "\n" not in visible(text, lines=False)


def _reorders(character: str) -> bool:
    return unicodedata.bidirectional(character) in {
        "LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI", "L", "R", "AL",
    }  # fmt: skip


def test_controls_are_symbols_and_letters_stay() -> None:
    assert visible("a\x00\r\nb\x7f\x85") == "a␀␍\nb␡⟨U+0085⟩"
    assert visible("\u202eevil\u2066") == "⟨U+202E⟩evil⟨U+2066⟩"
    assert visible("\ud800") == "\ufffd"
    assert visible("نعم é 👩‍🚀") == "نعم é 👩‍🚀"
    assert visible("a\nb", lines=False) == "a␊b"


def test_markup_is_escaped_once_and_only_where_it_is_none() -> None:
    assert isolated("<b>\u202e") == "<bdi>&lt;b&gt;⟨U+202E⟩</bdi>"
    assert levels({"<i>": "</span>"}) == (
        "<span class=level><i>&lt;i&gt;</i> <bdi>&lt;/span&gt;</bdi></span>"
    )
    assert shown(Markup("<p>")) == "<p>"
    assert shown("\x1b") == "␛"
    assert shown(3) == "3"


@pytest.mark.parametrize(
    ("span", "expected"),
    [
        ((4, 7), "a \x1b <mark>yes</mark> &lt;"),
        (None, "a \x1b yes &lt;"),
        ((3, 99), "a \x1b yes &lt;"),
        ((5, 5), "a \x1b yes &lt;"),
    ],
)
def test_the_parsed_passage_is_marked(span: tuple[int, int] | None, expected: str) -> None:
    assert marked("a \x1b yes <", span) == expected.replace("\x1b", "␛")


def test_numbers_have_a_true_minus_and_unknown_is_a_dash() -> None:
    assert percent(-0.1234) == "−12.3"
    assert percent(0.5, signed=True) == "+50.0"
    assert percent(-0.00001, signed=True) == "0.0"
    assert percent(-1.5, unit="nats") == "−1.50"
    assert percent(None) == decimal(None) == p_value(None) == interval(0.1, None) == "-"
    assert interval(-0.1, 0.2, signed=True) == "[−10.0, +20.0]"
    assert [p_value(p) for p in (0.00001, 0.0123, 0.5, 1.0)] == [
        "<0.0001",
        "0.0123",
        "0.50",
        "1.00",
    ]


@given(st.text(max_size=30), st.text(max_size=30))
def test_slugs_are_safe_file_names_and_differ_where_names_do(one: str, other: str) -> None:
    for name in (one, other):
        assert slug(name).strip("abcdefghijklmnopqrstuvwxyz0123456789_-") == ""
        assert 0 < len(slug(name)) < 100
    assert (slug(one) == slug(other)) == (one == other)


def test_a_path_is_no_slug() -> None:
    assert "/" not in slug("../../etc/passwd")
    assert slug("..") != ".."


def test_an_address_names_levels_as_the_browser_does() -> None:
    assert address("s.html", factor="a b", level=5.0, field="", value=None) == (
        "s.html#factor=a+b&level=5"
    )
    assert address("s.html", level=True) == "s.html#level=true"
    assert address("s.html", level=0, field="<&#>") == "s.html#level=0&field=%3C%26%23%3E"


def test_what_rounds_to_zero_has_no_sign() -> None:
    assert [decimal(x) for x in (-0.0004, -0.006, 0.0)] == ["0.00", "\u22120.01", "0.00"]
