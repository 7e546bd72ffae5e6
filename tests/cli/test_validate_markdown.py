import re

import pytest

from vlm_eval.cli.main import main
from vlm_eval.cli.validate_markdown import escaped, fenced


@pytest.fixture
def validate(capsys):
    def validate(*arguments):
        status = main(["validate", *map(str, arguments), "--format", "markdown"])
        return status, capsys.readouterr()

    return validate


def test_a_good_file_gives_a_table_and_a_folded_prompt(validate, write):
    status, captured = validate(write())
    assert (status, captured.err) == (0, "")
    assert captured.out.startswith(
        "**1 task file, all ok**\n\n| task | verdict |\n|---|---|\n| toy 1.2.3 | ok |\n\n"
        "### toy 1.2.3: ok\n\n- file toy.yaml, digest "
    )
    fold = (
        "\n<details><summary>The first prompt</summary>\n\n```text\ns-a under blur=1,ask=direct:\n"
    )
    assert fold + "<image>Is it rose?\n```\n\n</details>\n" in captured.out


def test_good_and_bad_files_are_told_apart_and_the_status_says_so(validate, write):
    bad = write(("task: toy", "task: bad"), ("chance: 0.5", "chance: 9"), name="bad.yaml")
    status, captured = validate(write(), bad)
    assert status == 2
    assert captured.err.startswith("vlm_eval: error: bad.yaml:")
    assert "**2 task files, 1 with faults**" in captured.out
    assert "| toy 1.2.3 | ok |\n| bad.yaml | 1 fault |\n" in captured.out
    assert re.search(
        r"^### bad\.yaml: 1 fault\n\n- bad\.yaml:\d+: key 'chance': ", captured.out, re.M
    )


def test_what_a_task_file_says_is_inert(validate, write):
    hostile = '"</details><script>x</script> ```` | @all [a](b) <!-- \\u202e"'
    status, captured = validate(
        write(('{text: "Is it {{ word }}?"}', f"{{text: {hostile}}}"),
              ("kind: red, image: \"colour:red\", word: rose", "kind: red, image: \"colour:red\", "
               "word: rose, odd: '|<script>'"),
              ("id: a,", "id: 'a|<script>`*',"))
    )  # fmt: skip
    assert status == 0, captured.out
    outside = re.sub(r"(`{3,})text\n.*?\n\1\n", "", captured.out, flags=re.S)
    assert "<script" not in outside.replace(r"\<script", "")
    assert r"s-a\|\<script\>\`\*" in outside
    assert outside.count("</details>") == 1
    assert "\n`````text\n" in captured.out
    assert "\u202e" not in captured.out


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a_b*c`d", r"a\_b\*c\`d"),
        ("<img src=x>|[a](b)~#1", r"\<img src=x\>\|\[a\](b)\~\#1"),
        ("\\&amp;", r"\\&amp;amp;"),
        ("a\nb", r"a\nb".replace("\\", "\\\\")),
    ],
)
def test_marks_are_escaped(text, shown):
    assert escaped(text) == shown


@pytest.mark.parametrize("text", ["plain", "```", "a\n````\nb", "`" * 9])
def test_a_fence_is_longer_than_any_inside(text):
    first, *middle, last = fenced(text).split("\n")
    assert first == last + "text"
    assert "\n".join(middle) == text
    assert last not in text
