from dataclasses import replace

import pytest

from vlm_eval.core.errors import DataError, TaskError
from vlm_eval.metrics.checks import check_field, check_level, check_trials

SAMPLES = [{"id": "a", "game": "x", "parts": ["l"]}, {"id": "b", "game": "y", "parts": ["m"]}]


@pytest.fixture
def table(make_table):
    return make_table(SAMPLES, {"rule": ("standard", "inverse")}, lambda _: "right")


def test_the_right_names_pass(table) -> None:
    check_trials(table, "accuracy")
    check_level(table, "rule", "standard", "inverse")
    check_field(table, "rule")
    check_field(table, "game")


@pytest.mark.parametrize(
    ("check", "arguments", "message"),
    [
        (check_trials, ["acuracy"], r"demo: .*score 'acuracy'.*did you mean accuracy\?"),
        (check_level, ["rul"], r"demo: .*factor 'rul'.*did you mean rule\?"),
        (check_level, ["rule", "inverted"], r"level 'inverted' of 'rule'.*did you mean inverse\?"),
        (check_field, ["gam"], r"field 'gam'.*did you mean game\?"),
        (check_field, ["parts"], "lists or mappings"),
    ],
)
def test_a_wrong_name_names_the_nearest(table, check, arguments, message) -> None:
    with pytest.raises(TaskError, match=message):
        check(table, *arguments)


def test_factors_are_checked_without_rows_and_scores_and_fields_are_not(table) -> None:
    empty = replace(table, rows=())
    check_trials(empty, "anything")
    check_field(empty, "anything")
    with pytest.raises(TaskError):
        check_level(empty, "rul")


def test_a_trial_that_is_there_twice_is_refused(table) -> None:
    """A peer counts a question once for every split that holds it."""
    doubled = replace(table, rows=(*table.rows, replace(table.rows[0], fields={"game": "z"})))
    with pytest.raises(
        DataError, match=r"sample .a. has two trials under the condition .rule=standard"
    ):
        check_trials(doubled, "accuracy")


def test_failed_trials_have_no_scores_to_miss(make_table) -> None:
    def fail(trial):
        raise KeyError

    check_trials(make_table(SAMPLES, {"rule": ("a",)}, fail), "accuracy")
