"""Columns give back what was put in, exactly, and write once what recurs."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vlm_eval.metrics.columns import IN_MEMORY, Coded, Coding, Fields, Floats, Texts, Vectors

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.floats(-3, 3) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=1), inner),
    max_leaves=4,
)
floats = st.floats(allow_nan=False)
surrogates = st.text(st.characters(), max_size=4)


def filled(column, values):
    """Return a column that was given values in three parts."""
    values = list(values)
    for part in (values[:1], values[1:4], values[4:]):
        column.extend(part)
    return column


def taken(column, values):
    """Return all values of a column from the last to the first."""
    return [column.at(row) for row in reversed(range(len(values)))]


@given(st.lists(json_values))
def test_a_coding_gives_back_values_of_their_own_kind(values) -> None:
    found = taken(filled(Coding(), values), values)
    assert repr(found) == repr(values[::-1])  # 1, 1.0 and True are equal, and other values


def test_a_coding_writes_equal_values_once() -> None:
    column = filled(Coding(), [["a"], "b", ["a"], "".join(["", "b"])])
    assert column.coded.codes.tolist() == [0, 1, 0, 1]
    assert column.at(0) is column.at(2)


@pytest.mark.parametrize(("distinct", "size"), [(256, 1), (257, 2), (65_536, 2), (65_537, 4)])
def test_a_coding_takes_the_bytes_that_it_needs(distinct, size) -> None:
    column = filled(Coding(), map(str, range(distinct)))
    assert column.coded.codes.itemsize == size
    assert (column.at(0), column.at(255), column.at(distinct - 1)) == (
        "0",
        "255",
        f"{distinct - 1}",
    )


@given(st.lists(st.none() | floats))
def test_floats_are_kept_to_the_bit_and_none_is_nan(values) -> None:
    expected = [math.nan if value is None else value for value in values[::-1]]
    assert repr(taken(filled(Floats(), values), values)) == repr(expected)


@given(st.lists(st.none() | st.lists(floats, max_size=3).map(tuple)))
def test_vectors_of_any_length_are_kept_to_the_bit(values) -> None:
    assert repr(taken(filled(Vectors(), values), values)) == repr(values[::-1])


@given(st.lists(st.none() | surrogates | st.just("\ud83d")))
def test_texts_are_kept_and_nothing_is_not_the_empty_text(values) -> None:
    assert taken(filled(Texts(), values), values) == values[::-1]


def test_many_texts_are_not_held_in_memory() -> None:
    values = [f"{number} {'x' * 1_000}" for number in range(3 * IN_MEMORY // 1_000)]
    column = filled(Texts(), values)
    assert column._file._rolled, "on the disk"
    assert taken(column, values) == values[::-1]


@given(st.lists(st.dictionaries(st.sampled_from("abc"), json_values)))
def test_a_row_s_fields_are_its_own_in_their_order(values) -> None:
    column = filled(Fields(Coding), values)
    found = taken(column, values)
    assert [repr(dict(fields)) for fields in found] == [repr(fields) for fields in values[::-1]]
    assert [len(fields) for fields in found] == [len(fields) for fields in values[::-1]]
    assert found == values[::-1]
    for fields in found:
        assert fields.get("d") is None
        with pytest.raises(KeyError):
            fields["d"]


def test_a_score_that_a_row_does_not_have_is_no_nan_in_it() -> None:
    column = filled(Fields(Floats), [{"a": 1.0}, {"b": math.nan}, {}])
    assert [dict(column.at(row)).keys() for row in range(3)] == [{"a"}, {"b"}, set()]
    assert np.isnan(column.columns["a"].array).tolist() == [False, True, True]


@given(st.lists(st.integers(0, 3)), st.lists(st.integers(2, 5)), st.data())
def test_columns_are_compared_and_joined_row_by_row(one, other, data) -> None:
    size = min(len(one), len(other))
    own = np.array(data.draw(st.lists(st.booleans(), min_size=size, max_size=size)), bool)
    a, b = Coded.of(one[:size]), Coded.of(other[:size])
    assert a.same(b).tolist() == [x == y for x, y in zip(one, other, strict=False)]
    values, codes = a.either(own, b)
    found = [values[code] for code in codes]
    assert found == [x if mine else y for x, y, mine in zip(one, other, own, strict=False)]
    assert len(set(values)) == len(values)


@given(st.lists(st.sampled_from(["b", "a", "c", ""])), st.data())
def test_a_part_has_its_own_values_and_ranks_of_the_whole(names, data) -> None:
    rows = data.draw(st.lists(st.sampled_from(range(len(names))) if names else st.nothing()))
    part = Coded.of(names).part(np.array(rows, np.intp))
    there = [names[row] for row in rows]
    assert set(part.present) == set(there)
    assert len(part.present) == len(set(there))
    ranks = part.ranks(str)
    assert [there[i] for i in np.argsort(ranks, kind="stable")] == sorted(there)
    assert part.equal("a").tolist() == [name == "a" for name in there]
    assert part.where(len).tolist() == [bool(name) for name in there]


def test_values_that_are_equal_are_merged() -> None:
    values, codes = filled(Coding(), [1, True, 1.0, 0]).coded.merged()
    assert list(values) == [1, 0]
    assert codes.tolist() == [0, 0, 0, 1]


def test_values_that_cannot_be_hashed_are_coded_by_what_they_say() -> None:
    values, codes = Coded.of([["a"], None, ["a"], {"b": 1}])
    assert codes.tolist() == [0, 1, 0, 2]
    assert list(values) == [["a"], None, {"b": 1}]
