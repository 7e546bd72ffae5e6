"""The typed result, its JSON and its table."""

from __future__ import annotations

import json

import pytest

import vlm_eval
from vlm_eval.core.errors import RunError
from vlm_eval.runner.results import Results


@pytest.fixture
def results(write, folder):
    write()
    return vlm_eval.evaluate(
        "mock", ["toy"], include_path=[folder], output_path="run", progress=False
    )


def test_results_come_back_from_their_file(results, folder) -> None:
    value = json.loads((folder / "run" / "results.json").read_text())
    again = Results.from_json(value, results.folder)
    assert again.to_json() == results.to_json() == value
    assert again.tasks == results.tasks


def test_another_schema_is_refused(results) -> None:
    with pytest.raises(RunError, match="schema 99"):
        Results.from_json({**results.to_json(), "schema": 99}, results.folder)


def test_tasks_are_found_by_name(results) -> None:
    assert results["toy"].version == "1.2.3"
    with pytest.raises(KeyError):
        results["yot"]


def test_counts_add_up(results) -> None:
    counts = results["toy"].counts
    assert counts.answered + counts.failed + counts.missing == counts.trials == 3 * 5
    assert sum(counts.rules.values()) == counts.answered
    assert results.complete
    assert results.failed_share == 0


def test_the_frame_has_a_row_a_number(results) -> None:
    frame = results.to_frame()
    task = results["toy"]
    assert len(frame) == len(task.estimates) + len(task.comparisons)
    assert list(frame.columns[:5]) == ["model", "task", "kind", "name", "where"]
    estimates = frame[frame["kind"] == "estimate"]
    assert estimates["value"].tolist() == pytest.approx([e.value for e in task.estimates])
    comparisons = frame[frame["kind"] == "comparison"]
    assert comparisons["difference"].tolist() == pytest.approx(
        [c.difference for c in task.comparisons]
    )
    assert comparisons["value"].isna().all()
    assert set(frame["model"]) == {"mock"}
