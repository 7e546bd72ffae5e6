"""The words around a question, to the letter: spec A2.2, B3 and D."""

import pytest

from vlm_eval.core.types import ImageRef
from vlm_eval.data.vqa.benchmarks import benchmark
from vlm_eval.data.vqa.item import Item, letters
from vlm_eval.data.vqa.prompts import prompt

IMAGES = {k: ImageRef(str(k), lambda: None) for k in range(1, 8)}


def mcq(question="What?", options=("red", "blue"), pictures=1, **more):
    images = {k: IMAGES[k] for k in range(1, pictures + 1)}
    return Item(
        "x", question, images, "mcq", "A", options=options, letters=letters(len(options)), **more
    )


def text_of(made):
    shown = [f"<{number}>" for number in made.pictures]
    return "".join(a + b for a, b in zip(made.chunks, [*shown, ""], strict=True))


OPTIONS = "\nOptions:\nA. red\nB. blue\nPlease select the correct answer from the options above."
ASIDE = (
    "\nOptions (for your reference; answer freely):\nA. red\nB. blue"
    "\nProvide the best answer in your own words."
)


@pytest.mark.parametrize(
    ("style", "wanted"),
    [
        ("own", "<1>What?\nA. red\nB. blue"
                "\nAnswer with the option's letter from the given choices directly."),
        ("vlmevalkit", "<1>Question: What?" + OPTIONS),
        ("open", "<1>Question: What?\nPlease answer the question concisely."),
        ("open_options", "<1>Question: What?" + ASIDE),
    ],
)  # fmt: skip
def test_each_style_of_a_lettered_question(style, wanted):
    assert text_of(prompt(mcq(), benchmark("seedbench_img"), style)) == wanted


def test_a_hint_comes_first():
    item = mcq(hint="It is a flag.")
    assert text_of(prompt(item, benchmark("seedbench_img"), "vlmevalkit")) == (
        "<1>Hint: It is a flag.\nQuestion: What?" + OPTIONS
    )
    assert text_of(prompt(item, benchmark("scienceqa_img"), "own")).startswith(
        "<1>Context: It is a flag.\nWhat?\nA. red"
    )
    assert "flag" not in text_of(prompt(item, benchmark("ai2d"), "own"))


def test_options_inside_a_question_are_laid_out_anew_by_the_other_styles():
    item = mcq("What?\nOptions: A: red, B: blue", stem="What?", spans=((18, 21), (26, 30)))
    assert text_of(prompt(item, benchmark("mmstar"), "vlmevalkit")) == (
        "<1>Question: What?" + OPTIONS
    )


def test_yes_no_and_free_answers():
    asked = Item("x", "Is it?", {1: IMAGES[1]}, "yes_no", "Yes")
    hallusion = benchmark("hallusion_bench_image")
    assert text_of(prompt(asked, hallusion, "own")) == "<1>Is it?"
    wanted = "<1>Is it? Please answer yes or no."
    assert text_of(prompt(asked, hallusion, "vlmevalkit")) == wanted
    free = Item("x", "who is it?", {1: IMAGES[1]}, "open", "he")
    for style in ("own", "vlmevalkit"):
        assert text_of(prompt(free, benchmark("textvqa"), style)) == (
            "<1>Who is it?\nAnswer the question using a single word or phrase."
        )


LAST = "\n\nAnswer with the option's letter from the given choices directly."


@pytest.mark.parametrize(
    ("question", "options", "own", "kit"),
    [
        ("See <image 1> here.", ("a", "b"),
         "See <1> here.\nA. a\nB. b", "Question: See <1> here.\nOptions:\nA. a\nB. b"),
        # An image that only the options name stands there, or after the question (B3).
        ("<image 1> Which?", ("<image 2>", "b"),
         "<1> Which?\nA. <2>\nB. b",
         "Question: <1> Which?<2>\nOptions:\nA. <image 2>\nB. b"),
        # One that nothing names follows the question; a second mention stays text.
        ("<image 2> or <image 2>?", ("a", "b"),
         "<2> or <image 2>?<1>\nA. a\nB. b",
         "Question: <2> or <image 2>?<1>\nOptions:\nA. a\nB. b"),
    ],
)  # fmt: skip
def test_mmmus_pictures_stand_where_they_are_named(question, options, own, kit):
    pictures = 1 if "image 2" not in question + options[0] else 2
    item = mcq(question, options, pictures, interleaved=True)
    assert text_of(prompt(item, benchmark("mmmu_val"), "own")) == own + LAST
    assert text_of(prompt(item, benchmark("mmmu_val"), "vlmevalkit")) == (
        f"{kit}\nPlease select the correct answer from the options above."
    )


def test_a_mark_is_only_text_where_pictures_are_not_interleaved():
    made = prompt(mcq("See <image 1>.", pictures=2), benchmark("seedbench_img"), "own")
    assert made.pictures == (1, 2)
    assert made.chunks[:2] == ("", "")
    assert made.chunks[2].startswith("See <image 1>.")
