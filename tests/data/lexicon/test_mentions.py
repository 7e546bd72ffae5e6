import json
from importlib.resources import files

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vlm_eval.data.lexicon.lexicon import load_lexicon
from vlm_eval.data.lexicon.mentions import as_answer, closure, find_mentions, from_answer

CITY = load_lexicon("cityscapes")
SENTENCES = json.loads(files("vlm_eval.data.cityscapes").joinpath("lexicon.json").read_text())
PIECES = ["car", "no ", "not ", "bus", ", ", "and ", "traffic", " light", "{", "}", ": ", "false",
          '"', "true", "\n", "is not visible", ". ", "cyclist", "[", "]", "=", "é"]  # fmt: skip


def named(text, profile):
    return sorted({mention.name for mention in find_mentions(text, CITY, profile)})


def test_there_are_ten_sentences():
    assert len(SENTENCES["tests"]) == 10


@pytest.mark.parametrize("case", SENTENCES["tests"], ids=lambda case: case["text"][:30])
@pytest.mark.parametrize("profile", ["literal", "robust"])
def test_the_sentences_of_the_lexicon(case, profile):
    assert named(case["text"], profile) == case[profile]


@pytest.mark.parametrize(
    ("text", "robust"),
    [
        ("There are no cars, trucks or buses, but a tram.", ["train"]),
        ("Cars and buses are not visible.", []),
        ("Not only cars but also buses.", ["bus", "car"]),
        ("Without a doubt a car.", ["car"]),
        ("A no parking sign beside a car.", ["car", "traffic sign"]),
        ("No cars and the road is clear.", ["road"]),
        ("I don't see any pedestrian.", []),
        ("no one two three four five car", []),
        ("no one two three four five six car", ["car"]),
        ("car: false; truck: true", ["truck"]),
        ("car: no truck: yes", ["truck"]),
        ("Buses: none\nCars: two", ["car"]),
        ("The bus is absent, a car isn't.", []),
        ("A car = false, bus -> no", []),
        ("There is no bus. There is a car.", ["car"]),
        ("**Car**: no\n**Bus:** yes\n- **Truck:** **No**", ["bus"]),
        ("| car | no |\n| bus | yes |", ["bus"]),
        ("Car? No. Bus? Yes.", ["bus"]),
        ("car - false, bus - true", ["bus"]),
        ("A car - no trucks.", ["car"]),
        ("A street free of cars, with a free bus.", ["bus", "road"]),
    ],
)
def test_what_is_taken_back_is_no_mention_in_the_robust_profile(text, robust):
    assert named(text, "robust") == robust
    assert set(named(text, "literal")) >= set(robust)


@pytest.mark.parametrize("profile", ["literal", "robust"])
@pytest.mark.parametrize(
    ("text", "classes"),
    [
        ('{"car": false, "truck": true, "traffic_light": 2, "bus": 0}', ["traffic light", "truck"]),
        ("{'car': False, 'pedestrian': True, 'bus': None}", ["person"]),
        ('Here it is: ```json\n{"objects": {"car": true, "bus": false}}\n```', ["car"]),
        ('{"objects": ["car", "a bus"], "note": "trams wait"}', ["bus", "car", "train"]),
        ('{"car": "yes", "truck": "not visible", "bus": []}', ["car"]),
        ('{"car": true, "truck": fal', ["car"]),
        ('{"car": true, "truck": true', ["car", "truck"]),
        ("{car: false, bus: true} and a tram", ["bus", "train"]),
        ("<think>no car? a bus</think>A car.", ["car"]),
        ("<think>a car", []),
    ],
)
def test_dictionaries_are_read_as_such_in_both_profiles(text, classes, profile):
    assert named(text, profile) == classes


def test_every_repetition_is_a_mention():
    found = find_mentions("A car, another car and a sedan.", CITY, "literal")
    assert [mention.term for mention in found] == ["car", "car", "sedan"]


def test_a_cyclist_has_a_bicycle_and_a_rider_may_have_anything():
    def closed(text):
        return closure(find_mentions(text, CITY, "robust"), CITY)

    assert closed("two cyclists") == {"rider", "bicycle"}
    assert closed("a motorcyclist") == {"rider", "motorcycle"}
    assert closed("a rider") == {"rider"}


@given(st.sets(st.sampled_from(list(CITY.classes))))
def test_answers_are_sets(names):
    assert from_answer(as_answer(names)) == names


def test_the_empty_set_is_an_answer():
    assert as_answer([]) == "none"
    assert from_answer("none") == frozenset()


@given(st.text() | st.lists(st.sampled_from(PIECES)).map("".join))
def test_any_text_is_survived_and_robust_finds_no_more_than_literal(text):
    assert set(named(text, "robust")) <= set(named(text, "literal")) <= set(CITY.classes)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("unit", ["{", "no car, ", '{"car":', "\u0301", "car=", "{car: no} "])
def test_a_megabyte_takes_linear_time(unit):
    text = (unit * (1_000_000 // len(unit) + 1))[:1_000_000]
    assert named(text, "robust") in ([], ["car"])
