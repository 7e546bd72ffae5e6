"""The shipped tasks on this source: every prompt, option and gold answer of one sample."""

from collections import Counter

import pytest

from vlm_eval.core.types import Answer, Picture
from vlm_eval.tasks.index import TaskIndex
from vlm_eval.tasks.scoring import score
from vlm_eval.tasks.task import Task
from vlm_eval.tasks.trials import Trial, expand

Asked = tuple[str, int, str]


@pytest.fixture
def data(folder, records, write):
    rows = records()
    for row, captions in zip(rows, (("C0", "C1"), ("D0", "D1")), strict=True):
        row["caption_0"], row["caption_1"] = captions
    write(folder / "metadata.jsonl", rows)
    return str(folder)


def first_sample(task: Task) -> dict[Asked, Trial]:
    trials = list(expand(task, limit=1))
    made = {tuple(t.condition[f] for f in ("question", "side", "order")): t for t in trials}
    assert len(made) == len(trials)
    return made


def shown(trial: Trial) -> list[str]:
    return [image.label for image in trial.request.images]


def test_a_sample_is_asked_twelve_different_things(data):
    trials = first_sample(TaskIndex().load("mis", data=data))
    assert len({trial.request.id for trial in trials.values()}) == 12
    assert Counter(question for question, _, _ in trials) == {
        "confirm": 2,
        "reject": 2,
        "i2c": 4,
        "c2i": 4,
    }
    assert {trial.cluster for trial in trials.values()} == {"p0"}


def test_the_prompts_are_those_of_the_specification(data):
    trials = first_sample(TaskIndex().load("mis", data=data))
    yes_no = '<image>Does this image match the caption: "{}"? Please answer Yes or No.'
    i2c = (
        "<image>Which caption best describes the image?\n(A) {}\n(B) {}\n"
        "Please output the letter corresponding to the correct option."
    )
    c2i = (
        "Image 1: <image> Image 2: <image>\n"
        'Which image better matches the caption: "{}"? Answer 1 or 2.'
    )
    red, green = "images/red.png", "images/green.png"
    asked = {key: (trial.prompt, shown(trial), trial.gold) for key, trial in trials.items()}
    assert asked == {
        ("confirm", 0, "ab"): (yes_no.format("C0"), [red], "Yes"),
        ("confirm", 1, "ab"): (yes_no.format("C1"), [green], "Yes"),
        ("reject", 0, "ab"): (yes_no.format("C1"), [red], "No"),
        ("reject", 1, "ab"): (yes_no.format("C0"), [green], "No"),
        ("i2c", 0, "ab"): (i2c.format("C0", "C1"), [red], "A"),
        ("i2c", 0, "ba"): (i2c.format("C1", "C0"), [red], "B"),
        ("i2c", 1, "ab"): (i2c.format("C0", "C1"), [green], "B"),
        ("i2c", 1, "ba"): (i2c.format("C1", "C0"), [green], "A"),
        ("c2i", 0, "ab"): (c2i.format("C0"), [red, green], "1"),
        ("c2i", 0, "ba"): (c2i.format("C0"), [green, red], "2"),
        ("c2i", 1, "ab"): (c2i.format("C1"), [red, green], "2"),
        ("c2i", 1, "ba"): (c2i.format("C1"), [green, red], "1"),
    }


@pytest.mark.parametrize("name", ["mis", "mic", "mis-vismin-prompts", "mic-vismin-prompts"])
def test_options_are_scored_and_the_right_one_is_first_as_often_as_second(name):
    trials = first_sample(TaskIndex().load(name))
    assert all(trial.request.choices == trial.choices for trial in trials.values())
    places = Counter((key[0], t.choices.index(t.gold)) for key, t in trials.items())
    assert [places[q, k] for q in ("i2c", "c2i") for k in (0, 1)] == [2, 2, 2, 2]
    for (question, side, order), trial in trials.items():
        *_, last = trial.request.messages
        images = [part.image for part in last.parts if isinstance(part, Picture)]
        assert len(images) == (2 if question == "c2i" else 1)
        if question == "c2i":
            right = images[trial.choices.index(trial.gold)]
            assert right.key == trials["i2c", side, order].request.images[0].key


@pytest.mark.parametrize("name", ["mis", "mis-vismin-prompts"])
def test_every_right_option_is_parsed_as_itself_when_generated(name):
    task = TaskIndex().load(name, output="generate")
    for trial in expand(task, limit=2):
        assert trial.request.choices is None
        assert trial.request.decoding.max_new_tokens == 16
        for option in trial.choices:
            found = score(
                task,
                condition=trial.condition,
                gold=trial.gold,
                choices=trial.choices,
                outcome=Answer(text=f"{option}."),
            )
            assert found.answer == option
            assert found.scores["accuracy"] == (option == trial.gold)


def test_the_words_of_vqascore_and_vismin(data):
    trials = first_sample(TaskIndex().load("mis-vismin-prompts", data=data))
    assert trials["reject", 0, "ab"].prompt == (
        '<image>Does this figure show "C1"? Please answer yes or no.'
    )
    assert trials["i2c", 0, "ba"].prompt == (
        "<image>Does this image best match: (A) C1, or (B) C0? Choices: A, B."
    )
    assert trials["c2i", 1, "ba"].prompt == (
        '<image><image>Which image better aligns with the description: "C1"? '
        "Choices: First, Second."
    )
    assert trials["c2i", 1, "ba"].gold == "First"


def test_the_group_is_both_subsets_and_the_label_is_a_field(data):
    index = TaskIndex()
    assert index.resolve("mischief") == ["mis", "mic"]
    trials = list(expand(index.load("mis", data=data)))
    assert {(t.sample_id, t.condition["side"], t.fields["label"]) for t in trials} == {
        ("p0", 0, "safe"),
        ("p0", 1, "unsafe"),
        ("p1", 0, "unsafe"),
        ("p1", 1, "safe"),
    }
    assert index.load("mic").info()["data"]["synthetic"]
    assert not index.load("mis", data=data).info()["data"]["synthetic"]


def test_a_contrastive_model_is_given_what_the_choices_compare(data):
    trials = first_sample(TaskIndex().load("mis", data=data))
    red, green = "images/red.png", "images/green.png"
    compared = {
        key: ([image.label for image in t.request.match.images], list(t.request.match.texts))
        for key, t in trials.items()
        if t.request.match is not None
    }
    assert compared == {
        ("i2c", 0, "ab"): ([red], ["C0", "C1"]),
        ("i2c", 0, "ba"): ([red], ["C1", "C0"]),
        ("i2c", 1, "ab"): ([green], ["C0", "C1"]),
        ("i2c", 1, "ba"): ([green], ["C1", "C0"]),
        ("c2i", 0, "ab"): ([red, green], ["C0"]),
        ("c2i", 0, "ba"): ([green, red], ["C0"]),
        ("c2i", 1, "ab"): ([red, green], ["C1"]),
        ("c2i", 1, "ba"): ([green, red], ["C1"]),
    }


@pytest.mark.parametrize("name", ["mic-vismin-prompts", "mic-composite"])
def test_variants_compare_the_same(name):
    usual = first_sample(TaskIndex().load("mic"))
    for key, trial in first_sample(TaskIndex().load(name)).items():
        if key[0] == "c2i_composite":
            assert trial.request.match is None
        else:
            assert trial.request.match == usual[key].request.match


@pytest.mark.parametrize(("orders", "trials"), [("both", 12), ("fixed", 8), ("hash", 8)])
def test_option_orders_are_an_option_of_the_data(data, orders, trials):
    asked = first_sample(TaskIndex().load("mis", data=f"{data},orders={orders}"))
    assert len(asked) == trials
    assert {(question, side) for question, side, _ in asked} == {
        (question, side) for question in ("confirm", "reject", "i2c", "c2i") for side in (0, 1)
    }
    if orders == "fixed":
        assert {order for _, _, order in asked} == {"ab"}


def test_the_composite_is_one_picture_in_either_order(data):
    trials = first_sample(TaskIndex().load("mis-composite", data=data))
    assert Counter(question for question, _, _ in trials) == {"c2i": 4, "c2i_composite": 4}
    for (question, side, order), trial in trials.items():
        if question == "c2i":
            continue
        (picture,) = trial.request.images
        image = picture.load()
        right = ("red", "green")[side]
        left_is_right = (
            image.getpixel((1, image.height - 1))
            == {
                "red": (255, 0, 0),
                "green": (0, 128, 0),
            }[right]
        )
        assert trial.gold == ("1" if left_is_right else "2")
        assert left_is_right == ((side == 0) == (order == "ab"))
        assert trial.prompt == (
            "<image>The picture shows image 1 on the left and image 2 on the right.\n"
            f'Which image better matches the caption: "C{side}"? Answer 1 or 2.'
        )


def test_winoground_reads_the_hubs_columns(folder, records, write):
    rows = [
        {
            **{key: value for key, value in row.items() if not key.startswith("label")},
            "id": number,
            "collapsed_tag": "Object",
            "tag": "Noun",
            "secondary_tag": None,
            "num_main_preds": 1,
        }
        for number, row in enumerate(records())
    ]
    write(folder / "metadata.jsonl", rows)
    task = TaskIndex().load("winoground", data=str(folder))
    trials = list(expand(task))
    assert len(trials) == 24
    assert {t.fields["category"] for t in trials} == {"Object"}
    assert {t.fields["tag"] for t in trials} == {"Noun"}
    assert {t.sample_id for t in trials} == {"0", "1"}


def test_winoground_without_its_tags_is_read_too(folder, records, write):
    rows = [{k: v for k, v in row.items() if k != "category"} for row in records()]
    write(folder / "metadata.jsonl", rows)
    trials = list(expand(TaskIndex().load("winoground", data=str(folder))))
    assert {t.fields["category"] for t in trials} == {None}


def test_winogrounds_stand_in_is_no_winoground():
    info = TaskIndex().load("winoground", data="embedded").info()["data"]
    assert info["synthetic"]
    assert "not Winoground" in info["notice"]
