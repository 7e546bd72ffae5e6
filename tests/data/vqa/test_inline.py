import pytest
from hypothesis import given
from hypothesis import strategies as st

from vlm_eval.data.vqa.inline import inline_options

FOUND = [
    ("What?\nOptions: A: one, B: two.", "What?", ("one", "two.")),
    ("What? (A) one (B) two (C) three\nAnswer.", "What?", ("one", "two", "three")),
    ("Which?\n\nA. red\nB. blue\nPlease answer.", "Which?", ("red", "blue")),
    ("Which?\nChoices:\n(A) 1,000\n(B) 2", "Which?", ("1,000", "2")),
    ("(a) Open (b) Closed", "", ("Open", "Closed")),
    ("A man in New York: A: here; B: there;", "A man in New York:", ("here", "there")),
    ("Vitamin A. Is it\nA) good\nB) bad", "Vitamin A. Is it", ("good", "bad")),
    ("Which?\nA.\nred\nB.\nblue\nAnswer.", "Which?", ("red", "blue")),
    ("From A: to B: what? Options: A: x, B: y, C: z", "From A: to B: what?", ("x", "y", "z")),
]


@pytest.mark.parametrize(("text", "stem", "options"), FOUND)
def test_options_in_a_question_are_found(text, stem, options):
    found = inline_options(text)
    assert (found.stem, found.options) == (stem, options)
    assert tuple(text[a:b] for a, b in found.spans) == options


@pytest.mark.parametrize(
    "text", ["", "What is it?", "Plan A. What?", "(B) two (C) three", "A: one"]
)
def test_a_question_without_options_has_none(text):
    assert inline_options(text) is None


WORDS = st.text(st.characters(whitelist_categories=["Ll", "Nd"]), min_size=1, max_size=8)


@given(WORDS, st.lists(WORDS, min_size=2, max_size=9, unique=True), st.sampled_from(range(4)))
def test_what_was_written_in_is_read_out(stem, options, style):
    letters = "ABCDEFGHI"
    form, between = (("({}) {}", " "), ("{}: {}", ", "), ("{}. {}", "\n"), ("({}) {}", "\n"))[style]
    pairs = zip(letters, options, strict=False)
    text = f"{stem}\n" + between.join(form.format(*pair) for pair in pairs) + "\nAnswer now."
    found = inline_options(text)
    assert (found.stem, found.options) == (stem, tuple(options))


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused(text):
    found = inline_options(text)
    assert found is None or len(found.options) == len(found.spans) >= 2
