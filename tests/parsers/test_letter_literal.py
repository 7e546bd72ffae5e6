import pytest

from vlm_eval.parsers.base import PARSERS

ABCD = ("A", "B", "C", "D")
TEXTS = ("a cat on a mat", "a dog", "a bird", "a fish")


@pytest.mark.parametrize(
    ("parser", "text", "answer"),
    [
        ("first_character", "b is right", "B"),
        ("first_character", "A man", "A"),  # the published rule's fault
        ("first_character", "The answer is B", None),
        ("first_character", " C", "C"),
        ("first_character", "", None),
        ("leading_letter", "A", "A"),
        ("leading_letter", "A. cat", "A"),
        ("leading_letter", "(B) dog", "B"),
        ("leading_letter", "A cat", None),
        ("leading_letter", "a", None),
        ("lmms_mmmu", "(A) or (B)", "B"),
        ("lmms_mmmu", "(A) then B and C.", "A"),  # a bracketed letter hides all others
        ("lmms_mmmu", "A man", "A"),
        ("lmms_mmmu", "It is C", "C"),
        ("lmms_mmmu", "the answer:B.", "B"),
        ("lmms_mmmu", "what is shown here is a bird", "C"),
        ("lmms_mmmu", "a bird", None),
        ("lmms_mmmu", "", None),
        ("vlmevalkit_letter", "The answer is C.", "C"),
        ("vlmevalkit_letter", "A", "A"),
        ("vlmevalkit_letter", "A man is walking", None),
        ("vlmevalkit_letter", "B or C", None),
        ("vlmevalkit_letter", "B seems to me to be best", None),  # too early in the text
        ("vlmevalkit_letter", "a dog", "B"),
        ("vlmevalkit_letter", "", None),
    ],
)
def test_published_rules(parser, text, answer):
    cls = PARSERS.get(parser)
    made = cls(texts=TEXTS) if "texts" in cls.__dataclass_fields__ else cls()
    found = made(text, ABCD)
    assert (found.answer, found.rule) == (answer, parser if answer else "none")


@pytest.mark.parametrize(
    ("text", "choices", "answer"),
    [
        ("Well, yes and no", ("Yes", "No"), "Yes"),
        ("notice", ("Yes", "No"), None),
        ("a dog, so B", ("A", "B"), "A"),  # in any case, so the article counts
        ("B.", ("A", "B"), "B"),
        ("", ("A", "B"), None),
    ],
)
def test_naturalbench_takes_the_first_word(text, choices, answer):
    assert PARSERS.get("naturalbench")()(text, choices).answer == answer
