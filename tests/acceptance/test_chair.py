"""CHAIR with the released list of synonyms of the 80 classes of COCO."""

import pytest

from vlm_eval.data.lexicon.lexicon import load_lexicon
from vlm_eval.data.lexicon.mentions import find_mentions
from vlm_eval.metrics.modules import load


@pytest.fixture
def synonyms(shared):
    return str(shared / "data" / "chair" / "synonyms.txt")


def test_the_list_has_eighty_classes(synonyms):
    assert len(load_lexicon(synonyms).classes) == 80


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("A man rides a motor bike past a stop light.", ["person", "motorcycle", "traffic light"]),
        ("Two men and several women sit on couches.", ["person", "person", "couch"]),
        ("A baby giraffe next to an adult zebra.", ["giraffe", "zebra"]),
        ("A passenger train on train tracks.", ["train"]),
        ("A toilet with its toilet seat up.", ["toilet", "toilet"]),
        ("A batter stands at home plate with a baseball bat.", ["baseball bat"]),
        ("A hot dog and a teddy bear.", ["hot dog", "teddy bear"]),
        ("A cell phone and wine glasses on a dining table.",
         ["cell phone", "wine glass", "dining table"]),
    ],
)  # fmt: skip
def test_mentions(synonyms, text, names):
    found = find_mentions(text, load_lexicon(synonyms), "literal")
    assert [mention.name for mention in found] == names


def test_mentions_count_with_repetition_and_texts_once(synonyms):
    metric = load("chair", truth="objects", lexicon=synonyms)
    found = metric.compute(
        predictions=["A dog, a dog and a cat.", "A quiet room.", "A cat."],
        references=["", "", ""],
        objects=[["cat"], ["bed"], ["cat"]],
    )
    assert found["chair_i"] == pytest.approx(2 / 4)
    assert found["chair_s"] == pytest.approx(1 / 3)
    assert found["chair_recall"] == pytest.approx(2 / 3)


def test_texts_that_mention_nothing_have_no_rate(synonyms):
    metric = load("chair", truth="objects", lexicon=synonyms)
    found = metric.compute(predictions=["A quiet room."], references=[""], objects=[["bed"]])
    assert found["chair_i"] is None
    assert found["chair_s"] == 0
