import io
import json
import sys

import pytest

from vlm_eval.cli.main import main


@pytest.fixture
def parse(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """Return a function that runs the command on bytes; it gives status, lines and stderr."""

    def parse(given: bytes, *arguments: str):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(given), encoding="ascii"))
        status = main(["parse", *arguments])
        out, err = capsys.readouterr()
        return status, [json.loads(line) for line in out.splitlines()], err

    return parse


def lines(*texts: str) -> bytes:
    return "".join(json.dumps(text, ensure_ascii=False) + "\n" for text in texts).encode()


def test_one_answer_a_line(parse):
    status, found, err = parse(
        lines("X wins, so O loses", "", "3x3", "7", "“O”\u2028\x1b[31m"),
        "vlm_fix",
        "--choices",
        "X,O",
    )
    assert (status, err) == (0, "")
    assert found == [
        {"answer": "O", "rule": "last_word"},
        {"answer": None, "rule": "none"},
        {"answer": "X", "rule": "last_letter"},
        {"answer": None, "rule": "none"},
        {"answer": "O", "rule": "last_word"},
    ]


def test_no_line_is_no_answer(parse):
    assert parse(b"", "label", "--choices", "X,O") == (0, [], "")


def test_the_last_line_needs_no_end(parse):
    status, found, _ = parse(b'"X"', "label", "--choices", " X , O ")
    assert (status, found) == (0, [{"answer": "X", "rule": "exact"}])


def test_options_are_text_or_json(parse):
    given = lines("NO")
    _, strict, _ = parse(given, "yes_no", "--choices", "Yes,No")
    _, pope, _ = parse(given, "yes_no", "--choices", "Yes,No", "--option", "policy=pope")
    assert [strict[0]["answer"], pope[0]["answer"]] == ["No", "Yes"]
    texts = 'texts=["a cat", "a dog"]'
    _, found, _ = parse(lines("a dog"), "letter", "--choices", "A,B", "--option", texts)
    assert found == [{"answer": "B", "rule": "restated"}]


def test_an_open_answer_has_no_choices(parse):
    _, found, _ = parse(b'"The two dogs."', "vqa_answer", "--choices", "-")
    assert found == [{"answer": "2 dogs", "rule": "normalised"}]


def test_answers_before_a_fault_are_printed(parse):
    status, found, err = parse(b'"X"\n"O\n"X"\n', "label", "--choices", "X,O")
    assert (status, len(found)) == (2, 1)
    assert err.count("\n") == 1
    assert "line 2: not JSON" in err


@pytest.mark.parametrize(
    ("given", "arguments", "message"),
    [
        (b"X\n", ["label", "--choices", "X,O"], "line 1: not JSON"),
        (b"\n", ["label", "--choices", "X,O"], "line 1: not JSON"),
        (b'"X"\n3\n', ["label", "--choices", "X,O"], "line 2: JSON, but not a string"),
        (b"null\n", ["label", "--choices", "X,O"], "line 1: JSON, but not a string"),
        (b'"\xff"\n', ["label", "--choices", "X,O"], "line 1: not JSON"),
        (b"[" * 100_000, ["label", "--choices", "X,O"], "line 1: not JSON"),
        (b"", ["lable", "--choices", "X,O"], "unknown parser 'lable'; did you mean label?"),
        (b"", ["label"], "--choices"),
        (b"", ["label", "--choices", ""], "--choices: an empty choice"),
        (b"", ["label", "--choices", "X,,O"], "--choices: an empty choice"),
        (b"", ["label", "--choices", "X, X"], "--choices: 'X' is there twice"),
        (b"", ["label", "--choices", "X,O", "--option", "policy"], "--option: cannot use 'policy'"),
        (b"", ["label", "--choices", "X,O", "--option", "name=x"], "--option: cannot use 'name=x'"),
        (b"", ["label", "--choices", "X,O", "--option", "a=1"], "parser label has no option 'a'"),
        (
            b"",
            ["yes_no", "--choices", "Yes,No", "--option", "polcy=pope"],
            "parser yes_no has no option 'polcy'; did you mean policy?",
        ),
        (
            b"",
            ["yes_no", "--choices", "Yes,No", "--option", "policy=pop"],
            "parser yes_no, option 'policy': Input should be 'strict'",
        ),
        (
            b"",
            ["yes_no", "--choices", "Yes,No", "--option", "policy=pope", "--option", "policy=pope"],
            "each key once",
        ),
    ],
)
def test_bad_input_is_one_line_and_status_two(parse, given, arguments, message):
    status, _, err = parse(given, *arguments)
    assert status == 2
    assert message in err
    assert err.count("\n") == 1
