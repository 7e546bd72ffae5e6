"""Which means over tasks a choice of tasks has."""

from __future__ import annotations

import pytest

from vlm_eval.core.errors import TaskError
from vlm_eval.tasks.averages import Average, averages
from vlm_eval.tasks.index import TaskIndex


@pytest.fixture
def mini(write, folder):
    """Return a function that gives an index over three tasks and a group file."""
    for name in ("ant", "bee", "cow"):
        write(name=f"{name}.yaml", text=f"task: {name}\nversion: 1.0.0\n")

    def index(group: str) -> TaskIndex:
        write(name="zoo.yaml", text=f"group: zoo\ntitle: Zoo\ntasks: [ant, bee, cow]\n{group}")
        return TaskIndex([folder])

    return index


def test_a_group_is_averaged_where_all_that_it_averages_was_chosen(mini) -> None:
    index = mini("macro: {scores: [accuracy], leave_out: [cow]}\n")
    expected = [Average("zoo", "Zoo", ["ant", "bee"], ["accuracy"])]
    assert averages(index, ["bee", "ant"]) == expected
    assert averages(index, ["ant", "bee", "cow", "mis"]) == expected
    assert averages(index, ["ant", "cow"]) == []


def test_a_group_that_asks_for_no_mean_has_none(mini) -> None:
    assert averages(mini(""), ["ant", "bee", "cow"]) == []


@pytest.mark.parametrize(
    ("left_out", "message"),
    [
        ("[crow]", "leaves out 'crow', not in the group; did you mean cow?"),
        ("[ant, bee]", "averages 1 task(s); leave two or more"),
    ],
)
def test_what_cannot_be_averaged_is_refused(mini, left_out, message) -> None:
    index = mini(f"macro: {{scores: [accuracy], leave_out: {left_out}}}\n")
    with pytest.raises(TaskError) as caught:
        averages(index, ["ant", "bee", "cow"])
    assert str(caught.value) == f"zoo.yaml: key 'macro': {message}"


def test_the_shipped_groups(monkeypatch) -> None:
    index = TaskIndex()
    [mischief] = averages(index, ["mis", "mic", "pope"])
    assert mischief.tasks == ["mis", "mic"]
    [suite] = averages(index, index.resolve("blur-decay-vqa"))
    assert len(suite.tasks) == 12  # vi12-harness: HR-Bench is one benchmark
    assert {"blur-decay-hrbench4k", "blur-decay-hrbench8k"} - set(suite.tasks) == {
        "blur-decay-hrbench8k"
    }
