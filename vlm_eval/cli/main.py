"""The command ``vlm_eval``: finds the subcommand, and turns faults into one line and a status.

A subcommand is a module of this package with ``SUMMARY``, ``add_arguments(parser)`` and
``run(args) -> int``. Only the one that is asked for is imported, so that help is instant.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from vlm_eval.core.errors import UsageError, VlmEvalError, did_you_mean

COMMANDS = {
    "run": "evaluate a model on tasks (the default command)",
    "ls": "list tasks, groups, tags, models, parsers, metrics, transforms and sources",
    "show": "render the prompts and images of a sample under every condition",
    "new-task": "write the files of a new task: YAML, stand-in data, a test and a page",
    "validate": "check task files and explain every fault",
    "score": "parse and score a run again, without a model",
    "report": "write a run as static HTML pages",
    "compare": "compare two runs, paired by sample and condition",
    "leaderboard": "build a static site from any number of run folders",
    "segment": "measure a segmentation model on the degraded images of a task",
    "correlate": "correlate segmentation quality with a run's errors, over conditions",
    "parse": "try a parser on texts, one JSON string a line",
    "analyze": "look inside a model: probe, steer, replace, patch, attack, coherence, spectrum",
    "data": "write data sets to disk, or check one",
    "schema": "print the JSON Schema of task files",
}
DISTRIBUTION = "paired-vlm-eval"
DESCRIPTION = (
    "Measure how a vision-language model's answer changes when one thing about the question "
    "changes."
)
OK, FAULT, INTERRUPTED, BROKEN_PIPE = 0, 2, 130, 141


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status.

    0 is success, 2 a fault of the user's making, 130 an interrupt (Ctrl-C), 141 a closed pipe.

    Parameters
    ----------
    argv
        Arguments without the program's name; those of the process if None.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        status = _dispatch(arguments)
        sys.stdout.flush()
    except VlmEvalError as error:
        return _complain(str(error))
    except BrokenPipeError:
        # The reader is gone; Python would complain once more when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        return _complain(f"{where}{error.strerror or error}")
    except KeyboardInterrupt:
        print("\nvlm_eval: interrupted", file=sys.stderr)
        return INTERRUPTED
    except SystemExit as stop:  # argparse, after --help
        return stop.code if isinstance(stop.code, int) else OK
    return status


def _dispatch(arguments: list[str]) -> int:
    if not arguments or arguments[0] in {"-h", "--help"}:
        _overview().print_help()
        return OK
    if arguments[0] == "--version":
        print(f"vlm_eval {_version()}")
        return OK
    if arguments[0].startswith("-"):
        arguments = ["run", *arguments]
    command, *rest = arguments
    if command not in COMMANDS:
        raise UsageError(f"unknown command {command!r}", hint=did_you_mean(command, COMMANDS))
    module = importlib.import_module(f"vlm_eval.cli.{command.replace('-', '_')}")
    parser = Parser(prog=f"vlm_eval {command}", description=module.SUMMARY)
    module.add_arguments(parser)
    status: int = module.run(parser.parse_args(rest))
    return status


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(DISTRIBUTION)
    except PackageNotFoundError:
        return "(not installed)"


def _overview() -> argparse.ArgumentParser:
    lines = [f"  {name:<13}{summary}" for name, summary in COMMANDS.items()]
    return argparse.ArgumentParser(
        prog="vlm_eval",
        usage="vlm_eval [COMMAND] [OPTIONS]",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="\n".join(
            [
                "commands:",
                *lines,
                "",
                "`vlm_eval COMMAND --help` explains a command. Without one,",
                "`vlm_eval --model M --tasks A,B` is `vlm_eval run --model M --tasks A,B`.",
            ]
        ),
    )


class Parser(argparse.ArgumentParser):
    """A parser whose options may be spelled with dashes or underscores, and whose faults raise."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **{"allow_abbrev": False, **options})

    def parse_known_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> tuple[argparse.Namespace, list[str]]:
        """Parse, after giving every option the spelling in which it was declared.

        Raises UsageError, with the nearest option, on an unknown one: before argparse could
        complain that the option it was meant to be is missing.
        """
        given = list(sys.argv[1:] if args is None else args)
        end = given.index("--") if "--" in given else len(given)
        words = [self._spelled(word) for word in given[:end]]
        return super().parse_known_args([*words, *given[end:]], namespace)

    def _spelled(self, word: str) -> str:
        if not word.startswith("--"):
            return word
        name, equals, value = word.partition("=")
        declared = {_folded(option): option for option in self._option_string_actions}
        if _folded(name) not in declared and self._subparsers is None:
            known = [option for option in declared.values() if option.startswith("--")]
            raise UsageError(f"unknown option {name!r}", hint=did_you_mean(name, known))
        return declared.get(_folded(name), name) + equals + value

    def parse_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> argparse.Namespace:
        """Parse all arguments. Raises UsageError if one has no place."""
        found, unknown = self.parse_known_args(args, namespace)
        if unknown:
            raise UsageError(f"unknown argument {unknown[0]!r}", hint=f"see `{self.prog} --help`")
        return found

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        # argparse lists what is known; the nearest of it helps more.
        if action.choices is not None and value not in action.choices:
            what = argparse.ArgumentError(action, f"invalid choice: {value!r}")
            raise UsageError(str(what), hint=did_you_mean(str(value), map(str, action.choices)))

    def error(self, message: str) -> NoReturn:
        """Raise UsageError instead of printing the usage."""
        raise UsageError(message, hint=f"see `{self.prog} --help`")


def _folded(option: str) -> str:
    return option.replace("_", "-")


def _complain(message: str) -> int:
    from vlm_eval.cli.text import printable

    print(f"vlm_eval: error: {printable(message)}", file=sys.stderr)
    return FAULT
