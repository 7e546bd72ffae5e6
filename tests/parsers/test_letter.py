import pytest

from vlm_eval.parsers.letter import Letter

AB, N2 = ("A", "B"), ("1", "2")
CAPTIONS = ("A cat sits on the mat.", "A mat lies on the cat.")


@pytest.mark.parametrize(
    ("text", "choices", "answer", "rule"),
    [
        # The forms of the protocol, section A.5, alone.
        ("A", AB, "A", "exact"),
        ("b", AB, "B", "exact"),
        ("(A)", AB, "A", "exact"),
        ("A.", AB, "A", "exact"),
        ("B)", AB, "B", "exact"),
        ("**B**", AB, "B", "exact"),
        ("Option A", AB, "A", "exact"),
        ("Option (B).", AB, "B", "exact"),
        ("First", AB, "A", "exact"),
        ("the second one", AB, "B", "exact"),
        ("Second image.", N2, "2", "exact"),
        ("Image 1", N2, "1", "exact"),
        ("Image 2", AB, "B", "exact"),
        ("(1)", N2, "1", "exact"),
        ("(2)", AB, "B", "exact"),
        ("B", N2, "2", "exact"),
        # Explicit answers: the last wins.
        ("Answer: A", AB, "A", "answer"),
        ("The correct option is (B).", AB, "B", "answer"),
        ("(A) shows a mat.\n(B) shows a cat.\nAnswer: B", AB, "B", "answer"),
        ("Answer: the second image", N2, "2", "answer"),
        ("Answer: A because it shows a cat", AB, "A", "answer"),
        ("so \\boxed{\\text{B}}", AB, "B", "boxed"),
        ("\\boxed{(A) A cat sits}", AB, "A", "boxed"),
        # At the beginning, set off.
        ("(B) A mat lies on the cat.", AB, "B", "leading"),
        ("(b) a mat", AB, "B", "leading"),
        ("A. A cat sits", AB, "A", "leading"),
        ("B: a mat", AB, "B", "leading"),
        ("A, because the cat sits", AB, "A", "leading"),
        ("B because option A is wrong", AB, "B", "leading"),
        ("A\nThe cat sits", AB, "A", "leading"),
        ("Option B. Unlike option A it fits", AB, "B", "leading"),
        ("Image 1 better matches the caption than image 2", N2, "1", "leading"),
        ("The first caption is the best; the second is wrong", AB, "A", "leading"),
        ("(2) A mat lies, unlike (1)", N2, "2", "leading"),
        # Anywhere, set off, and the only one.
        ("Output (1).", N2, "1", "only"),
        ("The caption that fits is:\n\n(1) A cat sits on the mat.", N2, "1", "only"),
        ("I choose option B", AB, "B", "only"),
        ("First, I look at the cat. I prefer the second image.", N2, "2", "only"),
        ("A man is shown, so (B)", AB, "B", "only"),
        # The option's own words.
        ("A cat sits on the mat.", AB, "A", "restated"),
        ("“a mat lies\non the CAT”", AB, "B", "restated"),
        ("It is: A mat lies on the cat", N2, "2", "restated"),
        ("Answer: A cat sits on the mat.", AB, "A", "restated"),
        # Traps.
        ("A dog runs", AB, None, "none"),
        ("A man with a hat", AB, None, "none"),
        ("Answer: A man with a hat", AB, None, "none"),
        ("2 men", N2, None, "none"),
        ("There are 2 men and 1 dog", N2, None, "none"),
        ("Answer: 2 men and a dog", N2, None, "none"),
        ("Neither (1) nor (2)", N2, None, "none"),
        ("Neither (1).", N2, None, "none"),
        ("Not (A)", AB, None, "none"),
        ("(A) is wrong", AB, None, "none"),
        ("Option A is not right", AB, None, "none"),
        ("Output (1) or (2).", N2, None, "none"),
        ("Answer 1 or 2", N2, None, "none"),
        ("option 1 or 2", N2, None, "none"),
        ("I'm sorry, but I can't assist with this request.", N2, None, "none"),
        ("None of the captions accurately describe the image.", N2, None, "none"),
        ("First, I look at the cat.", N2, None, "none"),
        ("First, the cat sits. Second, it sleeps.", N2, None, "none"),
        ("1. Look at the cat.\n2. Look at the mat.", N2, None, "none"),
        ("(A) cat\n(B) mat", AB, None, "none"),
        ("A: cat\nB: mat", AB, None, "none"),
        ("A cat sits on the mat. A mat lies on the cat.", AB, None, "none"),
        ("It is not: A cat sits on the mat", AB, "A", "restated"),
        ("not A cat sits on the mat", AB, None, "none"),
        ("C", AB, None, "none"),
        ("(C)", AB, None, "none"),
        ("Image 3", N2, None, "none"),
        ("", AB, None, "none"),
        ("<think>(A)</think>", AB, None, "none"),
    ],
)
def test_marks_are_found_where_they_are_set_off(text, choices, answer, rule):
    found = Letter(texts=CAPTIONS)(text, choices)
    assert (found.answer, found.rule) == (answer, rule)


def test_without_texts_nothing_is_restated():
    assert Letter()(CAPTIONS[0], AB).rule == "none"


def test_the_longer_of_two_texts_that_overlap_is_meant():
    parser = Letter(texts=("a cat", "a cat on a mat"))
    assert parser("I see a cat on a mat", AB).answer == "B"
    assert parser("I see a cat", AB).answer == "A"


def test_equal_texts_tell_nothing():
    assert Letter(texts=("a cat", "a cat"))("a cat", AB).answer is None


def test_other_spellings_count_only_where_the_order_is_certain():
    assert Letter()("First", ("B", "A")).answer is None
    assert Letter()("(1)", ("B", "A")).answer is None
    assert Letter()("(A)", ("B", "A")).answer == "A"
    assert Letter()("(2)", ("2", "1")).answer == "2"


@pytest.mark.parametrize(
    "text", ["Second", "the second image", "Image 2", "(B)", "2.", "Answer: Second"]
)
def test_ordinals_may_be_the_choices(text):
    assert Letter()(text, ("First", "Second")).answer == "Second"
    assert Letter()("First, I look at the image.", ("First", "Second")).answer is None


def test_more_options_than_letters():
    numbers = tuple(str(i + 1) for i in range(30))
    assert Letter()("(29)", numbers).answer == "29"
    assert Letter()("(Z)", numbers).answer == "26"
