"""Results come from the run folder alone, whatever the order of its lines."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

import vlm_eval
from vlm_eval.core.errors import RunError
from vlm_eval.runner.folder import RunFolder
from vlm_eval.runner.summarise import summarise, tasks_of
from vlm_eval.tasks.index import TaskIndex


@pytest.fixture
def run(write, folder) -> RunFolder:
    write()
    vlm_eval.evaluate(
        "mock:fail=0.3", "toy", include_path=[folder], output_path="run", progress=False
    )
    return RunFolder("run")


def lines(run: RunFolder) -> list[bytes]:
    return (run.records / "rank-000.jsonl").read_bytes().splitlines(keepends=True)


def test_the_stored_task_is_the_task(run, folder) -> None:
    (stored,) = tasks_of(run)
    task = TaskIndex([folder]).load("toy")
    assert stored.digest == task.digest
    assert stored.conditions() == task.conditions()


@pytest.mark.parametrize("seed", range(3))
def test_the_order_and_the_number_of_files_do_not_matter(run, seed) -> None:
    before = summarise(run, tasks_of(run))
    rows = lines(run)
    random.Random(seed).shuffle(rows)
    half = len(rows) // 2
    (run.records / "rank-000.jsonl").write_bytes(b"".join(rows[:half]))
    (run.records / "rank-001.jsonl").write_bytes(b"".join(rows[half:]))
    after = summarise(run, tasks_of(run))
    assert after.tasks == before.tasks
    assert list(after.records) == ["rank-000.jsonl", "rank-001.jsonl"]


def test_the_papers_own_parser_has_results_of_its_own(tmp_path) -> None:
    results = vlm_eval.evaluate(
        "mock:constant=The winner is A and not B.", "vlm-fix-inverse-dots_boxes", limit=4,
        output="generate", output_path=tmp_path / "run", progress=False,
    )  # fmt: skip
    (task,) = results.tasks
    names = {estimate.name for estimate in task.estimates}
    assert {"accuracy", "accuracy_literal", "fixation_gap", "fixation_gap_literal"} <= names
    # The strict parser takes neither of two labels; the paper's takes the last one mentioned.
    assert task.counts.literal_rules == {"last_word": 32}
    assert "last_word" not in task.counts.rules


def test_without_text_there_are_no_results_of_the_papers_parser(tmp_path) -> None:
    results = vlm_eval.evaluate(
        "mock", "vlm-fix-inverse-dots_boxes", limit=2, output_path=tmp_path / "run", progress=False
    )
    (task,) = results.tasks
    assert task.counts.literal_rules == {}
    assert not any("literal" in estimate.name for estimate in task.estimates)


def test_failures_are_counted_and_never_scored(run) -> None:
    records = [json.loads(line) for line in lines(run)]
    failed = [r for r in records if r["outcome"] == "failure"]
    assert 0 < len(failed) < len(records)
    (task,) = summarise(run, tasks_of(run)).tasks
    assert (task.counts.failed, task.counts.missing) == (len(failed), 0)
    (overall,) = [e for e in task.estimates if e.name == "accuracy" and not e.where]
    answered = [r["scores"]["accuracy"] for r in records if r["outcome"] == "answer"]
    assert overall.n == len(answered)
    assert overall.value == pytest.approx(sum(answered) / len(answered))


def test_missing_and_torn_lines_are_counted(run) -> None:
    rows = lines(run)
    (run.records / "rank-000.jsonl").write_bytes(b"".join(rows[:-3]) + rows[-3][:9])
    results = summarise(run, tasks_of(run))
    assert results["toy"].counts.missing == 3
    assert results.torn == 1
    assert not results.complete


def test_seconds_count_a_shared_request_once(run) -> None:
    rows = [{**json.loads(line), "seconds": 0.0} for line in lines(run)]
    rows[0]["seconds"] = 1.5
    text = "".join(json.dumps(row) + "\n" for row in rows)
    (run.records / "rank-000.jsonl").write_text(text)
    assert summarise(run, tasks_of(run))["toy"].seconds == 1.5


def test_a_task_that_does_not_load_here_is_one_clear_error(run) -> None:
    text = (run.path / "run.json").read_text()
    (run.path / "run.json").write_text(text.replace('"paired_difference"', '"gone"'))
    with pytest.raises(RunError, match=r"gone.*--current_tasks"):
        tasks_of(run)


def test_no_folder_is_no_run() -> None:
    with pytest.raises(RunError, match="is this a run folder"):
        vlm_eval.score(Path("nowhere"))
