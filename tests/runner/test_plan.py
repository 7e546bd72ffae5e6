"""Planning finds every fault first, and counts."""

from __future__ import annotations

import pytest

from vlm_eval.core.errors import DataError, TaskError
from vlm_eval.runner import plan
from vlm_eval.runner.plan import Settings, make_plans
from vlm_eval.tasks.index import TaskIndex


def test_trials_requests_and_units(write, folder, monkeypatch) -> None:
    write()
    (planned,) = make_plans([TaskIndex([folder]).load("toy")], Settings())
    assert planned.trials == 3 * 5
    ids = [trial.request.id for unit in planned.units() for trial in unit]
    assert planned.requests == len(set(ids))
    monkeypatch.setattr(plan, "UNIT", 4)
    units = list(planned.units())
    assert [len(unit) for unit in units] == [5, 5, 5], "a sample is never torn"
    assert [trial.request.id for unit in units for trial in unit] == ids


def test_settings_reach_the_trials(write, folder) -> None:
    write()
    settings = Settings(limit=1, decoding={"max_new_tokens": 3})
    (planned,) = make_plans([TaskIndex([folder]).load("toy")], settings)
    trials = [trial for unit in planned.units() for trial in unit]
    assert len(trials) == planned.trials == 5
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
