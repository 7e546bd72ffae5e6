import dataclasses

import pytest

from vlm_eval.core.errors import DataError, TaskError
from vlm_eval.metrics.chair import Chair
from vlm_eval.metrics.modules import load
from vlm_eval.metrics.table import Table, TableRow


def row(name, text, there, question="description", **more):
    return TableRow(
        sample_id=name,
        cluster=name,
        condition={"question": question},
        fields={"present": there, "kind": "a" if name < "2" else "b"},
        gold="-",
        answer=None,
        scores={} if more.get("failed") else {"accuracy": 0.0},
        text=text,
        **more,
    )


def table(*rows):
    return Table("demo", {"question": ("description", "other")}, rows)


def values(found, **where):
    return {e.name: e.value for e in found if e.where == where}


TEXTS = table(
    row("1", "A car, a car and a bus.", ["car", "person"]),
    row("2", "A tree.", ["vegetation"]),
    row("3", "Nothing to see.", ["road"]),
    row("4", "Trams.", []),
)


def test_mentions_texts_recall_and_cover():
    found = values(Chair(truth="present")(TEXTS))
    assert found["chair_i"] == pytest.approx(2 / 5)  # bus and trams of car, car, bus, tree, trams
    assert found["chair_s"] == 0.5
    assert found["chair_recall"] == pytest.approx(2 / 4)
    assert found["chair_cover"] == pytest.approx((0.5 + 1 + 0) / 3)


def test_nothing_mentioned_is_unknown_and_no_error():
    found = values(Chair(truth="present")(table(row("1", "Nothing.", ["car"]))))
    assert found["chair_i"] is None
    assert (found["chair_s"], found["chair_recall"], found["chair_cover"]) == (0.0, 0.0, 0.0)
    empty = values(Chair(truth="present")(table()))
    assert set(empty.values()) == {None}


def test_profiles():
    text = table(row("1", "There is no bus, but a car.", ["car"]))
    assert values(Chair(truth="present")(text))["chair_i"] == 0.5
    assert values(Chair(truth="present", profile="robust")(text))["chair_i"] == 0.0


def test_only_the_texts_asked_for_and_those_there_are():
    rows = table(
        row("1", "A car.", ["car"]),
        row("1", "A bus.", ["car"], question="other"),
        row("2", None, ["car"], failed=True),
    )
    found = Chair(truth="present", where={"question": "description"})(rows)
    assert values(found)["chair_i"] == 0.0
    assert {e.n for e in found} == {1}


def test_slices():
    found = Chair(truth="present", by=("kind",))(TEXTS)
    assert values(found, kind="a")["chair_i"] == pytest.approx(1 / 3)
    assert values(found, kind="b")["chair_i"] == pytest.approx(1 / 2)


def test_conditions_are_not_pooled():
    rows = table(row("1", "A car.", ["car"]), row("1", "A bus.", ["car"], question="other"))
    found = Chair(truth="present", by=("question",))(rows)
    assert {tuple(e.where.items()) for e in found} == {
        (("question", "description"),), (("question", "other"),),
    }  # fmt: skip
    empty = Chair(truth="present", by=("question",))(dataclasses.replace(rows, rows=()))
    assert {e.name: e.value for e in empty}["chair_i"] is None


def test_directions():
    better = {e.name: e.lower_is_better for e in Chair(truth="present")(TEXTS)}
    assert better == {
        "chair_i": True, "chair_s": True, "chair_recall": False, "chair_cover": False,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"truth": "presnt"}, "did you mean present"),
        ({"truth": "kind"}, "'kind' is no list of classes"),
        ({"truth": "present", "where": {"question": "describe"}}, "does not have"),
    ],
)
def test_wrong_options(options, words):
    with pytest.raises(TaskError, match=words):
        Chair(**options)(TEXTS)


def test_a_missing_lexicon():
    with pytest.raises(DataError, match="unknown lexicon"):
        Chair(truth="present", lexicon="coco")


def test_no_interval_leaves_what_a_share_can_be():
    found = load("chair", truth="objects").compute(
        predictions=["a car and a bus. a bus", "a tree"],
        references=["", ""],
        objects=[["car"], ["vegetation", "car"]],
    )
    for name in ("chair_i", "chair_s", "chair_recall", "chair_cover"):
        assert 0 <= found[f"{name}.low"] <= found[name] <= found[f"{name}.high"] <= 1
