"""A finished run, opened for an analysis."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import vlm_eval
from vlm_eval.core.errors import RunError, TaskError, UsageError
from vlm_eval.internals.base import Study
from vlm_eval.runner.folder import RunFolder
from vlm_eval.runner.study import findings_of, open_study

ANALYSED = ("version: 1.2.3", "version: 1.2.3\nanalyses: [{name: counting, times: 3}]")


@pytest.fixture
def make_run(write, folder, plugin) -> Callable[..., Path]:
    plugin("vlm_eval.analyses", counting="toy_analysis:Counting")

    def make_run(*changes: tuple[str, str], model: str = "mock:seed=2", **options: Any) -> Path:
        write(*changes)
        path = folder / f"run-{len(list(folder.glob('run-*')))}"
        vlm_eval.evaluate(
            model, "toy", include_path=folder, output_path=path, progress=False, **options
        )
        return path

    return make_run


def last_study() -> Study:
    from toy_analysis import SEEN

    return SEEN[-1]


def test_the_task_files_options_are_defaults_and_the_callers_go_before_them(make_run) -> None:
    run = make_run(ANALYSED)
    trials = vlm_eval.score(run).tasks[0].counts.trials
    found = vlm_eval.analyze(run, "counting")
    assert sum(e.n for e in found.estimates) == trials
    assert sum(e.value or 0 for e in found.estimates) == 3 * trials
    again = vlm_eval.analyze(run, "counting", times="2")
    assert sum(e.value or 0 for e in again.estimates) == 2 * trials
    assert (again.task, again.options) == ("toy", {"times": 2})


def test_what_was_found_is_in_the_run_folder(make_run) -> None:
    run = make_run()
    found = vlm_eval.analyze(run, "counting")
    path = run / "analysis" / "counting-toy" / "findings.json"
    assert json.loads(path.read_text())["analysis"] == "counting"
    assert findings_of(RunFolder(run)) == [found]
    old = path.with_name("figure.svg")
    old.write_text("of other findings")
    vlm_eval.analyze(run, "counting", times=2)
    assert not old.exists()


def test_trials_are_those_that_were_asked_with_their_rows(make_run) -> None:
    run = make_run()
    vlm_eval.analyze(run, "counting")
    task = last_study().task
    study = open_study(RunFolder(run), task, None)
    pairs = list(study.trials())
    assert {trial.request.id for trial, _ in pairs} == {row.request for row in study.table.rows}
    for trial, row in pairs:
        assert (trial.sample_id, trial.condition) == (row.sample_id, row.condition)
        assert trial.request.images[0].load().size
    some = list(study.trials(lambda row: row.condition["blur"] == 5))
    assert 0 < len(some) < len(pairs)
    assert {row.condition["blur"] for _, row in some} == {5}


def test_data_that_changed_since_is_not_taken(make_run, folder) -> None:
    run = make_run()
    vlm_eval.analyze(run, "counting")
    task = last_study().task
    manifest = json.loads((run / "run.json").read_text())
    manifest["tasks"]["toy"]["data"]["digest"] = "other"
    (run / "run.json").write_text(json.dumps(manifest))
    with pytest.raises(TaskError, match="its digest differs"):
        next(open_study(RunFolder(run), task, None).trials())


def test_a_base_run_is_opened_beside(make_run) -> None:
    run, base = make_run(), make_run(model="mock:seed=3")
    trials = vlm_eval.score(base).tasks[0].counts.trials
    assert vlm_eval.analyze(run, "counting", base=base).facts == {"base": trials}
    assert last_study().base is not None


def test_a_model_without_an_inside_says_so(make_run) -> None:
    run = make_run()
    vlm_eval.analyze(run, "counting")
    with pytest.raises(UsageError, match="does not show its inside"):
        last_study().load()


def test_the_model_is_loaded_as_it_was(make_run) -> None:
    run = make_run(model="tiny", limit=1)
    vlm_eval.analyze(run, "counting")
    assert last_study().load().name == "tiny"


@pytest.mark.parametrize(
    ("options", "error", "why"),
    [
        ({"analysis": "countin"}, UsageError, "did you mean counting"),
        ({"task": "tois"}, UsageError, "has no task 'tois'; known: toy"),
        ({"tims": 2}, TaskError, "no option 'tims'.*did you mean times"),
        ({"times": "many"}, TaskError, "option 'times'"),
    ],
)
def test_wrong_names_are_answered_with_the_nearest(make_run, options, error, why) -> None:
    run = make_run()
    with pytest.raises(error, match=why):
        vlm_eval.analyze(run, **{"analysis": "counting", **options})
    assert not (run / "analysis").exists()


def test_no_run_is_no_run(tmp_path) -> None:
    with pytest.raises(RunError, match="is this a run folder"):
        vlm_eval.analyze(tmp_path, "attack")


def test_a_damaged_file_is_named(make_run) -> None:
    run = make_run()
    vlm_eval.analyze(run, "counting")
    path = run / "analysis" / "counting-toy" / "findings.json"
    path.write_text(path.read_text()[:40])
    with pytest.raises(RunError, match=r"findings\.json: cannot be read"):
        findings_of(RunFolder(run))
