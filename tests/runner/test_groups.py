"""Means over tasks, from the tasks' results to results.json."""

from __future__ import annotations

import math

import pytest

import vlm_eval
from vlm_eval.runner.folder import RunFolder
from vlm_eval.runner.groups import average
from vlm_eval.runner.results import Counts, Results, TaskResult
from vlm_eval.stats.results import Estimate
from vlm_eval.tasks.averages import Average

COUNTS = Counts(
    trials=0, asked=0, answered=0, failed=0, missing=0, unparsed=0, rules={}, literal_rules={},
    failures={}, samples=0, clusters=0,
)  # fmt: skip


def number(name, value, *, se=0.1, chance=None, n=10, **where) -> Estimate:
    low, high = (None, None) if value is None else (value - 0.2, value + 0.1)
    return Estimate(name, where, value, se, low, high, n, n // 2, "student_t", chance=chance)


def task(name: str, *estimates: Estimate, synthetic: bool = False) -> TaskResult:
    return TaskResult(
        task=name, version="1.0.0", title="", synthetic=synthetic, notice=None, counts=COUNTS,
        seconds=0.0, estimates=estimates, comparisons=(),
    )  # fmt: skip


def averaged(*tasks: TaskResult, scores=("accuracy",)):
    asked = Average("both", "Both", [one.task for one in tasks], list(scores))
    return average(asked, {one.task: one for one in tasks})


def test_every_task_weighs_the_same_and_errors_add_in_quadrature() -> None:
    small = task("small", number("accuracy", 0.9, se=0.3, n=10, chance=0.5))
    large = task("large", number("accuracy", 0.5, se=0.4, n=1000, chance=0.25), synthetic=True)
    group = averaged(small, large)
    [mean] = group.estimates
    assert mean.value == pytest.approx(0.7)
    assert mean.se == pytest.approx(0.5 / 2)
    assert mean.low == pytest.approx(0.7 - math.hypot(0.2, 0.2) / 2)
    assert mean.high == pytest.approx(0.7 + math.hypot(0.1, 0.1) / 2)
    assert (mean.method, mean.n, mean.clusters, mean.chance) == ("mover", 1010, 505, 0.375)
    assert (group.tasks, group.synthetic) == (("small", "large"), True)


def test_only_what_all_tasks_have_is_averaged() -> None:
    one = task("one", number("accuracy", 0.5), number("accuracy", 0.5, blur=5), number("x", 0.1))
    two = task("two", number("accuracy", 0.7), number("accuracy", 0.5, blur=7), number("x", 0.3))
    assert [(e.name, dict(e.where)) for e in averaged(one, two).estimates] == [("accuracy", {})]
    assert [e.name for e in averaged(one, two, scores=["*"]).estimates] == ["accuracy", "x"]


def test_the_mean_with_an_unknown_part_is_unknown() -> None:
    parts = task("a", number("accuracy", 0.5)), task("b", number("accuracy", None))
    [mean] = averaged(*parts).estimates
    assert (mean.value, mean.se, mean.low, mean.method) == (None, None, None, "none")


@pytest.fixture
def run(write, folder) -> Results:
    for name in ("toy", "yot"):
        write(("task: toy\n", f"task: {name}\n"), name=f"{name}.yaml")
    write(name="both.yaml", text="group: both\ntasks: [toy, yot]\nmacro: {scores: [accuracy]}\n")
    return vlm_eval.evaluate(
        "mock", "toy,yot", include_path=[folder], output_path="run", progress=False
    )


def test_a_run_of_all_tasks_has_the_groups_means(run) -> None:
    [group] = run.groups
    toy, yot = (
        next(e for e in run[name].estimates if e.name == "accuracy" and not e.where)
        for name in ("toy", "yot")
    )
    mean = next(e for e in group.estimates if not e.where)
    assert mean.value == pytest.approx((toy.value + yot.value) / 2)
    assert run.run["groups"] == {
        "both": {"title": "", "tasks": ["toy", "yot"], "scores": ["accuracy"]}
    }
    frame = run.to_frame()
    assert set(frame[frame["kind"] == "macro"]["task"]) == {"both"}


def test_scoring_again_needs_no_group_file_and_takes_todays_if_asked(run, folder) -> None:
    (folder / "both.yaml").unlink()
    assert vlm_eval.score("run").groups == run.groups
    assert Results.from_json(RunFolder("run").results(), run.folder).groups == run.groups
    assert vlm_eval.score("run", current_tasks=True, include_path=[folder]).groups == ()


def test_another_mean_does_not_make_it_another_run(run, folder, write) -> None:
    (folder / "both.yaml").unlink()
    again = vlm_eval.evaluate(
        "mock", "toy,yot", include_path=[folder], output_path="run", resume=True, progress=False
    )
    assert again.groups == ()
    assert again.tasks == run.tasks
