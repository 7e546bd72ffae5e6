"""Arguments of ``vlm_eval run``."""

from __future__ import annotations

import pytest

from vlm_eval.cli import run
from vlm_eval.cli.main import Parser, main
from vlm_eval.core.errors import UsageError


def parse(*arguments: str):
    parser = Parser(prog="vlm_eval run", allow_abbrev=False)
    run.add_arguments(parser)
    return parser.parse_args(["--model", "mock", "--tasks", "toy", *arguments])


def test_gen_kwargs_have_types() -> None:
    assert run.parse_gen_kwargs(None) == {}
    assert run.parse_gen_kwargs(" ") == {}
    assert run.parse_gen_kwargs("max_new_tokens=8, temperature=0.5,stop=###") == {
        "max_new_tokens": 8, "temperature": 0.5, "stop": ["###"],
    }  # fmt: skip
    assert run.parse_gen_kwargs('{"stop": ["a,b", "\\n"], "top_p": 1}') == {
        "stop": ["a,b", "\n"], "top_p": 1,
    }  # fmt: skip


@pytest.mark.parametrize("text", ["hot", "=1", "top_p", "a=1,a=2", "{", '{"a" 1}'])
def test_gen_kwargs_that_are_wrong(text: str) -> None:
    with pytest.raises(UsageError, match="--gen_kwargs"):
        run.parse_gen_kwargs(text)


def test_data_is_task_equals_place() -> None:
    assert run.parse_data(["mis=./a=b", "mic=hub:owner/name"]) == {
        "mis": "./a=b", "mic": "hub:owner/name",
    }  # fmt: skip


@pytest.mark.parametrize(
    "given", [["mis"], ["=x"], ["mis="], ["mis=a", "mis=b"], ["mis=a,pope-perturbed=b"]]
)
def test_data_that_is_wrong(given: list[str]) -> None:
    with pytest.raises(UsageError, match="--data"):
        run.parse_data(given)


def test_dashes_and_underscores_are_one() -> None:
    args = parse("--output-path", "x", "--gen-kwargs", "top_p=1", "--max-failures=0.5")
    assert (args.output_path, args.gen_kwargs, args.max_failures) == ("x", "top_p=1", 0.5)


def test_the_command_line_can_be_written_again() -> None:
    args = parse("--limit", "5", "--data", "a=b", "--data", "c=d", "--resume", "--seed", "0")
    words = run.command_line(args)
    assert words[:2] == ["vlm_eval", "run"]
    assert parse(*words[2:]) == args


@pytest.mark.parametrize(
    ("share", "most", "status"), [(0, 0, 0), (0.01, 0, 1), (0.01, 0.01, 0), (1, 0.5, 1)]
)
def test_too_many_failures_are_status_1(capsys, share, most, status) -> None:
    assert run.report_failures(share, most) == status
    assert ("failed" in capsys.readouterr().err) == (status == 1)


def test_help_names_every_flag_with_its_default(capsys) -> None:
    assert main(["run", "--help"]) == 0
    text = capsys.readouterr().out
    for flag in (
        "--model", "--model_args", "--tasks", "--limit", "--batch_size", "--engine",
        "--verify", "--device", "--dtype",
        "--gen_kwargs", "--output_path", "--include_path", "--seed", "--resume", "--output",
        "--data", "--quiet", "--max_failures", "--retry_failures",
    ):  # fmt: skip
        assert flag in text
    assert text.count("(default") >= 8
