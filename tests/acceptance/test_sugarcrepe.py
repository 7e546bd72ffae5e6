"""Real answers of GPT-4V to two-choice questions, and the accuracy that was published for them."""

import json

import pytest

from vlm_eval.parsers.letter import Letter

CHOICES = ("1", "2")


@pytest.fixture(scope="module")
def answers(shared):
    items = json.loads(
        (shared / "data" / "sugarcrepe" / "gpt4v_swap_obj_positive_first.json").read_text()
    )
    return {key: item for key, item in items.items() if key != "accuracy"}


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
