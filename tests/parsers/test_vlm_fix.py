import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vlm_eval.parsers.vlm_fix import VlmFix

XO, AB = ("X", "O"), ("A", "B")
BW, RY = ("Black", "White"), ("Red", "Yellow")


@pytest.mark.parametrize(
    ("text", "choices", "answer", "rule"),
    [
        # "Consequences worth testing" of the protocol, section 6.
        ("X wins, so O loses", XO, "O", "last_word"),
        ("O (not X)", XO, "X", "last_word"),
        ("Unknown", XO, "O", "last_letter"),
        ("3x3", XO, "X", "last_letter"),
        ("\\boxed{}", XO, "X", "last_letter"),
        ("B is a winner", AB, "A", "last_word"),
        ("Player B has a total of 20 boxes.", AB, "A", "last_word"),
        ("I think Q wins", ("Q", "I"), "Q", "last_word"),
        ("Q wins, I think", ("Q", "I"), "I", "last_word"),
        ("B", BW, None, "none"),
        ("W", BW, None, "none"),
        ("R", RY, None, "none"),
        ("Black has fewer pieces than White", BW, "White", "last_word"),
        # Step 1 and 2: the whole text.
        ("", XO, None, "none"),
        (" \n\t", XO, None, "none"),
        ("\n x \n", XO, "X", "exact"),
        ("BLACK", BW, "Black", "exact"),
        ("X.", XO, "X", "last_word"),
        # Step 3: boxes without inner braces, the last that holds a label.
        ("\\boxed{X} but O", XO, "X", "boxed"),
        ("\\boxed{X} \\boxed{O}", XO, "O", "boxed"),
        ("\\boxed{X} \\boxed{neither}, O", XO, "X", "boxed"),
        ("\\boxed   { white } Black", BW, "White", "boxed"),
        ("\\boxed\n{O} X", XO, "O", "boxed"),
        ("\\boxed{\\text{X}} O", XO, "O", "last_word"),
        ("\\boxed{\\text{X}}", XO, "X", "last_word"),
        ("\\boxed{Player X}, not O", XO, "O", "last_word"),
        ("\\boxed{\\boxed{X}} O", XO, "X", "boxed"),
        ("boxed{X} O", XO, "O", "last_word"),
        # Step 4: whole words, of word characters in any script.
        ("player_X O_", XO, "O", "last_letter"),
        ("X1 O2 xylo", XO, "O", "last_letter"),
        ("éX and 9O", XO, "O", "last_letter"),
        ("X, o!", XO, "O", "last_word"),
        ("blackish whites", BW, None, "none"),
        ("Yellow-Red", RY, "Red", "last_word"),
        # Case is that of str.lower: no dotless i, no long s, and a dotted I is an i and a dot.
        ("ı", ("I", "C"), None, "none"),
        ("ſ.", ("K", "S"), None, "none"),
        ("so ıt is", ("I", "C"), "I", "last_letter"),
        ("İ.", ("C", "I"), "I", "last_word"),
        ("\u0130Red", RY, "Red", "last_word"),
        ("\u212a", ("K", "S"), "K", "exact"),
        # Two labels at one place: the last of the choices.
        ("a Black King.", ("Black", "Black King"), "Black King", "last_word"),
        ("a Black King.", ("Black King", "Black"), "Black", "last_word"),
        ("a Black King, Black", ("Black", "Black King"), "Black", "last_word"),
        ("x", ("x", "X"), "X", "exact"),
        ("\\boxed{X}", ("X", "x"), "x", "boxed"),
        ("fox den", ("x", "X"), "X", "last_letter"),
        # Step 5: ASCII letters only, from the end, inside words too.
        ("fox den", XO, "X", "last_letter"),
        ("no", XO, "O", "last_letter"),
        ("12345", XO, None, "none"),
        ("ＸÒ", XO, None, "none"),
        ("an ax", ("A", "Black"), "A", "last_letter"),
        ("xo", ("7", "O"), "O", "last_letter"),
    ],
)
def test_the_published_rules_are_applied_literally(text, choices, answer, rule):
    found = VlmFix()(text, choices)
    assert (found.answer, found.rule) == (answer, rule)


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("  X ", "X"),
        ("\\boxed{ o }", "o"),
        ("it is O, yes", "O"),
        ("İ, O İ.", "O"),
        ("fox den", "x"),
        ("", None),
    ],
)
def test_the_span_is_of_the_raw_text(text, span):
    found = VlmFix()(text, XO)
    assert (text[slice(*found.span)] if found.span else None) == span


def published(text: str, labels: tuple[str, str]) -> str:
    """The six steps once more, as a reader of the specification would write them."""
    text = text.strip()
    if not text:
        return ""
    for label in labels:
        if text.lower() == label.lower():
            return label
    for content in re.findall(r"\\boxed\s*\{([^{}]*)\}", text)[::-1]:
        for label in labels:
            if content.strip().lower() == label.lower():
                return label
    places = [
        (match.start(), number)
        for number, label in enumerate(labels)
        for match in re.finditer(r"\b" + re.escape(label.lower()) + r"\b", text.lower())
    ]
    if places:
        return labels[max(places)[1]]
    letters = [label for label in labels if re.fullmatch("[A-Za-z]", label)]
    for character in re.findall("[A-Za-z]", text)[::-1]:
        for label in letters:
            if character.upper() == label.upper():
                return label
    return ""


PIECES = ["X", "O", "x", "o", "a", "I", "B", "Black", "white", "\\boxed{", "}", "{", " ", "_", "3",
          "\n", ".", "not", "\\text{", "é", "xo", "ı", "İ", "ſ", "\u212a", "King", "-"]  # fmt: skip


@given(
    st.lists(st.sampled_from(PIECES), max_size=12).map("".join),
    st.sampled_from([XO, AB, BW, ("I", "X"), ("A", "Black"), ("K", "S"), ("Black", "Black King")]),
)
def test_it_equals_the_specification(text, choices):
    assert (VlmFix()(text, choices).answer or "") == published(text, choices)
