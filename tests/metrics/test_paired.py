from dataclasses import replace

import pytest

from vlm_eval.core.errors import DataError, TaskError
from vlm_eval.core.options import build
from vlm_eval.metrics.paired import PairedDifference
from vlm_eval.metrics.table import METRICS
from vlm_eval.stats.multiplicity import holm

SAMPLES = [{"id": f"s{i:02}", "cluster": f"c{i // 2}", "game": "xy"[i % 2]} for i in range(24)]
FACTORS = {"blur": (0, 5, 11), "order": ("ab", "ba")}


def answers(trial):
    number = int(trial["id"][1:])
    if trial["blur"] == 11 and number == 20:
        raise KeyError
    if trial["blur"] == 11 and number == 21:
        return None
    return "wrong" if number < trial["blur"] else "right"


@pytest.fixture
def table(make_table):
    return make_table(SAMPLES, FACTORS, answers)


def test_one_comparison_for_each_level_against_the_first(table) -> None:
    five, eleven = PairedDifference(factor="blur")(table)
    assert (five.name, five.factor, five.baseline, five.level) == ("accuracy", "blur", 0, 5)
    assert (five.n_pairs, five.n_clusters) == (48, 12)
    assert five.difference == pytest.approx(-5 / 24)
    assert five.right_to_wrong == 10
    assert (eleven.level, eleven.n_pairs) == (11, 46)
    assert eleven.dropped == {"baseline_missing": 0, "level_missing": 0, "failed": 2}
    assert eleven.difference == pytest.approx(-(22 + 2) / 46)
    assert (eleven.parse_failures_baseline, eleven.parse_failures_level) == (0, 2)
    assert eleven.bound_high - eleven.bound_low == pytest.approx(2 / 46)
    assert eleven.retained == pytest.approx((22 / 46 - 0.5) / 0.5)


def test_holm_is_over_the_whole_family(table) -> None:
    results = PairedDifference(factor="blur", by=("game",))(table)
    assert [c.where for c in results] == [{}, {"game": "x"}, {"game": "y"}] * 2
    assert {c.family for c in results} == {6}
    assert [c.p_adjusted for c in results] == pytest.approx(holm([c.p for c in results]))
    assert [c.n_pairs for c in results] == [48, 24, 24, 46, 22, 24]


def test_another_baseline_negates_the_difference(table) -> None:
    from_zero = PairedDifference(factor="blur")(table)[0]
    from_five = PairedDifference(factor="blur", baseline=5)(table)[0]
    assert (from_five.baseline, from_five.level) == (5, 0)
    assert from_five.difference == -from_zero.difference
    assert from_five.p == from_zero.p


def test_controls_are_marked_and_in_no_family(make_table) -> None:
    controls = {"blur": (5,)}
    table = make_table(SAMPLES, FACTORS, answers, controls=controls)
    five, eleven = PairedDifference(factor="blur")(table)
    assert (five.control, five.family, five.p_adjusted) == (True, 0, None)
    assert five.p is not None
    assert (eleven.control, eleven.family) == (False, 1)
    assert eleven.p_adjusted == eleven.p


def test_pairs_are_joined_by_id_whatever_the_order_of_rows(table) -> None:
    results = PairedDifference(factor="blur", by=("game",))(table)
    turned = replace(table, rows=table.rows[::-1])
    assert PairedDifference(factor="blur", by=("game",))(turned) == results


def test_missing_pairs_are_counted(table) -> None:
    gone = {("s00", 0), ("s01", 5), ("s02", 5)}
    rows = tuple(r for r in table.rows if (r.sample_id, r.condition["blur"]) not in gone)
    five = PairedDifference(factor="blur")(replace(table, rows=rows))[0]
    assert five.dropped == {"baseline_missing": 2, "level_missing": 4, "failed": 0}
    assert five.n_pairs == 42
    assert five.dropped_share == pytest.approx(6 / 48)


def test_no_chance_no_retained_share(make_table) -> None:
    table = make_table(SAMPLES, FACTORS, answers, chance=None)
    assert PairedDifference(factor="blur")(table)[0].retained is None


def test_another_score(table) -> None:
    rows = tuple(
        replace(
            row,
            scores={**row.scores, "accuracy_literal": 1.0} if row.scores else {},
            literal=None if row.condition["blur"] else "right",
        )
        for row in table.rows
    )
    five = PairedDifference(factor="blur", score="accuracy_literal")(replace(table, rows=rows))[0]
    assert (five.name, five.difference) == ("accuracy_literal", 0.0)
    assert (five.parse_failures_baseline, five.parse_failures_level) == (0, 48)
    assert five.answer_change_rate == 1.0


def test_an_empty_table_gives_unknown_values(table) -> None:
    results = PairedDifference(factor="blur", by=("game",))(replace(table, rows=()))
    assert [(c.level, c.n_pairs, c.difference, c.p) for c in results] == [
        (5, 0, None, None),
        (11, 0, None, None),
    ]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"factor": "blurr"}, "did you mean blur"),
        ({"factor": "blur", "baseline": 7}, "level 7 of 'blur'"),
        ({"factor": "order", "baseline": "abc"}, "did you mean ab"),
        ({"factor": "blur", "by": ["gme"]}, "did you mean game"),
        ({"factor": "blur", "by": [["game", "blur"]]}, "cannot be broken down by it"),
        ({"factor": "blur", "score": "acuracy"}, "did you mean accuracy"),
        ({"facto": "blur"}, "did you mean factor"),
        ({}, "needs the option 'factor'"),
    ],
)
def test_wrong_options_are_named(table, options, message) -> None:
    with pytest.raises(TaskError, match=message):
        build(METRICS, {"name": "paired_difference", **options}, where="t.yaml")(table)


def test_a_trial_that_is_there_twice_is_refused(table) -> None:
    with pytest.raises(DataError, match="two trials"):
        PairedDifference(factor="blur")(replace(table, rows=(*table.rows, table.rows[3])))
