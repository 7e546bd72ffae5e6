"""What is computed before anything is asked, and what is left out after."""

from __future__ import annotations

import dataclasses
import sys
from types import SimpleNamespace

import pytest

import vlm_eval
from vlm_eval.core.errors import TaskError
from vlm_eval.core.options import configurable
from vlm_eval.core.types import Failure, Response
from vlm_eval.models.mock import Mock
from vlm_eval.runner.plan import Settings, make_plans
from vlm_eval.runner.rehearsal import measured
from vlm_eval.tasks.index import TaskIndex

CASE = ("    parser: label\n", "    parser: label\n    scorer: words\n")
OTHER = ("literal: {name: label}", "literal: {name: label}\n  also: [vlm_fix]")


@configurable
class Words:
    def __call__(self, text, answer, gold, fields):  # noqa: ARG002
        return {"accuracy": float(answer == gold), "words": float(len(text.split()))}


@pytest.fixture
def toy_with(write, folder, plugin, monkeypatch):
    plugin("vlm_eval.scorers", words="words_scorer:Words")
    monkeypatch.setitem(sys.modules, "words_scorer", SimpleNamespace(Words=Words))

    def toy_with(metric, **options):
        write(CASE, OTHER, ("- accuracy\n", f"- {metric}\n"))
        return TaskIndex([folder]).load("toy", **options)

    return toy_with


@pytest.mark.parametrize("score", ["words", "accuracy", "accuracy_vlm_fix", "accuracy_literal"])
def test_a_score_that_only_a_case_has_is_no_fault(toy_with, score) -> None:
    (plan,) = make_plans([toy_with(f"{{name: accuracy, score: {score}}}")], Settings())
    assert plan.size.trials > 0


@pytest.mark.parametrize("score", ["word", "accuracy_yes_no"])
def test_a_score_that_no_case_has_is_one(toy_with, score) -> None:
    with pytest.raises(TaskError, match=rf"key 'metrics\[0\]': .*{score}"):
        make_plans([toy_with(f"{{name: accuracy, score: {score}}}")], Settings())


def names(results):
    return {e.name for e in results["toy"].estimates}


@pytest.mark.parametrize(
    ("output", "score", "there"),
    [
        ("choice", "accuracy_vlm_fix", False),
        ("generate", "accuracy_vlm_fix", True),
        ("choice", "accuracy_length_normalised", True),
        ("generate", "accuracy_length_normalised", False),
        ("choice", "accuracy_byte_normalised", True),
        ("generate", "accuracy_byte_normalised", False),
    ],
)
def test_scores_of_another_way_of_asking_are_left_out(
    toy_with, folder, output, score, there
) -> None:
    toy_with(f"{{name: accuracy, score: {score}}}")
    results = vlm_eval.evaluate(
        Mock(), "toy", include_path=folder, output=output, output_path="run", progress=False
    )
    assert (score in names(results)) == there


def test_a_score_whose_trials_all_failed_is_unknown(toy_with, folder) -> None:
    class Silent(Mock):
        def generate(self, requests):
            return (Response(r.id, Failure("provider", "no"), 0.0) for r in requests)

    toy_with("{name: accuracy, score: words}")
    results = vlm_eval.evaluate(
        Silent(), "toy", include_path=folder, output_path="run", progress=False
    )
    [overall] = [e for e in results["toy"].estimates if e.name == "words" and not e.where]
    assert (overall.value, overall.n) == (None, 0)


def test_the_papers_parser_is_not_measured_twice(toy_with) -> None:
    task = toy_with("{name: accuracy, score: accuracy_literal}\n  - accuracy")
    trials = [{"sample_id": "s", "cluster": "s", "condition": c} for c in task.conditions()]
    from vlm_eval.metrics.table import TableRow

    rows = tuple(
        TableRow(
            **trial, fields={"kind": "red"}, gold="Yes", answer="Yes",
            scores={"accuracy": 1.0, "accuracy_literal": 1.0},
        )
        for trial in trials
    )  # fmt: skip
    found = [e for e in measured(task, task.table(rows)) if not dataclasses.asdict(e)["where"]]
    assert [e.name for e in found].count("accuracy_literal") == 2, "once as estimate, once compared"
