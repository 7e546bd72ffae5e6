"""The metrics as modules of evaluate: the same numbers, from columns."""

import evaluate
import pytest

from vlm_eval.core.errors import TaskError
from vlm_eval.metrics.modules import load
from vlm_eval.scorers.anls import Anls

LEVELS = [1, 31, 61]
COLUMNS = {
    "predictions": ["a", "a", "b", "b", "b", "b", "a", "", "a"],
    "references": ["a"] * 9,
    "sample_ids": [sample for sample in "xyz" for _ in LEVELS],
    "conditions": LEVELS * 3,
}


def batches(columns, size):
    count = len(columns["predictions"])
    for start in range(0, count, size):
        yield {name: values[start : start + size] for name, values in columns.items()}


def test_a_decay():
    found = load("decay", factor="blur").compute(**COLUMNS)
    assert found["C"] == pytest.approx(1 / 3)
    assert found["E[blur=31]"] == pytest.approx(2 / 3)
    assert found["Acc[blur=1]"] == pytest.approx(2 / 3)
    assert found["C.n"] == 3
    assert found["C.low"] <= found["C"] <= found["C.high"]


def test_batches_and_single_trials_give_the_same():
    whole = load("decay", factor="blur").compute(**COLUMNS)
    batched = load("decay", factor="blur")
    for batch in batches(COLUMNS, 4):
        batched.add_batch(**batch)
    assert batched.compute() == whole
    single = load("decay", factor="blur")
    for (prediction,), (reference,), (sample,), (condition,) in (
        batch.values() for batch in batches(COLUMNS, 1)
    ):
        single.add(
            prediction=prediction, reference=reference, sample_ids=sample, conditions=condition
        )
    assert single.compute() == whole


def test_levels_are_given_in_their_order():
    swapped = load("decay", factor="blur", levels=[61, 31, 1]).compute(**COLUMNS)
    assert "E[blur=1]" in swapped
    assert "E[blur=61]" not in swapped


def test_clusters_may_come_with_the_call():
    answers = {"predictions": ["a", "a", "b", "b"], "references": ["a"] * 4}
    metric = load("accuracy")
    alone = metric.compute(**answers)
    together = metric.compute(**answers, clusters=["x", "x", "y", "y"])
    assert alone["accuracy"] == together["accuracy"] == 0.5
    assert together["accuracy.se"] > alone["accuracy.se"]
    with pytest.raises(TypeError, match="cluster"):
        metric.compute(**answers, cluster=["x"] * 4)


def test_none_is_unparsed():
    found = load("parse_failures").compute(predictions=["a", None, ""], references=["a"] * 3)
    assert found["parse_failures"] == pytest.approx(2 / 3)


def test_metrics_combine():
    both = evaluate.combine(
        [load("decay", factor="blur"), load("paired_difference", factor="blur")]
    )
    found = both.compute(**COLUMNS)
    assert found["Acc[blur=31]"] - found["Acc[blur=1]"] == found["accuracy[blur=31-1]"]
    assert found["accuracy[blur=31-1].p"] == 1


def test_several_references():
    texts = ["the cat sat on the mat", "a dog"]
    one = load("bleu").compute(predictions=texts, references=["the cat sat on a mat", "a dog"])
    several = load("bleu").compute(
        predictions=texts, references=[["the cat sat on a mat", texts[0]], ["a dog"]]
    )
    assert several["bleu"] == pytest.approx(1)
    assert one["bleu"] < 1


def test_fields_are_columns():
    found = load("grouped_accuracy", group=["pair"], all_correct=True, label="pairs").compute(
        predictions=list("aaab"), references=["a"] * 4, pair=[0, 0, 1, 1]
    )
    assert found["pairs"] == 0.5


def test_lists_are_fields_too():
    found = load("chair", truth="there").compute(
        predictions=["A car and a dog.", "A road with a bus."],
        references=["", ""],
        there=[["car"], ["road"]],
    )
    assert found["chair_s"] == 0.5
    assert found["chair_recall"] == 1


def test_options_with_log_likelihoods():
    metric = load("margins", factor="shift", families={"right": "right"})
    found = metric.compute(
        predictions=["Yes", "No"], references=["Yes"] * 2, sample_ids=["x"] * 2,
        conditions=["clean", "right"], choices=[["Yes", "No"]] * 2, logprobs=[[-1, -3], [-2, -1.5]],
    )  # fmt: skip
    assert found["yes_no_margin[shift=clean]"] == 2
    assert found["yes_no_margin[family=right]"] == -0.5


def test_several_factors_are_mappings():
    rules = [{"rule": rule, "side": side} for rule in ("r", "s") for side in (0, 1)]
    found = load("paired_difference", factor="rule").compute(
        predictions=list("aabb"), references=["a"] * 4, sample_ids=["x"] * 4, conditions=rules
    )
    assert found["accuracy[rule=s-r]"] == -1
    assert found["accuracy[rule=s-r].n"] == 2


def test_a_scorer_of_its_own():
    metric = load("accuracy", scorer=Anls(answers=None))
    found = metric.compute(predictions=["recieve"], references=["receive"])
    assert found["accuracy"] == pytest.approx(5 / 7)


def test_wrong_names():
    with pytest.raises(TaskError, match="did you mean decay"):
        load("deccay", factor="blur")
    with pytest.raises(TaskError, match="no option 'facto'"):
        load("decay", facto="blur")


def test_fields_that_a_metric_reads_may_come_with_the_call():
    questions = ["description", "car", "person", "safety"]
    columns = {
        "predictions": ["car, road, person", "Yes", "No", "safe"],
        "references": ["", "Yes", "Yes", "unsafe"],
        "sample_ids": ["a"] * 4,
        "conditions": [{"degradation": "clean", "question": name} for name in questions],
        "present": [["road", "rider", "car"]] * 4,
        "critical": [["car", "rider"]] * 4,
        "safety": ["unsafe"] * 4,
    }
    found = load("misalignment", compare=()).compute(**columns)
    assert found["HR[degradation=clean]"] == 0
    assert found["COR[degradation=clean]"] == 1
    assert found["SMR[degradation=clean]"] == 1
    found = load("misalignment", strict=True, compare=()).compute(**columns)
    assert found["HR_strict[degradation=clean]"] == pytest.approx(1 / 3)
    ranked = load("top_k", k=2, compare=()).compute(
        predictions=["car"],
        references=["car"],
        sample_ids=["a"],
        conditions=[{"degradation": "clean", "question": "objects"}],
        choices=[["car", "bus", "road"]],
        logprobs=[[3.0, 2.0, 1.0]],
        present=[["car"]],
        critical=[["car"]],
    )
    assert ranked["HR[degradation=clean]"] == pytest.approx(0.5)
    points = load("pair_scores").compute(
        predictions=["Yes", "No"],
        references=["Yes", "Yes"],
        group=["a", "a"],
        category=["color", "color"],
        topic=["perception", "perception"],
    )
    assert points["score[topic=perception]"] == 50
