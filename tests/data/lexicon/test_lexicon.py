import json

import pytest

from vlm_eval.core.errors import DataError
from vlm_eval.data.cityscapes.labels import CLASSES
from vlm_eval.data.lexicon.lexicon import Lexicon, load_lexicon
from vlm_eval.data.lexicon.words import fold, words

CITY = load_lexicon("cityscapes")


def found(text, lexicon=CITY):
    folded = fold(text)
    return [(match.name, match.term) for match in lexicon.find(folded, words(folded))]


def test_the_shipped_lexicon_has_the_nineteen_classes():
    assert set(CITY.classes) == set(CLASSES)


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("A car.", [("car", "car")]),
        ("CARS", [("car", "car")]),
        ("two lorries", [("truck", "lorry")]),
        ("bushes", [("vegetation", "bush")]),
        ("scarce carpets", []),
        ("traffic_light", [("traffic light", "traffic light")]),
        ("traffic-lights", [("traffic light", "traffic light")]),
        ("traffic  light", [("traffic light", "traffic light")]),
        ("Stop. Light rain.", []),
        ("a stop\nlight", []),
        ("road sign", [("traffic sign", "road sign")]),
        ("pedestrian crossing", [(None, "pedestrian crossing")]),
        ("pedestrian crossing sign", [("traffic sign", "pedestrian crossing sign")]),
        ("bus stops", [(None, "bus stop")]),
        ("vehicles", [(None, "vehicle")]),
        ("road users", [(None, "road user")]),
        ("street light", [("pole", "street light")]),
        ("tram", [("train", "tram")]),
        ("cyclist", [("rider", "cyclist")]),
        ("the car's door", [("car", "car")]),
        ("semi truck", [("truck", "semi-truck")]),
        ("double decker", [("bus", "double-decker")]),
        ("ｃａｒ", [("car", "car")]),
    ],
)
def test_terms(text, terms):
    assert found(text) == terms


def test_the_longest_term_uses_up_its_words():
    lexicon = Lexicon({"a": ("red",), "b": ("red car",), "c": ("car",)}, ("red car park",))
    assert found("red car park", lexicon) == [(None, "red car park")]
    assert found("red car parks a car", lexicon) == [(None, "red car park"), ("c", "car")]
    assert found("red car red", lexicon) == [("b", "red car"), ("a", "red")]
    assert found("red", lexicon) == [("a", "red")]


def test_keys_that_are_a_class_and_nothing_else():
    assert CITY.named("traffic_light") == "traffic light"
    assert CITY.named("Pedestrians") == "person"
    for key in ("car colour", "description", "", "bus stop", "my car"):
        assert CITY.named(key) is None


def test_a_file_in_chairs_form(tmp_path):
    file = tmp_path / "synonyms.txt"
    file.write_text("person, girl, boy\n\nmotorcycle,  motor bike, motorbike\n")
    lexicon = load_lexicon(str(file))
    assert dict(lexicon.classes) == {
        "person": ("person", "girl", "boy"),
        "motorcycle": ("motorcycle", "motor bike", "motorbike"),
    }
    assert found("a girl on a motor bike", lexicon) == [
        ("person", "girl"), ("motorcycle", "motor bike"),
    ]  # fmt: skip


def test_the_word_pairs_of_chairs_code_are_read_as_one(tmp_path):
    file = tmp_path / "synonyms.txt"
    file.write_text(
        "person, baby, adult, passenger, man, child\nelephant\nbear, panda\nairplane, jet\n"
        "train\ntoilet\nchair, seat\ntie, bow, bow tie\nknife\nmouse\n"
    )
    lexicon = load_lexicon(str(file))

    def classes(text):
        return [name for name, _ in found(text, lexicon) if name]

    assert classes("a baby elephant beside adult bears") == ["elephant", "bear"]
    assert classes("a passenger jet above a passenger train") == ["airplane", "train"]
    assert classes("a toilet seat, a seat") == ["toilet", "chair"]
    assert classes("a bow tie") == ["tie"]
    assert classes("train tracks, a home plate, an adult animal") == []
    assert classes("a baby on a train") == ["person", "train"]
    assert classes("men and children with knives and mice") == ["person"] * 2 + ["knife", "mouse"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", "not JSON"),
        ("[]", "has the key 'classes'"),
        ({"classes": {}}, "no classes"),
        ({"classes": {"a": "car"}}, "is no list of terms"),
        ({"classes": {"a": ["car"], "b": ["Car"]}}, "the term 'Car' is both 'a' and 'b'"),
        ({"classes": {"a, b": ["car"]}}, "cannot be named 'a, b'"),
        ({"classes": {"a": ["-"]}}, "the term '-', without a word"),
        ({"classes": {"car": ["car"]}, "implies": {"x": ["cra"]}}, "no class 'cra'; did you mean"),
    ],
)
def test_a_broken_lexicon_names_its_fault(tmp_path, content, words):
    file = tmp_path / "lexicon.json"
    file.write_text(content if isinstance(content, str) else json.dumps(content))
    with pytest.raises(DataError, match=words):
        load_lexicon(str(file))


def test_unknown_names():
    with pytest.raises(DataError, match="did you mean cityscapes"):
        load_lexicon("cityscape")
    with pytest.raises(DataError, match="cannot be read"):
        load_lexicon("nowhere.json")
