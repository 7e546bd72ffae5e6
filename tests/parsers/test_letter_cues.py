"""The ranked policy: the cues in descending confidence, the last mention within one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vlm_eval.parsers.letter import Letter
from vlm_eval.parsers.letter_cues import CUES

ABCD = ("A", "B", "C", "D")
TEXTS = ("a cat", "a dog", "a bird", "a fish")
RANKED = Letter(policy="ranked", texts=TEXTS)


@pytest.mark.parametrize(
    ("text", "answer", "rule"),
    [
        ("B", "B", "exact"),
        ("(c).", "C", "exact"),
        ("B) a dog", "B", "leading"),
        ("b. a dog", "B", "leading"),
        ("D\nIt shows a fish", "D", "leading"),
        ("The answer is C, not B", "C", "answer"),
        ("I first took option A. The answer is option (D).", "D", "answer"),
        ("so \\boxed{C}, I think", "C", "answer"),
        ("I would go with C.", "C", "ending"),
        ("Between A and B, I choose B", "B", "ending"),
        ("It can be (A), rather (C), I think", "C", "bracketed"),
        ("It is B. That is clear", "B", "period"),
        ("I say B: it barks", "B", "colon"),
        ("I say C) it sings", "C", "closed"),
        ("it seems D to me", "D", "blank"),
        ("it shows a fish", "D", "restated"),
        ("A dog", "B", "restated"),
        ("So the answer is c.", "C", "answer"),
        ("The answer is a", "A", "answer"),
        ("<answer>c</answer>", "C", "answer"),
        ("<answer> C </answer>, I think", "C", "answer"),
        # A better cue wins wherever it stands.
        ("It is B. The answer is A, says (C)", "A", "answer"),
        ("I see (C) there, and D. But A is too", "C", "bracketed"),
        # The article, negation, alternatives, lists and other labels are no answers.
        ("A man is walking", None, "none"),
        ("not B", None, "none"),
        ("The answer is not B", None, "none"),
        ("A or B", None, "none"),
        ("A, B, or C", None, "none"),
        ("A. cat\nB. mat", None, "none"),
        ("(A) cat\n(B) mat\nAnswer: (B)", "B", "answer"),
        ("E", None, "none"),
        ("The answer is E", None, "none"),
        ("the answer is a mystery", None, "none"),
        ("the answer is a or b", None, "none"),
        ("Banana", None, "none"),
        ("a cat or a dog", None, "none"),
        ("", None, "none"),
    ],
)
def test_cues(text, answer, rule):
    found = RANKED(text, ABCD)
    assert (found.answer, found.rule) == (answer, rule)


def test_the_labels_are_the_samples_own():
    assert Letter(policy="ranked")("The answer is E", (*ABCD, "E")).answer == "E"
    assert Letter(policy="ranked")("The answer is C", ("A", "B")).answer is None
    assert Letter(policy="ranked")("The answer is (b)", ("a", "b")).answer == "b"


@pytest.mark.parametrize("policy", ["strict", "ranked"])
@pytest.mark.parametrize(
    "text",
    ["A B", "A\nB\nC\nD", "(A)(B)", "A; B", "A - B", "A + B", "A.B", "A vs B", "**A** vs. **B**"],
)
def test_several_letters_and_nothing_else_are_no_answer(policy, text):
    assert Letter(policy=policy, texts=TEXTS)(text, ABCD).answer is None


@pytest.mark.parametrize("policy", ["strict", "ranked"])
def test_one_letter_repeated_and_a_text_of_letters_are_answers(policy):
    assert Letter(policy=policy)("B. B", ABCD).answer == "B"
    texts = ("A", "B", "A and B", "neither")
    assert Letter(policy=policy, texts=texts)("A and B", ABCD).answer == "C"


@given(st.lists(st.sampled_from(ABCD), min_size=1, max_size=6))
def test_within_a_cue_the_last_wins(letters):
    text = "well, " + " then ".join(f"({letter})" for letter in letters) + " it was"
    assert RANKED(text, ABCD).answer == letters[-1]


@given(st.permutations(range(3)))
def test_the_best_cue_wins_in_any_order(order):
    said = ["the answer is A,", "it was (B), maybe,", "perhaps C: so,"]
    found = RANKED("hm, " + " ".join(said[i] for i in order) + " hm", ABCD)
    assert (found.answer, found.rule) == ("A", CUES[1])


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("I would go with C.", "C"),
        ("The best is B. It shows a dog", "B"),
        ("Between A and B, I choose B", None),
        ("I prefer A over B", None),
        ("it is not C.", None),
        ("A Ferrari", None),
    ],
)
def test_the_strict_policy_takes_a_lone_letter_only(text, answer):
    assert Letter()(text, ABCD).answer == answer


def test_the_strict_policy_refuses_a_list_of_letters():
    assert Letter()("A, B or C", ABCD).answer is None


def test_a_letter_repeated_a_thousand_times_is_no_lone_mention():
    lone = Letter()
    assert lone("I say B. " * 1000, ABCD).answer == "B"
    assert lone("I say B. " * 1001, ABCD).answer is None
