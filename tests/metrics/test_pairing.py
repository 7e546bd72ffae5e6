from dataclasses import replace

import pytest

from vlm_eval.core.errors import DataError
from vlm_eval.metrics.pairing import (
    ABSENT,
    aligned,
    answer_for,
    join_sides,
    two_sides,
    unparsed,
)
from vlm_eval.metrics.slices import slice_places
from vlm_eval.stats.pairs import Trial, align

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
    sides = join_sides(table, "rule", "accuracy", "standard", "inverse")
    read = table.take(sides.read)
    found = [(where, len(places)) for where, places in slice_places(read, ("label", "game"))]
    assert found == [
        ({}, 8),
        ({"label": "standard"}, 8),
        ({"game": "x"}, 4),
        ({"game": "y"}, 4),
    ]


@pytest.fixture
def uneven(make_table):
    """Two orders, one of them under one rule only; a failure, an unparsed answer, a lost trial."""
    said = {("s0", "inverse", "ab"): None, ("s1", "inverse", "ab"): "wrong"}

    def answer(trial):
        if (trial["id"], trial["rule"], trial["order"]) == ("s2", "standard", "ab"):
            raise KeyError
        return said.get((trial["id"], trial["rule"], trial["order"]), "right")

    samples = [{**sample, "cluster": sample["game"]} for sample in SAMPLES]
    made = make_table(samples, FACTORS, answer)
    lost = ({"rule": "standard", "order": "ab"}, "s3")
    return replace(
        made,
        rows=tuple(
            row
            for row in made.rows
            if (row.condition, row.sample_id) != lost
            and row.condition != {"rule": "inverse", "order": "ba"}
        ),
    )


def test_arrays_say_what_trials_joined_one_by_one_do(uneven) -> None:
    names = ("rule", "accuracy", "standard", "inverse")
    one, other = (
        {
            key: Trial(
                row.cluster,
                None if row.failed else row.scores["accuracy"],
                answer_for(row, "accuracy"),
            )
            for key, row in side.items()
        }
        for side in two_sides(uneven, *names)
    )
    expected = align(one, other)
    found = aligned(uneven, "rule", "accuracy", join_sides(uneven, *names))
    assert found.dropped == expected.dropped
    assert found.dropped == {"baseline_missing": 1, "level_missing": 0, "failed": 1}
    for name in ("baseline", "level", "changed", "unparsed_baseline", "unparsed_level"):
        assert getattr(found, name).tolist() == getattr(expected, name).tolist()
    assert found.level.tolist() == [0.0, 0.0]
    assert found.unparsed_level.tolist() == [True, False]
    assert found.clusters.index.tolist() == expected.clusters.index.tolist()
    assert found.clusters.sizes.tolist() == expected.clusters.sizes.tolist() == [2]


def test_sides_are_in_the_order_of_the_pairs_and_say_what_is_absent(uneven) -> None:
    sides = join_sides(uneven, "rule", "accuracy", "standard", "inverse")
    read = [uneven.rows[i] for i in sides.read]
    assert [row.sample_id for row in read] == ["s0", "s1", "s2", "s3"]
    assert (sides.one == ABSENT).tolist() == [False, False, False, True]
    assert len(sides.both.one) == 3
    assert sides.part(sides.one != ABSENT).one.tolist() == sides.both.one.tolist()


def test_clusters_that_differ_within_a_pair_are_an_error_that_names_it(table) -> None:
    rows = tuple(
        replace(row, cluster="other")
        if row.sample_id == "s1" and row.condition == {"rule": "inverse", "order": "ba"}
        else row
        for row in table.rows
    )
    table = replace(table, rows=rows)
    sides = join_sides(table, "rule", "accuracy", "standard", "inverse")
    with pytest.raises(DataError, match=r"pair \('s1', 'order=ba'\).*'s1'.*'other'"):
        aligned(table, "rule", "accuracy", sides)


def test_unparsed_is_about_the_parser_of_the_score(table) -> None:
    rows = tuple(replace(row, literal=None, also={"pope": "x"}) for row in table.rows)
    table = replace(table, rows=rows)
    assert unparsed(table, "accuracy_literal").all()
    assert not unparsed(table, "accuracy").any()
    assert not unparsed(table, "accuracy_pope").any()


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
