"""``vlm_eval run``: evaluate a model on tasks and print the table."""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vlm_eval.core.errors import UsageError

if TYPE_CHECKING:
    from vlm_eval.runner.results import Results

SUMMARY = (
    "Evaluate a model on tasks. Every answer is on disk the moment it is there; a run that was "
    "interrupted goes on with --resume. Ends with a table; all numbers are in results.json."
)
FAILED, DEFAULT_LEASE = 1, 600.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    _add_what(parser)
    _add_model(parser)
    _add_folder(parser)


def _add_what(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("what to ask")
    group.add_argument(
        "--tasks", required=True, metavar="A,B",
        help="names of tasks or groups, globs, or tag:NAME, with commas (`vlm_eval ls`)",
    )  # fmt: skip
    group.add_argument(
        "--limit", type=int, metavar="N",
        help="samples a task, each still under every condition (default: all)",
    )  # fmt: skip
    group.add_argument(
        "--data", action="append", default=[], metavar="TASK=PATH",
        help="where a task's data lies: a folder, hub:OWNER/NAME, hub (the task's own hub data "
        "set) or embedded (a synthetic stand-in), then options of the source if need be, as in "
        "mis=pairs/,columns=winoground (repeatable)",
    )  # fmt: skip
    group.add_argument(
        "--include_path", action="append", default=[], metavar="DIR",
        help="add the task files of this folder (repeatable)",
    )  # fmt: skip
    group.add_argument(
        "--output", choices=["choice", "generate"],
        help="score the options by log-likelihood, or generate text (default: each task's own)",
    )  # fmt: skip
    group.add_argument(
        "--gen_kwargs", metavar="K=V,...",
        help="decoding of generated answers: max_new_tokens (tokens), temperature (0 is greedy), "
        'top_p (0 to 1), stop; or a JSON object: {"stop": ["\\n"]} (default: each task\'s own)',
    )  # fmt: skip
    group.add_argument(
        "--seed", type=int, default=0, metavar="N",
        help="seed of random image transforms (default: 0)",
    )  # fmt: skip


def _add_model(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("whom to ask")
    group.add_argument(
        "--model", required=True, metavar="M",
        help="a preset (`vlm_eval ls models`), hub id, folder, or backend:name",
    )  # fmt: skip
    group.add_argument(
        "--model_args", metavar="K=V,...", help="the backend's own options (docs/models.md)"
    )
    group.add_argument(
        "--batch_size", metavar="N",
        help="sequences a forward pass, or auto (default: the backend's choice)",
    )  # fmt: skip
    group.add_argument(
        "--engine", choices=["auto", "naive", "memo", "prefix", "tree"],
        help="how much work requests share (default: auto, as much as is exact; docs/engine.md)",
    )  # fmt: skip
    group.add_argument(
        "--verify", type=int, metavar="N",
        help="ask N random groups of requests again without sharing, and record the differences",
    )  # fmt: skip
    group.add_argument(
        "--device", metavar="D", help="cpu, cuda, cuda:1, mps, auto (default: what is there)"
    )
    group.add_argument(
        "--dtype", metavar="T",
        help="float32, bfloat16, float16 (default: float32 on a CPU, else the preset's)",
    )  # fmt: skip


def _add_folder(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("the run")
    group.add_argument(
        "--output_path", metavar="DIR",
        help="the run folder, new or empty (default: runs/MODEL, numbered when taken)",
    )  # fmt: skip
    group.add_argument(
        "--resume", action="store_true",
        help="continue the run in --output_path; nothing recorded is asked again",
    )  # fmt: skip
    group.add_argument(
        "--retry_failures", action="store_true",
        help="with --resume: ask again where a failure is recorded",
    )  # fmt: skip
    group.add_argument(
        "--max_failures", type=float, default=0.0, metavar="SHARE",
        help="exit with status 1 if more than this share of trials, 0 to 1, failed (default: 0)",
    )  # fmt: skip
    group.add_argument(
        "--num_processes", type=int, metavar="N",
        help="processes on this machine that share the work, each with a GPU if there are GPUs "
        "(default: 1; several machines: docs/parallel.md)",
    )  # fmt: skip
    group.add_argument(
        "--lease", type=float, metavar="SECONDS",
        help="with several processes: give the work of one that shows no sign of life for so long "
        "to the others; longer than a batch can take (default: 600)",
    )  # fmt: skip
    group.add_argument(
        "--no_capture", action="store_true",
        help="keep no hidden states, whatever the tasks ask for",
    )  # fmt: skip
    group.add_argument("--full", action="store_true", help="print the finest breakdowns too")
    group.add_argument("--quiet", action="store_true", help="no progress, no table")


def run(args: argparse.Namespace) -> int:
    """Evaluate; return 1 if too many trials failed, else 0."""
    if not 0 <= args.max_failures <= 1:
        raise UsageError(f"--max_failures {args.max_failures} is no share", hint="give 0 to 1")
    from vlm_eval.runner.meeting import RankZeroError

    try:
        results = _evaluate(args)
    except RankZeroError:  # which has said why
        return 2
    if results is None:  # rank 0 prints
        return 0
    if not args.quiet:
        from vlm_eval.cli.tables import print_results

        print_results(results, full=args.full)
    return report_failures(results.failed_share, args.max_failures)


def _evaluate(args: argparse.Namespace) -> Results | None:
    """Evaluate, or do this process's part; None if another process has the results."""
    from vlm_eval.cli.launch import launched
    from vlm_eval.runner.api import evaluate

    options: dict[str, Any] = {
        "limit": args.limit,
        "output_path": args.output_path,
        "resume": args.resume,
        "retry_failures": args.retry_failures,
        "seed": args.seed,
        "output": args.output,
        "gen_kwargs": parse_gen_kwargs(args.gen_kwargs),
        "data": parse_data(args.data),
        "include_path": args.include_path,
        "model_args": model_args(args),
        "batch_size": args.batch_size,
        "device": args.device,
        "dtype": args.dtype,
        "lease": DEFAULT_LEASE if args.lease is None else args.lease,
        "capture": not args.no_capture,
        "progress": not args.quiet,
        "command": command_line(args),
    }
    launch = launched(os.environ)
    if launch is None:
        processes = 1 if args.num_processes is None else args.num_processes
        return evaluate(args.model, args.tasks, num_processes=processes, **options)
    if args.num_processes is not None:
        raise UsageError(
            f"a launcher has started {launch.world_size} processes already",
            hint="leave --num_processes to it",
        )
    from vlm_eval.runner.job import Job
    from vlm_eval.runner.part import take_part

    return take_part(Job(model=args.model, tasks=args.tasks, **options), launch)


def model_args(args: argparse.Namespace) -> str | None:
    """Return ``--model_args`` with the engine's flags, which are such options too."""
    flags = {"engine": args.engine, "verify": args.verify}
    given = [args.model_args, *(f"{k}={v}" for k, v in flags.items() if v is not None)]
    return ",".join(item for item in given if item) or None


def command_line(args: argparse.Namespace) -> list[str]:
    """Return the command that has these arguments; defaults that are empty or 0 are left out."""
    words = ["vlm_eval", "run"]
    for name, value in vars(args).items():
        if value is True:
            words.append(f"--{name}")
        elif value:
            for item in value if isinstance(value, list) else [value]:
                words += [f"--{name}", str(item)]
    return words


def report_failures(share: float, most: float) -> int:
    """Say on standard error if more trials failed than allowed; return the exit status."""
    if share <= most:
        return 0
    from vlm_eval.cli.tables import percent_of

    print(
        f"vlm_eval: {percent_of(share)} of the trials failed, more than --max_failures {most:g} "
        "allows; see `failure` in the records; ask again with --resume --retry_failures",
        file=sys.stderr,
    )
    return FAILED


# No option of a source has a hyphen.
_NEXT_TASK = re.compile(r",[\w.]+-[\w.-]+=")


def parse_data(given: list[str]) -> dict[str, str]:
    """Return ``TASK=PATH`` arguments as a mapping.

    Raises
    ------
    UsageError
        If one is not of that form or names several tasks, or two name one task.
    """
    places: dict[str, str] = {}
    for item in given:
        task, equals, place = item.partition("=")
        if not (task and equals and place):
            raise UsageError(f"--data {item!r} is not TASK=PATH", hint="such as mis=./my-pairs")
        if task in places:
            raise UsageError(f"--data names {task!r} twice")
        if _NEXT_TASK.search(place) and not Path(place).exists():
            raise UsageError(f"--data {item!r} names two tasks", hint="repeat --data for each task")
        places[task] = place
    return places


def parse_gen_kwargs(text: str | None) -> dict[str, Any]:
    """Return ``key=value,...``, or a JSON object, as a mapping.

    >>> parse_gen_kwargs("max_new_tokens=32,temperature=0.7,stop=END")
    {'max_new_tokens': 32, 'temperature': 0.7, 'stop': ['END']}

    Raises
    ------
    UsageError
        If it is neither.
    """
    if not text or not text.strip():
        return {}
    if text.lstrip().startswith("{"):
        try:
            found: dict[str, Any] = json.loads(text)
        except ValueError as error:
            raise UsageError(f"--gen_kwargs is no JSON: {error}") from error
    else:
        found = {}
        for item in text.split(","):
            key, equals, value = (part.strip() for part in item.partition("="))
            if not (key and equals) or key in found:
                raise UsageError(
                    f"--gen_kwargs {item!r} is not key=value, or a repetition",
                    hint="such as max_new_tokens=32,temperature=0",
                )
            found[key] = _value(value)
    if isinstance(found.get("stop"), str):
        found["stop"] = [found["stop"]]
    return found


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
