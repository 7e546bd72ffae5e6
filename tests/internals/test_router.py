from __future__ import annotations

import sys

import numpy as np
import pytest

from vlm_eval.core.errors import UsageError
from vlm_eval.internals.router import Route, Router, logistic_regression

WIDTH = 12


def states(rules: list[str], answers: list[str], *, seed: int = 0) -> np.ndarray:
    """The rule along the first axis; the answer along the second, turned round by the rule."""
    found = np.random.default_rng(seed).normal(size=(len(rules), WIDTH)).astype(np.float32)
    for row, rule, answer in zip(found, rules, answers, strict=True):
        row[0] += 9 if rule == "inverse" else -9
        row[1] += 9 if (answer == "X") == (rule == "standard") else -9
    return found


def questions(count: int) -> tuple[list[str], list[str]]:
    return ["standard", "inverse"] * (count // 2), (["X"] * 2 + ["O"] * 2) * (count // 4)


def test_rule_first_then_that_rules_answer() -> None:
    rules, answers = questions(80)
    router = Router.fit(states(rules, answers), rules, answers)
    assert router.converged
    new_rules, new = questions(40)
    routes = router(states(new_rules, new, seed=1))
    assert routes == [Route(rule, answer) for rule, answer in zip(new_rules, new, strict=True)]
    # One answer classifier for both rules could not do it: the axis is turned round.
    alone = Router.fit(states(rules, answers), ["standard"] * 80, answers)
    wrong = sum(
        a.answer != b for a, b in zip(alone(states(new_rules, new, seed=1)), new, strict=True)
    )
    assert wrong > 8


def test_the_classifiers_are_scikit_learns_with_the_scripts_options() -> None:
    from sklearn.linear_model import LogisticRegression

    rules, answers = questions(60)
    made = states(rules, answers)
    made[:, 1] /= 9  # hard enough to have errors
    keep = [i for i in range(60) if rules[i] == "standard" or i % 6 == 1]  # unbalanced
    made, rules, answers = made[keep], [rules[i] for i in keep], [answers[i] for i in keep]
    router = Router.fit(made, rules, answers)
    new = states(*questions(40), seed=2)
    plain = LogisticRegression(max_iter=2000, class_weight="balanced")
    assert router.rule(new) == plain.fit(made, rules).predict(new).tolist()
    own = [i for i, rule in enumerate(rules) if rule == "inverse"]
    plain.fit(made[own], [answers[i] for i in own])
    assert router.answer["inverse"](new) == plain.predict(new).tolist()


def test_a_single_class_is_always_given() -> None:
    rules, answers = questions(8)
    made = states(rules, answers)
    assert Router.fit(made, ["standard"] * 8, ["X"] * 8)(made) == [Route("standard", "X")] * 8


def test_what_does_not_converge_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    rules, answers = questions(40)
    monkeypatch.setattr("vlm_eval.internals.router.MAX_ITER", 2)
    assert not Router.fit(states(rules, answers), rules, answers).converged


def test_without_scikit_learn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.linear_model", None)
    with pytest.raises(UsageError, match=r"paired-vlm-eval\[internals\]"):
        logistic_regression()
