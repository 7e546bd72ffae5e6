import pytest

from vlm_eval.core.errors import TaskError
from vlm_eval.metrics.slices import slices

SAMPLES = [
    {"id": "1", "game": "reversi", "size": 10},
    {"id": "2", "game": "connect4", "size": 9},
    {"id": "3", "game": "connect4", "size": None},
]


@pytest.fixture
def table(make_table):
    return make_table(SAMPLES, {"rule": ("standard", "inverse")}, lambda _: "right")


def test_the_whole_table_comes_first_then_each_breakdown(table) -> None:
    found = [(where, len(part.rows)) for where, part in slices(table, ("game", ("game", "rule")))]
    assert found == [
        ({}, 6),
        ({"game": "connect4"}, 4),
        ({"game": "reversi"}, 2),
        ({"game": "connect4", "rule": "standard"}, 2),
        ({"game": "connect4", "rule": "inverse"}, 2),
        ({"game": "reversi", "rule": "standard"}, 1),
        ({"game": "reversi", "rule": "inverse"}, 1),
    ]


def test_numbers_are_sorted_by_size_and_missing_values_are_no_slice(table) -> None:
    assert [where for where, _ in slices(table, ("size",))] == [{}, {"size": 9}, {"size": 10}]


def test_an_unknown_field_is_an_error(table) -> None:
    with pytest.raises(TaskError, match="did you mean game"):
        list(slices(table, ("gaem",)))


def test_a_field_that_is_unknown_everywhere_breaks_nothing_down(make_table) -> None:
    samples = [{**sample, "size": None} for sample in SAMPLES]
    table = make_table(samples, {"rule": ("standard", "inverse")}, lambda _: "right")
    assert [where for where, _ in slices(table, ("size",))] == [{}]
