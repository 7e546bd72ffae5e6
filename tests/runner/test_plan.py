"""Planning finds every fault first, and counts."""

from __future__ import annotations

import pytest

from vlm_eval.core.errors import DataError, TaskError
from vlm_eval.runner import plan
from vlm_eval.runner.plan import Plan, Settings, make_plans
from vlm_eval.tasks.index import TaskIndex
from vlm_eval.tasks.trials import Trial


def rendered(planned: Plan) -> list[list[Trial]]:
    return [list(planned.trials(block)) for block in planned.blocks()]


def test_trials_requests_and_units(write, folder, monkeypatch) -> None:
    write()
    (planned,) = make_plans([TaskIndex([folder]).load("toy")], Settings())
    assert (planned.size.samples, planned.size.trials, planned.units) == (3, 3 * 5, 1)
    (whole,) = rendered(planned)
    ids = [trial.request.id for trial in whole]
    assert planned.size.requests == len(set(ids))
    assert planned.size.shared == {}
    monkeypatch.setattr(plan, "UNIT", 4)
    units = rendered(planned)
    assert [len(unit) for unit in units] == [5, 5, 5], "a sample is never torn"
    assert planned.units == 3
    assert [trial.request.id for unit in units for trial in unit] == ids


def test_a_question_of_two_units_is_asked_by_the_first(write, folder, monkeypatch) -> None:
    write(("word: brick", "word: rose"), ('answer: "No"', 'answer: "Yes"'))
    monkeypatch.setattr(plan, "UNIT", 4)
    (planned,) = make_plans([TaskIndex([folder]).load("toy")], Settings())
    first, second, third = ({t.request.id for t in unit} for unit in rendered(planned))
    assert first & second
    assert planned.size.shared == dict.fromkeys(first & second, 0)
    assert not planned.elsewhere(0)
    assert planned.elsewhere(1) == first & second
    assert not planned.elsewhere(2) & third


@pytest.mark.parametrize(
    ("samples", "size"),
    [(1, 25), (100, 25), (818, 25), (1000, 31), (3275, 102), (10**6, 102)],
)
def test_units_are_small_enough_to_share_and_large_enough_to_batch(
    write, folder, samples, size
) -> None:
    """Of 5 conditions: 128 trials at least, 512 at most, 32 units in between."""
    write()
    task = TaskIndex([folder]).load("toy")
    assert plan.block_size(task, samples) == size


def test_settings_reach_the_trials(write, folder) -> None:
    write()
    settings = Settings(limit=1, decoding={"max_new_tokens": 3})
    (planned,) = make_plans([TaskIndex([folder]).load("toy")], settings)
    (trials,) = rendered(planned)
    assert len(trials) == planned.size.trials == 5
    assert {t.request.decoding.max_new_tokens for t in trials if t.request.decoding} == {3}


def test_a_metric_that_does_not_fit_is_found_before_anything_is_asked(write, folder) -> None:
    write(("{name: paired_difference, factor: blur}", "{name: paired_difference, factor: blurr}"))
    with pytest.raises(TaskError, match="blurr"):
        make_plans([TaskIndex([folder]).load("toy")], Settings())


def test_the_description_is_json_and_whole(write, folder) -> None:
    from vlm_eval.core.hashing import canonical_json, digest

    write()
    (planned,) = make_plans([TaskIndex([folder]).load("toy")], Settings())
    entry = planned.describe()
    canonical_json(entry)
    assert digest(entry["spec"]) == entry["digest"]
    assert entry["trials"] == 15
    assert entry["data"]["notice"] == "synthetic: a toy"


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("slices: [kind]", "slices: [knd]", "key 'slices': .*'knd', which no row has"),
        ("- accuracy", "- {name: accuracy, score: acuracy}", r"key 'metrics\[0\]': .*'acuracy'"),
    ],
)
def test_a_field_or_score_that_is_not_there_is_found_before_too(
    write, folder, old, new, words
) -> None:
    write((old, new))
    with pytest.raises(TaskError, match=words):
        make_plans([TaskIndex([folder]).load("toy")], Settings())


def test_a_task_without_samples_is_not_planned(write, folder) -> None:
    write(("  table:\n", "  kinds: [green]\n  table:\n"))
    with pytest.raises(DataError, match="no rows"):
        make_plans([TaskIndex([folder]).load("toy")], Settings())
