"""Real answers of GPT-4V to two-choice questions, and the accuracy that was published for them."""

import json

import pytest
from PIL import Image

from vlm_eval.core.options import build
from vlm_eval.core.types import Answer
from vlm_eval.metrics.table import METRICS, Table, TableRow
from vlm_eval.parsers.letter import Letter
from vlm_eval.tasks.index import TaskIndex
from vlm_eval.tasks.scoring import score
from vlm_eval.tasks.trials import expand

CHOICES = ("1", "2")


@pytest.fixture(scope="module")
def answers(shared):
    items = json.loads(
        (shared / "data" / "sugarcrepe" / "gpt4v_swap_obj_positive_first.json").read_text()
    )
    return {key: item for key, item in items.items() if key != "accuracy"}


@pytest.fixture(scope="module")
def load(tmp_path_factory):
    """Return what loads the task on items of the release; the pictures are grey."""

    def make(items):
        folder = tmp_path_factory.mktemp("sugarcrepe")
        (folder / "swap_obj.json").write_text(json.dumps(items))
        (folder / "val2017").mkdir()
        for item in items.values():
            Image.new("RGB", (8, 8), "grey").save(folder / "val2017" / item["filename"])
        return TaskIndex().load("sugarcrepe", data=str(folder), output="generate")

    return make


@pytest.mark.parametrize("restated", [False, True])
def test_the_published_accuracy_is_reproduced_answer_by_answer(answers, restated):
    right = 0
    for key, item in answers.items():
        texts = (item["caption"], item["negative_caption"]) if restated else ()
        parsed = Letter(texts=texts)(item["answer"]["free_form_answer"], CHOICES)
        read = {"1": item["caption"], "2": item["negative_caption"], None: ""}[parsed.answer]
        assert read == item["answer"]["multiple_choice_answer"], key
        right += parsed.answer == "1"
    assert (right, len(answers)) == (211, 246)
    assert round(right / len(answers), 4) == 0.8577


def test_the_file_of_the_release_has_one_item_less_than_was_answered(shared, answers, load):
    items = json.loads((shared / "data" / "sugarcrepe" / "swap_obj.json").read_text())
    ids = {trial.sample_id for trial in expand(load(items))}
    assert len(ids) == 245
    assert answers.keys() - items.keys() == {"108"}


def test_the_task_asks_what_was_asked_and_scores_it_as_published(answers, load):
    task = load(answers)
    trials = {
        trial.fields["id"].removeprefix("swap_obj-"): trial
        for trial in expand(task)
        if trial.condition["order"] == "positive_first"
    }
    assert trials.keys() == answers.keys()
    rows = []
    for key, item in answers.items():
        trial = trials[key]
        assert trial.prompt == (
            f"<image>Which caption best describes the image?\n(1) {item['caption']}\n"
            f" (2) {item['negative_caption']}\nOutput (1) or (2)."
        )
        scored = score(
            task,
            condition=trial.condition,
            gold=trial.gold,
            choices=trial.choices,
            outcome=Answer(text=item["answer"]["free_form_answer"]),
            fields=trial.fields,
        )
        assert bool(scored.scores["accuracy"]) == item["correct"], key
        rows.append(
            TableRow(
                sample_id=trial.sample_id,
                cluster=trial.cluster,
                condition=trial.condition,
                fields=trial.fields,
                gold=trial.gold,
                answer=scored.answer,
                scores=scored.scores,
            )
        )
    table = Table("sugarcrepe", task.spec.factors, tuple(rows), chance=0.5)
    found = build(METRICS, {"name": "accuracy"}, where=None)(table)
    first = next(e for e in found if e.where == {"order": "positive_first"})
    assert (first.value, first.n) == (pytest.approx(211 / 246), 246)
    assert first.clusters == len({item["filename"] for item in answers.values()})
