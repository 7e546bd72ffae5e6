from __future__ import annotations

import numpy as np
import pytest

from vlm_eval.core.errors import TaskError
from vlm_eval.internals.centroids import centroids
from vlm_eval.internals.router import Route

RULES = ["standard"] * 4 + ["inverse"] * 3
ANSWERS = ["X", "X", "X", "O", "X", "X", "X"]  # inverse O is never right
RIGHT = [True, True, False, False, False, False, False]
STATES = np.arange(14, dtype=np.float32).reshape(7, 2)


def test_right_rows_then_all_rows_then_the_rules() -> None:
    found = centroids(STATES, RULES, ANSWERS, RIGHT)
    assert found.keys() == {Route(r, a) for r in ("standard", "inverse") for a in "XO"}
    first = found[Route("standard", "X")]
    assert (first.state.tolist(), first.rows, first.fallback) == ([1, 2], 2, "")
    second = found[Route("standard", "O")]
    assert (second.state.tolist(), second.rows, second.fallback) == ([6, 7], 1, "incorrect")
    third = found[Route("inverse", "X")]
    assert (third.state.tolist(), third.rows, third.fallback) == ([10, 11], 3, "incorrect")
    last = found[Route("inverse", "O")]
    assert (last.state.tolist(), last.rows, last.fallback) == ([10, 11], 3, "rule")


def test_all_train_does_not_ask_whether_the_model_was_right() -> None:
    found = centroids(STATES, RULES, ANSWERS, RIGHT, "all_train")
    first = found[Route("standard", "X")]
    assert (first.state.tolist(), first.rows, first.fallback) == ([2, 3], 3, "")
    assert found[Route("standard", "O")].fallback == ""
    assert found[Route("inverse", "O")].fallback == "rule"


def test_no_rows() -> None:
    with pytest.raises(TaskError, match="no training rows"):
        centroids(STATES[:0], [], [], [])
