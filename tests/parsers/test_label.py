import pytest
from hypothesis import given
from hypothesis import strategies as st

from vlm_eval.parsers.label import Label

XO, AB, BW = ("X", "O"), ("A", "B"), ("Black", "White")


@pytest.mark.parametrize(
    ("text", "choices", "answer", "rule"),
    [
        # The whole answer, whatever surrounds it.
        ("X", XO, "X", "exact"),
        ("x", XO, "X", "exact"),
        ("**X**.", XO, "X", "exact"),
        ("“White”", BW, "White", "exact"),
        ("`O`\n", XO, "O", "exact"),
        ("__O__", XO, "O", "exact"),
        ("$\\text{X}$", XO, "X", "exact"),
        ("Ｘ", XO, "X", "exact"),
        ("<think>O, surely O.</think>\nX", XO, "X", "exact"),
        ("Reasoning that the prompt opened: O</think>X", XO, "X", "exact"),
        ("<thinking>O</thinking> X <think>O</think>", XO, "X", "exact"),
        # Explicit final answers; the last wins.
        ("Answer: X", XO, "X", "answer"),
        ("I see O first. The answer is: **X**.", XO, "X", "answer"),
        ("answer: O. No, wait. Answer: X", XO, "X", "answer"),
        ("Answer = player X", XO, "X", "answer"),
        ("Answer -> X", XO, "X", "answer"),
        ("The answer is that White wins, Black loses", BW, "White", "answer"),
        ("The correct choice is O, not X", XO, "O", "answer"),
        ("### Final Answer\n\n**O**\n\nX loses", XO, "O", "answer"),
        ("Answer (X or O): O", XO, "O", "answer"),
        ("X? <answer>O</answer>", XO, "O", "answer"),
        ('{"reason": "X lost", "answer": "O"}', XO, "O", "answer"),
        ("Answer: A because A has more boxes than B", AB, "A", "answer"),
        ("Answer: O. The answer is based on the line of X.", XO, "O", "answer"),
        # Boxes.
        ("X or O? \\boxed{X}", XO, "X", "boxed"),
        ("X or O? \\boxed{\\text{X}}", XO, "X", "boxed"),
        ("X or O? \\boxed {\\textbf{\\text{Player X}}}", XO, "X", "boxed"),
        ("X or O? Final answer: $\\boxed{\\mathrm{O}}$", XO, "O", "boxed"),
        ("\\boxed{X}, no: \\boxed{O}", XO, "O", "boxed"),
        ("The answer is X. \\boxed{O}", XO, "O", "boxed"),
        ("\\boxed{O}. So the answer is X.", XO, "X", "answer"),
        ("I write it inside \\boxed{ }: X", XO, "X", "only"),
        # One label, mentioned as a word.
        ("The winner is X.", XO, "X", "only"),
        ("There are more black pieces.", BW, "Black", "only"),
        ("Player B has a total of 20 boxes.", AB, "B", "only"),
        ("B is a winner", AB, "B", "only"),
        ("A player with more boxes wins: B", AB, "B", "only"),
        ("A 6x6 grid was won by B", AB, "B", "only"),
        ("A has more boxes", AB, "A", "only"),
        ("Player A holds most boxes", AB, "A", "only"),
        ("I think the winner is Q", ("I", "Q"), "Q", "only"),
        ("I'm sure that it is Q", ("I", "Q"), "Q", "only"),
        ("The winner is I.", ("I", "Q"), "I", "only"),
        ("I wins", ("I", "Q"), "I", "only"),
        ("X's line is complete", XO, "X", "only"),
        ("a dark red square", ("red", "dark red"), "dark red", "only"),
        ("it was not close, X wins", XO, "X", "only"),
        ("There are 2 dogs in image 1", ("1", "2"), "1", "only"),
        # Never a guess.
        ("", XO, None, "none"),
        ("Unknown", XO, None, "none"),
        ("3x3", XO, None, "none"),
        ("no x here", XO, None, "none"),
        ("\\boxed{}", XO, None, "none"),
        ("X wins, so O loses", XO, None, "none"),
        ("X or O", XO, None, "none"),
        ("Black has fewer pieces than White", BW, None, "none"),
        ("more than White", BW, None, "none"),
        ("Not X", XO, None, "none"),
        ("not the player X", XO, None, "none"),
        ("Neither player, X included", XO, "X", "only"),
        ("neither of X", XO, None, "none"),
        ("X is not the winner", XO, None, "none"),
        ("X isn’t the winner", XO, None, "none"),
        ("X clearly wins. X does not lose.", XO, None, "none"),
        ("X has no line", XO, None, "none"),
        ("It cannot be told whether X won", XO, None, "none"),
        ("anyone except X", XO, None, "none"),
        ("The non-Black player", BW, None, "none"),
        ("an X-shaped figure", XO, None, "none"),
        ("player_X", XO, None, "none"),
        ("The answer is not X", XO, None, "none"),
        ("The answer isn't X", XO, None, "none"),
        ("The answer is X or O", XO, None, "none"),
        ("Answer: X/O", XO, None, "none"),
        ("Answer: X is not the winner", XO, None, "none"),
        ("Answer: X. No: the answer is unclear.", XO, None, "none"),
        ("X \\boxed{draw}", XO, None, "none"),
        ("X \\boxed{X or O}", XO, None, "none"),
        ("Answer: A player with more boxes", AB, None, "none"),
        ("A line decides it", AB, None, "none"),
        ("I cannot tell", ("I", "Q"), None, "none"),
        ("<think>The winner is X", XO, None, "none"),
        ("The answer is clear", XO, None, "none"),
    ],
)
def test_it_answers_where_the_text_does_and_never_guesses(text, choices, answer, rule):
    found = Label()(text, choices)
    assert (found.answer, found.rule) == (answer, rule)


def test_choices_come_back_as_they_are_spelled():
    assert Label()("the answer is red", ("RED", "Blue")).answer == "RED"
    assert Label()("a", ("A", "a")).answer == "a"


def test_a_label_that_reads_like_no_answer_is_an_answer():
    assert Label()("Answer: neither", ("X", "Neither")).answer == "Neither"


@given(st.sampled_from(XO + BW), st.sampled_from(["{}", "**{}**", "Answer: {}", "The winner is {}.",
       "\\boxed{{{}}}", "<think>X O Black White</think>{}"]))  # fmt: skip
def test_a_plain_statement_of_any_label_is_found(label, frame):
    choices = XO if label in XO else BW
    assert Label()(frame.format(label), choices).answer == label


@given(st.permutations(XO), st.sampled_from([" ", " and ", "/", "\n", ", not ", " beats "]))
def test_two_labels_are_never_an_answer(labels, between):
    assert Label()(between.join(labels), XO).answer is None
