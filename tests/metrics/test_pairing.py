from dataclasses import replace

import pytest

from vlm_eval.metrics.pairing import answer_for, sliced_sides, two_sides

SAMPLES = [{"id": f"s{i}", "game": "x" if i < 2 else "y"} for i in range(4)]
FACTORS = {"rule": ("standard", "inverse"), "order": ("ab", "ba")}


@pytest.fixture
def table(make_table):
    return make_table(SAMPLES, FACTORS, lambda _: "right")


def test_a_pair_differs_in_the_factor_alone(table) -> None:
    one, other = two_sides(table, "rule", "accuracy", "standard", "inverse")
    assert one.keys() == other.keys()
    assert len(one) == 8
    for key, row in one.items():
        assert row.sample_id == other[key].sample_id == key[0]
        assert row.condition["order"] == other[key].condition["order"]
        assert (row.condition["rule"], other[key].condition["rule"]) == ("standard", "inverse")


def test_conditions_that_one_side_lacks_by_design_are_no_missing_pairs(table) -> None:
    rows = tuple(r for r in table.rows if r.condition != {"rule": "inverse", "order": "ba"})
    one, other = two_sides(replace(table, rows=rows), "rule", "accuracy", "standard", "inverse")
    assert {key[1] for key in [*one, *other]} == {"order=ab"}
    one, other = two_sides(
        replace(table, rows=tuple(r for r in rows if r.sample_id != "s0")),
        "order",
        "accuracy",
        "ab",
        "ba",
    )
    assert len(one) == len(other) == 3


def test_a_missing_trial_stays_missing_on_its_side(table) -> None:
    one, other = two_sides(
        replace(table, rows=table.rows[1:]), "rule", "accuracy", "standard", "inverse"
    )
    assert len(one) == 7
    assert len(other) == 8


def test_a_level_without_any_trial_leaves_the_other_side_unpaired(table) -> None:
    one, other = two_sides(table.where(rule="standard"), "rule", "accuracy", "standard", "inverse")
    assert (len(one), len(other)) == (8, 0)


def test_rows_that_are_not_about_the_score_do_not_enter(table) -> None:
    rows = (replace(table.rows[0], scores={"margin": 1.0}), *table.rows[1:])
    one, _ = two_sides(replace(table, rows=rows), "rule", "accuracy", "standard", "inverse")
    assert len(one) == 7


def test_slices_read_fields_on_the_baselines_side(table) -> None:
    rows = tuple(
        replace(row, fields={**row.fields, "label": row.condition["rule"]}) for row in table.rows
    )
    table = replace(table, rows=rows)
    one, other = two_sides(table, "rule", "accuracy", "standard", "inverse")
    found = [
        (where, len(a), len(b))
        for where, a, b in sliced_sides(table, one, other, ("label", "game"))
    ]
    assert found == [
        ({}, 8, 8),
        ({"label": "standard"}, 8, 8),
        ({"game": "x"}, 4, 4),
        ({"game": "y"}, 4, 4),
    ]


def test_the_literal_score_is_about_the_literal_answer(table) -> None:
    row = replace(table.rows[0], answer="a", literal="b")
    assert answer_for(row, "accuracy") == "a"
    assert answer_for(row, "accuracy_literal") == "b"


def test_of_a_partial_table_only_whole_pairs_are_taken(table) -> None:
    partial = replace(table, rows=table.rows[1:], partial=True)
    one, other = two_sides(partial, "rule", "accuracy", "standard", "inverse")
    assert list(one) == list(other)
    assert len(one) == 7
    assert partial.where(rule="standard").partial


def test_another_parsers_score_is_about_what_that_parser_found(table) -> None:
    row = replace(table.rows[0], answer="Yes", literal="No", also={"repope": None, "pope": "No"})
    assert answer_for(row, "accuracy_pope") == "No"
    assert answer_for(row, "accuracy_repope") is None
    assert answer_for(row, "accuracy_literal") == "No"
    assert answer_for(row, "accuracy_length_normalised") == answer_for(row, "bleu") == "Yes"
