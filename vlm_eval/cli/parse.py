"""``vlm_eval parse``: what a parser makes of texts, to debug it."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from typing import Any

from vlm_eval.core.errors import UsageError
from vlm_eval.core.options import build
from vlm_eval.parsers.base import PARSERS

SUMMARY = "try a parser on texts, one JSON string a line"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("name", metavar="PARSER", help="a parser, see `vlm_eval ls parsers`")
    parser.add_argument(
        "--choices",
        required=True,
        metavar="A,B",
        help="the possible answers, with commas between; - where the answer is open",
    )
    parser.add_argument(
        "--option",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="an option of the parser; the value is JSON, or else text (repeatable)",
    )


def run(args: argparse.Namespace) -> int:
    """Read one JSON string a line from standard input and print the answer and the rule of each.

    The answer is null where no rule fires; the paper's parser ``vlm_fix`` calls that the empty
    string. Output is ASCII JSON, so no control character reaches the terminal.
    """
    choices = [] if args.choices == "-" else _choices(args.choices)
    parser = build(PARSERS, {"name": args.name, **_options(args.option)}, where=None)
    # Bytes, where there are any: text mode would end a line at more than line ends.
    lines = getattr(sys.stdin, "buffer", sys.stdin)
    for number, line in enumerate(lines, start=1):
        found = parser(_text(line, number), choices)
        print(json.dumps({"answer": found.answer, "rule": found.rule}), flush=True)
    return 0


def _choices(given: str) -> list[str]:
    choices = [choice.strip() for choice in given.split(",")]
    if "" in choices:
        raise UsageError("an empty choice", where="--choices", hint="write --choices A,B")
    repeated = {choice for choice in choices if choices.count(choice) > 1}
    if repeated:
        raise UsageError(
            f"{min(repeated)!r} is there twice", where="--choices", hint="choices must differ"
        )
    return choices


def _options(given: Sequence[str]) -> dict[str, Any]:
    options: dict[str, Any] = {}
    for option in given:
        key, equals, value = option.partition("=")
        if not (key and equals) or key in options or key == "name":
            raise UsageError(
                f"cannot use {option!r}", where="--option", hint="write KEY=VALUE, each key once"
            )
        try:
            options[key] = json.loads(value)
        except (ValueError, RecursionError):
            options[key] = value
    return options


def _text(line: str | bytes, number: int) -> str:
    try:
        text = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise UsageError(
            f"not JSON ({error})", where=f"line {number}", hint='write a string, as in "X wins"'
        ) from error
    if not isinstance(text, str):
        raise UsageError(
            "JSON, but not a string", where=f"line {number}", hint='write a string, as in "X wins"'
        )
    return text
