"""Rows that are held as columns are the rows that were given."""

from __future__ import annotations

import math
import tracemalloc
from dataclasses import replace
from sys import getsizeof

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vlm_eval.metrics.rows import TableRow, TableRows

words = st.sampled_from(["a", "b", ""])
levels = st.sampled_from([0, 1, True, "1", "x"])
rows = st.builds(
    TableRow,
    sample_id=words,
    cluster=words,
    condition=st.dictionaries(st.sampled_from(["rule", "blur"]), levels),
    fields=st.dictionaries(st.sampled_from(["rule", "game"]), levels | st.none() | st.lists(words)),
    gold=words,
    answer=st.none() | words,
    scores=st.dictionaries(st.sampled_from(["accuracy", "bleu"]), st.floats(0, 1)),
    failed=st.booleans(),
    choices=st.none() | st.lists(words).map(tuple),
    logprobs=st.none() | st.lists(st.floats(-9, 0), max_size=3).map(tuple),
    token_counts=st.none() | st.lists(st.integers(1, 3), max_size=3).map(tuple),
    image_tokens=st.none() | st.integers(0, 3),
    parser_rule=words,
    literal=st.none() | words,
    also=st.dictionaries(words, st.none() | words),
    text=st.none() | words,
    request=words,
)


@given(st.lists(rows))
def test_rows_are_what_was_given(given) -> None:
    held = TableRows(iter(given))
    assert held == given
    assert repr(list(held)) == repr(given), "1, 1.0 and True are equal, and other levels"
    assert [held[place] for place in range(-len(given), 0)] == given
    assert held[1:] == given[1:]
    assert held[::-1] == given[::-1]
    assert held != [*given, TableRow("z", "z", {}, {}, "", None, {})]
    assert TableRows.of(held) is held


@given(st.lists(rows), st.data())
def test_columns_of_a_part_are_those_of_its_rows(given, data) -> None:
    places = data.draw(st.lists(st.sampled_from(range(len(given))) if given else st.nothing()))
    part = TableRows(given).part(np.array(places, np.intp))
    expected = [given[place] for place in places]
    assert part == expected
    for name in ("rule", "blur", "game", "absent"):
        values, codes = part.value(name)
        assert [values[code] for code in codes] == [row.value(name) for row in expected]
    for name in ("sample_id", "condition", "answer", "failed", "also"):
        values, codes = part.attribute(name)
        assert [values[code] for code in codes] == [getattr(row, name) for row in expected]
    for name in ("accuracy", "bleu", "absent"):
        scores = [row.scores.get(name, math.nan) for row in expected]
        assert np.array_equal(part.score(name), scores, equal_nan=True)
        has = part.scores.where(lambda names, name=name: name in names)
        assert has.tolist() == [name in row.scores for row in expected]


def test_a_row_that_is_held_is_a_row() -> None:
    given = make(7)
    (held,) = TableRows([given])
    assert isinstance(held, TableRow)
    assert repr(held) == repr(given)
    assert held.value("rule") == "standard"
    assert held.value("game") == "chess"
    changed = replace(held, scores={"bleu": 0.5})
    assert (changed.scores, changed.sample_id) == ({"bleu": 0.5}, "7")
    assert changed != held
    with pytest.raises(AttributeError, match="'colour'"):
        held.colour  # noqa: B018


def test_a_row_takes_bytes_and_not_a_kilobyte() -> None:
    tracemalloc.start()
    try:
        held = TableRows(make(number % 100) for number in range(20_000))
        size, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(held) == 20_000
    assert size / 20_000 < 150
    assert getsizeof(held[0]) < 64


def make(number: int) -> TableRow:
    return TableRow(
        sample_id=str(number),
        cluster=str(number),
        condition={"rule": "standard"},
        fields={"game": "chess", "words": ["a", number % 3]},
        gold="X",
        answer="O",
        scores={"accuracy": 0.0},
        choices=("X", "O"),
        logprobs=(-1.5, -0.5),
        token_counts=(1, 1),
        request=f"{number:064}",
    )
