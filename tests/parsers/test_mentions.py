import json

import pytest

from vlm_eval.core.errors import DataError
from vlm_eval.parsers.mentions import Mentions


@pytest.mark.parametrize(
    ("text", "literal", "robust"),
    [
        ("Several cyclists cross the road.", "rider, road", "rider, road"),
        ("No pedestrians, but two cars.", "car, person", "car"),
        ("car: false, bus: true", "bus, car", "bus"),
        ('{"car": false, "bus": true}', "bus", "bus"),
        ("Vehicles share the space.", "none", "none"),
    ],
)
def test_the_answer_is_the_sorted_list_of_classes(text, literal, robust):
    assert Mentions(profile="literal")(text, ()).answer == literal
    found = Mentions()(text, ())
    assert found.answer == robust
    assert found.rule == ("no_mention" if robust == "none" else "mentions")


@pytest.mark.parametrize("text", ["", " \n", "<think>a car"])
def test_silence_is_no_answer(text):
    assert Mentions()(text, ()).answer is None


def test_a_lexicon_of_ones_own(tmp_path):
    file = tmp_path / "animals.json"
    file.write_text(json.dumps({"classes": {"cat": ["cat", "kitten"], "dog": ["dog"]}}))
    assert Mentions(lexicon=str(file))("Kittens and a dog", ()).answer == "cat, dog"


def test_a_missing_lexicon_is_named_at_once():
    with pytest.raises(DataError, match="no-such"):
        Mentions(lexicon="no-such.json")


def test_with_choices_the_list_is_one_of_them_or_no_answer():
    assert Mentions()("A car.", ("car", "bus")).answer == "car"
    assert Mentions()("A tram.", ("car", "bus")).answer is None
