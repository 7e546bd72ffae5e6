import pytest

from vlm_eval.data.vlmbias.alias import ANSWER, alias_prompt


def items(what, unit):
    return (
        f"Count the {what}, but report them as ITEMs (one ITEM = one {unit}). "
        "How many ITEMs are there? Answer with a number in curly brackets, e.g., {9}."
    )


@pytest.mark.parametrize(
    ("topic", "question", "what", "unit"),
    [
        ("Animals", "How many legs does this animal have?", "visible legs in this image",
         "visible leg"),
        ("Animals", "Count the legs of this animal.", "visible legs in this image", "visible leg"),
        ("Flags", "How many stars are there in this flag?", "stars in this image", "star"),
        ("Flags", "Count the stripes in this flag.", "stripes in this image", "stripe"),
        ("Game Boards", "How many rows are there on this board?", "rows on this image", "row"),
        ("Game Boards", "Count the columns on this puzzle.", "columns on this image", "column"),
        ("Game Boards", "How many horizontal lines are there on this board?",
         "horizontal lines on this image", "horizontal line"),
        ("Game Boards", "Count the vertical lines on this board.",
         "vertical lines on this image", "vertical line"),
        ("Logos", "How many visible white stripes are there in the logo on the left shoe?",
         "visible white stripes in the logo on the left shoe", "visible white stripe"),
        ("Logos", "Count the visible black stylized curves in the logo on the left shoe.",
         "visible black stylized curves in the logo on the left shoe",
         "visible black stylized curve"),
        ("Logos", "How many overlapping circles are there in the logo of this car?",
         "overlapping circles in the logo of this car", "overlapping circle"),
        ("Logos", "Count the points on the star in the logo of this car.",
         "points on the star in the logo of this car", "point"),
        ("Logos", "How many prongs are there in the logo of this car?",
         "prongs in the logo of this car", "prong"),
        # a place that is not on the list is taken from "How many", and refused from "Count the"
        ("Logos", "How many prongs are there in the logo of the left shoe?",
         "prongs in the logo of the left shoe", "prong"),
    ],
)  # fmt: skip
def test_published_wordings_are_rewritten(topic, question, what, unit):
    assert alias_prompt(topic, f"{question} {ANSWER}") == items(what, unit)


@pytest.mark.parametrize(
    ("topic", "prompt"),
    [
        ("Logos", f"Count the prongs in the logo of the left shoe. {ANSWER}"),
        ("Logos", f"How many prongs are there in the logo of this car? {ANSWER[:-1]}"),
        ("Logos", f"Count the prongs in the logo of this car. {ANSWER[:-1]}"),
        ("Logos", f"How many prongs does the logo have? {ANSWER}"),
        ("Logos", "How many prongs are there in the logo of this car?"),
        ("Flags", f"How many colours are there in this flag? {ANSWER}"),
        ("Game Boards", f"How many squares are there on this board? {ANSWER}"),
        ("Chess Pieces", f"How many chess pieces are there on this board? {ANSWER}"),
        ("", ANSWER),
    ],
)
def test_what_has_no_alias_form_is_said_and_not_guessed(topic, prompt):
    assert alias_prompt(topic, prompt) is None


def test_blanks_around_a_prompt_and_its_case_do_not_matter():
    prompt = f"  COUNT THE points on the star in the logo of this car.  {ANSWER}\n"
    assert alias_prompt("Logos", prompt) == items(
        "points on the star in the logo of this car", "point"
    )
    assert alias_prompt("Flags", "Count The STARS") == items("stars in this image", "star")
