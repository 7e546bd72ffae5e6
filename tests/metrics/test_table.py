from dataclasses import replace

import pytest

SAMPLES = [{"id": "1", "game": "reversi"}, {"id": "2", "game": "connect4"}, {"id": "3"}]


@pytest.fixture
def table(make_table):
    return make_table(SAMPLES, {"rule": ("standard", "inverse")}, lambda _: "right")


def test_a_split_has_every_row_once_where_its_values_are(table) -> None:
    parts = table.split("game", "rule")
    assert sum(len(part.rows) for part in parts.values()) == len(table.rows)
    for (game, rule), part in parts.items():
        assert all((row.value("game"), row.value("rule")) == (game, rule) for row in part.rows)
    assert parts["reversi", "inverse"].rows == table.where(game="reversi", rule="inverse").rows
    assert table.split()[()].rows == table.rows
    assert replace(table, rows=()).split("game") == {}


def test_a_column_is_the_value_of_each_row(table) -> None:
    for name in ("rule", "game", "absent"):
        assert table.column(name) == [row.value(name) for row in table.rows]


def test_the_first_trial_that_is_there_twice_is_named(table) -> None:
    assert table.twice is None
    again = replace(table, rows=(*table.rows, table.rows[1]))
    assert again.twice == (table.rows[1].sample_id, "rule=" + table.rows[1].condition["rule"])
