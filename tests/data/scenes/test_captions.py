from vlm_eval.data.lexicon.lexicon import load_lexicon
from vlm_eval.data.lexicon.mentions import find_mentions
from vlm_eval.data.scenes.captions import captions, classes
from vlm_eval.data.scenes.source import Scenes
from vlm_eval.data.scenes.street import KINDS


def test_captions_name_what_is_there_and_nothing_else():
    """By the lexicon that CHAIR uses, so that a reference caption hallucinates nothing."""
    lexicon = load_lexicon("cityscapes")
    for row in Scenes(count=40, questions=1).rows():
        for caption in row["captions"]:
            said = {mention.name for mention in find_mentions(caption, lexicon, "robust")}
            assert said <= set(row["classes"])
            assert {*row["classes"]} - {"building", "road", "sidewalk", "sky"} <= said


def test_lists_are_english():
    assert captions(["car"])[1] == "A car on a city street."
    assert captions(["car", "bus", "tree"])[2] == "There is a car, a bus and a tree on the street."
    assert captions([])[0] == "An empty city street."


def test_classes_are_those_of_the_lexicon():
    assert classes(list(KINDS)) == [
        "bicycle", "building", "bus", "car", "person", "road", "sidewalk", "sky", "traffic light",
        "vegetation",
    ]  # fmt: skip
