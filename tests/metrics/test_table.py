from dataclasses import replace

import numpy as np
import pytest

from vlm_eval.stats.clusters import Clusters

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


def test_codes_give_the_value_of_each_row(table) -> None:
    for name in ("rule", "game", "absent"):
        values, codes = table.codes(name)
        assert [values[code] for code in codes] == [row.value(name) for row in table.rows]


def test_the_first_trial_that_is_there_twice_is_named(table) -> None:
    assert table.twice is None
    again = replace(table, rows=(*table.rows, table.rows[1]))
    assert again.twice == (table.rows[1].sample_id, "rule=" + table.rows[1].condition["rule"])


def test_arrays_of_a_part_are_those_of_its_rows_however_it_was_made(table) -> None:
    scored = replace(
        table,
        rows=tuple(
            replace(row, scores={"margin": float(i)} if i % 2 else {}, failed=i == 4)
            for i, row in enumerate(table.rows)
        ),
    )
    part = scored.where(rule="inverse").take(np.array([2, 0]))
    for made in (scored, part, part.split("game")["reversi",], replace(part, rows=part.rows[:1])):
        expected = [row.scores.get("margin", np.nan) for row in made.rows]
        assert np.array_equal(made.score("margin"), expected, equal_nan=True)
        assert made.has_score("margin").tolist() == ["margin" in row.scores for row in made.rows]
        assert made.failed.tolist() == [row.failed for row in made.rows]
        values, codes = made.codes("game")
        assert [values[code] for code in codes] == [row.value("game") for row in made.rows]
        expected = Clusters.of(row.cluster for row in made.rows)
        assert made.clusters().index.tolist() == expected.index.tolist()
        assert made.clusters().sizes.tolist() == expected.sizes.tolist()
        among = np.array([False, *(True for _ in made.rows[1:])])
        expected = Clusters.of(row.cluster for row in made.rows[1:])
        assert made.clusters(among).index.tolist() == expected.index.tolist()


def test_what_is_derived_is_computed_once_of_the_whole(table) -> None:
    calls = []

    def lengths(whole):
        calls.append(len(whole.rows))
        return np.array([len(row.sample_id) for row in whole.rows])

    part = table.where(rule="inverse")
    assert part.derived("length", lengths).tolist() == [1, 1, 1]
    assert table.derived("length", lengths).tolist() == [1] * 6
    assert calls == [6]


def test_a_mask_and_groups_say_where_rows_are(table) -> None:
    assert table.mask(rule="inverse").tolist() == [False, True] * 3
    assert table.mask(rule="inverse", game="none of them").tolist() == [False] * 6
    assert {key: list(places) for key, places in table.groups("game").items()} == {
        ("reversi",): [0, 1],
        ("connect4",): [2, 3],
        (None,): [4, 5],
    }
