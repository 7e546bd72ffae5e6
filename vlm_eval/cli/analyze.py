"""``vlm_eval analyze``: look inside a model, on a task that a run has asked it."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from vlm_eval.core.errors import UsageError

if TYPE_CHECKING:
    from vlm_eval.internals.findings import Findings

T = TypeVar("T")
# Up to a comma that stands in no brackets (of two levels at most).
_ITEM = re.compile(r"(?:[^,\[{]|\[[^\]]*\]?|\{(?:[^{}\[]|\[[^\]]*\]|\{[^}]*\})*\}?)+")
_OF_MODEL = ("model_args", "include_path", "limit")
_FLAGS = {"task", "base", "data", "device", "dtype"}
SUMMARY = (
    "Carry out an analysis of the inside of a model (probe, steer, replace, patch, attack, "
    "coherence, spectrum) on a task of a finished run, or with --model and --task on a new run. "
    "What is found is printed, and kept in RUN/analysis/; `vlm_eval report RUN` draws it."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("analysis", metavar="NAME", help="`vlm_eval ls analyses` lists them")
    parser.add_argument(
        "run", nargs="?", type=Path, metavar="RUN", help="the run folder; with --model, a new one"
    )
    parser.add_argument("--task", metavar="T", help="the task, if the run has several")
    parser.add_argument(
        "--base", type=Path, metavar="RUN",
        help="for replace: the base model's run; for steer: a run whose states are lent",
    )  # fmt: skip
    parser.add_argument(
        "--options", metavar="K=V,...",
        help="the analysis's own options (docs/internals.md), which go before the task file's; "
        "lists and mappings as in the task file: modes=[low,high]",
    )  # fmt: skip
    parser.add_argument(
        "--data", metavar="PATH", help="where the task's data lies, if it lies elsewhere now"
    )
    parser.add_argument("--device", metavar="D", help="as for `vlm_eval run` (default: the run's)")
    parser.add_argument("--dtype", metavar="T", help="as for `vlm_eval run` (default: the run's)")
    parser.add_argument("--model", metavar="M", help="evaluate this model on --task first")
    parser.add_argument("--model_args", metavar="K=V,...", help="with --model: see docs/models.md")
    parser.add_argument("--include_path", metavar="DIR", help="with --model: a folder of own tasks")
    parser.add_argument("--limit", type=int, metavar="N", help="with --model: samples of the task")
    parser.add_argument("--full", action="store_true", help="print every number")
    parser.add_argument("--quiet", action="store_true", help="no progress, no table")


def run(args: argparse.Namespace) -> int:
    """Analyse, print and draw."""
    from vlm_eval.internals.base import ANALYSES
    from vlm_eval.runner.study import analyze

    ANALYSES.origin(args.analysis)  # a wrong name shows before anything is asked
    options = _options(args)
    folder = args.run if args.model is None else _evaluated(args)
    if folder is None:
        raise UsageError(
            "which run?", hint="give a run folder, or --model and --task for a new one"
        )
    found = analyze(
        folder,
        args.analysis,
        task=args.task,
        base=args.base,
        data=args.data,
        device=args.device,
        dtype=args.dtype,
        track=None if args.quiet else tracked,
        **options,
    )
    _show(found, folder, args)
    return 0


def _options(args: argparse.Namespace) -> dict[str, Any]:
    """Return the analysis's options. Raises UsageError for what would be left unread."""
    unread = [name for name in _OF_MODEL if args.model is None and getattr(args, name) is not None]
    if unread:
        raise UsageError(
            f"--{unread[0]} is about a new run, and says nothing of a finished one",
            hint="give --model too, or samples and pairs as --options",
        )
    options = options_of(args.options)
    for name in _FLAGS & options.keys():
        raise UsageError(f"{name!r} is no option of an analysis", hint=f"write --{name}")
    return options


def options_of(text: str | None) -> dict[str, Any]:
    """Return the options in ``key=value,key=value``; a value in brackets or braces is YAML.

    A bare ``key`` is true, and ``none`` is no value. Other values are text, which the analysis
    turns into what it takes.

    >>> options_of("modes=[low,high],samples=5")
    {'modes': ['low', 'high'], 'samples': '5'}

    Raises
    ------
    UsageError
        If a key is empty or given twice, or brackets do not close.
    """
    import yaml

    options: dict[str, Any] = {}
    for item in _ITEM.findall(text or ""):
        key, equals, value = (part.strip() for part in item.partition("="))
        if not key or key in options:
            what = "has no key" if not key else "is given twice"
            raise UsageError(f"option {item.strip()!r} {what}", hint="write key=value,key=value")
        try:
            structured = value.startswith(("[", "{"))
            options[key] = yaml.safe_load(value) if structured else value if equals else "true"
        except yaml.YAMLError as error:
            raise UsageError(f"option {key!r}: {value!r} is no list or mapping") from error
        if value.lower() in {"none", "null"}:
            options[key] = None
    return options


def _evaluated(args: argparse.Namespace) -> Path:
    from vlm_eval.runner.api import evaluate

    if args.task is None:
        raise UsageError("--model needs a task to ask it", hint="give --task NAME")
    places = {} if args.data is None else {args.task: args.data}
    results = evaluate(
        args.model, args.task, limit=args.limit, output_path=args.run, resume=args.run is not None,
        data=places, include_path=args.include_path or (), model_args=args.model_args,
        device=args.device, dtype=args.dtype, progress=not args.quiet,
    )  # fmt: skip
    return results.folder


def tracked(items: Iterable[T], total: int, what: str) -> Iterator[T]:
    """Yield the items and show, on standard error, how many are done."""
    from rich.console import Console
    from rich.progress import track

    yield from track(items, description=what, total=total, console=Console(stderr=True))


def _show(found: Findings, folder: Path, args: argparse.Namespace) -> None:
    from vlm_eval.reports.figure import write_figure

    write_figure(found, folder / "analysis" / f"{found.analysis}-{found.task}")
    if args.quiet:
        return
    from vlm_eval.cli.findings import print_findings

    print_findings(found, folder, full=args.full)
