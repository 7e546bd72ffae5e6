import pytest

from vlm_eval.parsers.text import names_pattern, normalise, trim, without_reasoning


@pytest.mark.parametrize(
    ("raw", "clean"),
    [
        ("  a  b\t c ", "a b c"),
        ("a \r\n\n \n b", "a\nb"),
        ("# *a* __b__ `c` $d$", "a b c d"),
        ("snake_case isn't 'quoted'", "snake_case isn't quoted"),
        ("“a” ‘b’ don’t", "a b don't"),
        ("\\(\\textbf{\\text{X}}\\)", "X"),
        ("\\boxed{\\mathrm{X}}", "\\boxed{X}"),
        ("Ｘ１ ﬁ", "X1 fi"),
        ("e\u0301", "é"),
        ("X" + "\u0301" * 100 + "Y", "X" + "\u0301" * 30 + "Y"),
    ],
)
def test_normalise(raw, clean):
    assert normalise(raw) == clean


@pytest.mark.parametrize(
    ("raw", "kept"),
    [
        ("a", "a"),
        ("<think>a</think>b", "b"),
        ("a<THINK>b</Think>c<thinking>d</thinking>e", "ace"),
        ("a</think>b", "b"),
        ("a<think>b", "a"),
        ("<think>a<think>b</think>c", "c"),
        ("<thin>a</thin>", "<thin>a</thin>"),
    ],
)
def test_reasoning_is_removed(raw, kept):
    assert without_reasoning(raw).replace("\n", "") == kept


def test_trim():
    assert trim(" (X). ") == "X"
    assert trim("C++") == "C++"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("X x Red RED reddish", ["X", "Red", "RED"]),
        ("dark red, red", ["dark red", "red"]),
        ("C++ C+++ C++x", ["C++", "C++"]),
        ("X_ _X XX 3X Xé", []),
        ("X-ray non-X X - X", ["X", "X"]),
    ],
)
def test_names_are_whole_words(text, found):
    names = names_pattern([["X"], ["red"], ["dark red"], ["C++"]])
    assert [match[0] for match in names.finditer(text)] == found


def test_no_names_match_nothing():
    assert names_pattern([]).search("any text") is None
    assert names_pattern([[""]]).search("any text") is None
