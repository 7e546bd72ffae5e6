import argparse
import json
import subprocess
import sys

import pytest

from vlm_eval.cli import main as cli
from vlm_eval.cli.main import COMMANDS, Parser, main
from vlm_eval.core.errors import RunError, UsageError

HEAVY = ("torch", "transformers", "datasets", "evaluate", "pandas", "scipy", "numpy", "PIL")


@pytest.mark.parametrize("arguments", [["--help"], ["-h"], [], ["--version"]])
def test_help_imports_nothing_heavy(arguments):
    code = (
        "import sys, json\n"
        "from vlm_eval.cli.main import main\n"
        f"status = main({arguments!r})\n"
        f"loaded = [name for name in {HEAVY!r} if name in sys.modules]\n"
        "print(json.dumps([status, loaded]))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout.splitlines()[-1]) == [0, []]


@pytest.mark.parametrize("command", ["ls", "validate", "schema"])
def test_light_commands_import_no_torch(command, tmp_path):
    arguments = {"ls": ["models"], "validate": ["scene-presence"], "schema": []}[command]
    code = (
        "import sys, json\n"
        "from vlm_eval.cli.main import main\n"
        f"status = main({[command, *arguments]!r})\n"
        f"loaded = [name for name in {HEAVY[:5]!r} if name in sys.modules]\n"
        "print(json.dumps([status, loaded]))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout.splitlines()[-1]) == [0, []]


def test_the_overview_names_every_command_and_fits_100_columns(capsys):
    assert main(["--help"]) == 0
    out = capsys.readouterr().out
    for name, summary in COMMANDS.items():
        assert f"  {name}" in out
        assert summary in out
    assert max(map(len, out.splitlines())) <= 100


@pytest.mark.parametrize("command", list(COMMANDS))
def test_every_command_explains_itself(command, capsys):
    assert main([command, "--help"]) == 0
    out = capsys.readouterr().out
    assert out.startswith(f"usage: vlm_eval {command}")


@pytest.fixture
def one(monkeypatch):
    """Replace the command ``ls`` by one that records its arguments."""
    seen = {}

    class Module:
        SUMMARY = "one"

        @staticmethod
        def add_arguments(parser):
            parser.add_argument("--batch_size")
            parser.add_argument("--include-path", action="append")
            parser.add_argument("--fail")
            parser.add_argument("rest", nargs="*")

        @staticmethod
        def run(args):
            seen.update(vars(args))
            if args.fail:
                raise ERRORS[args.fail]
            return 7

    def load(name):
        seen["module"] = name
        return Module

    monkeypatch.setattr(cli.importlib, "import_module", load)
    return seen


ERRORS = {
    "run": RunError("is taken", where="runs/a", hint="use --resume"),
    "os": OSError(28, "No space left on device", "runs/a/records"),
    "bare": OSError("odd"),
    "stop": KeyboardInterrupt(),
    "evil": UsageError("a\x1b[2Jb\u202ec"),
}


def test_the_commands_status_is_the_programs(one):
    assert main(["ls"]) == 7
    assert one["module"] == "vlm_eval.cli.ls"


def test_options_first_mean_run(one):
    assert main(["--batch_size", "3"]) == 7
    assert one["module"] == "vlm_eval.cli.run"


@pytest.mark.parametrize("spelling", ["--batch_size", "--batch-size"])
@pytest.mark.parametrize("other", ["--include_path", "--include-path"])
def test_dashes_and_underscores_are_the_same_in_names_and_kept_in_values(one, spelling, other):
    main(["ls", spelling, "a-b_c", f"{other}=x_y-z=--q-r", "--", "--batch-size"])
    assert one["batch_size"] == "a-b_c"
    assert one["include_path"] == ["x_y-z=--q-r"]
    assert one["rest"] == ["--batch-size"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["lss"], "unknown command 'lss'; did you mean ls?"),
        (["rum", "--model", "x"], "unknown command 'rum'; did you mean run?"),
        (["ls", "--batch_sise", "3"], "unknown option '--batch_sise'; did you mean --batch_size?"),
        (["ls", "--bat", "3"], "unknown option '--bat'; "),
        (["ls", "-x"], "unknown argument '-x'; see `vlm_eval ls --help`"),
        (["ls", "--batch_size"], "argument --batch_size: expected one argument; see `vlm_eval ls"),
        (["ls", "--fail", "run"], "runs/a: is taken; use --resume"),
        (["ls", "--fail", "os"], "runs/a/records: No space left on device"),
        (["ls", "--fail", "bare"], "odd"),
        (["ls", "--fail", "evil"], r"a\x1b[2Jb\u202ec"),
    ],
)
def test_a_fault_is_one_line_and_status_2(one, capsys, arguments, message):
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith(f"vlm_eval: error: {message}")
    assert captured.err.count("\n") == 1
    assert "\x1b" not in captured.err


def test_a_missing_option_is_named_before_its_misspelling_is_missed(capsys):
    assert main(["--modle", "mock", "--tasks", "mis"]) == 2
    assert "unknown option '--modle'; did you mean --model" in capsys.readouterr().err
    assert main(["--tasks", "mis"]) == 2
    assert "the following arguments are required: --model" in capsys.readouterr().err


def test_a_value_that_is_no_choice_is_told_with_the_nearest(capsys):
    assert main(["--model", "mock", "--tasks", "mis", "--engine", "tre"]) == 2
    said = capsys.readouterr().err
    assert "argument --engine: invalid choice: 'tre'; did you mean tree?" in said


def test_an_interrupt_is_status_130(one, capsys):
    assert main(["ls", "--fail", "stop"]) == 130
    assert capsys.readouterr().err == "\nvlm_eval: interrupted\n"


def test_a_bug_is_not_hidden(one, monkeypatch):
    monkeypatch.setitem(ERRORS, "bug", ZeroDivisionError("bug"))
    with pytest.raises(ZeroDivisionError):
        main(["ls", "--fail", "bug"])


def test_a_closed_pipe_is_quiet():
    reader = "import sys; sys.stdin.readline()"
    command = f"{sys.executable} -m vlm_eval schema | {sys.executable} -c '{reader}'"
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command], capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
    assert done.returncode in {0, 141}


def test_nested_commands_are_parsed_the_same_way():
    parser = Parser(prog="p")
    inner = parser.add_subparsers(dest="what", required=True).add_parser("make")
    inner.add_argument("--dry_run", action="store_true")
    assert parser.parse_args(["make", "--dry-run"]).dry_run
    with pytest.raises(UsageError, match=r"unknown option '--dry-rum'; did you mean --dry_run\?"):
        parser.parse_args(["make", "--dry-rum"])
    with pytest.raises(UsageError, match="unknown option '--dry'"):
        parser.parse_args(["make", "--dry"])
    assert isinstance(inner, argparse.ArgumentParser)
