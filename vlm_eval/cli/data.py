"""``vlm_eval data``: writes data sets to disk."""

from __future__ import annotations

import argparse
from pathlib import Path

from vlm_eval.core.errors import UsageError, did_you_mean

SUMMARY = "write data sets to disk"

_SETS = {
    "vlm-fix": "the benchmark: instances.parquet, instances_text_only.parquet and images/",
    "vlm-fix-posttrain": "its training sets: train.parquet and test.parquet of a --split",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("action", choices=["make"], help="make: generate a data set")
    sets = "; ".join(f"{name}: {what}" for name, what in _SETS.items())
    parser.add_argument("name", metavar="NAME", help=sets)
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="a new folder")
    parser.add_argument("--split", choices=["d1", "d2", "d3"], help="of vlm-fix-posttrain")
    parser.add_argument(
        "--overlap",
        action="store_true",
        help="vlm-fix-posttrain as the paper's text has it: test boards are not held out",
    )


def run(args: argparse.Namespace) -> int:
    """Write the data set and say where it is."""
    if args.name not in _SETS:
        raise UsageError(f"unknown data set {args.name!r}", hint=did_you_mean(args.name, _SETS))
    posttrain = args.name == "vlm-fix-posttrain"
    if posttrain and args.split is None:
        raise UsageError("vlm-fix-posttrain needs --split", hint="one of d1, d2, d3")
    if not posttrain and (args.split is not None or args.overlap):
        raise UsageError("--split and --overlap are for vlm-fix-posttrain only")
    _make(args)
    print(f"wrote {args.name} to {args.out}")
    return 0


def _make(args: argparse.Namespace) -> None:
    from rich.console import Console
    from rich.progress import Progress, TaskID

    from vlm_eval.data.boards.export import export_benchmark, export_posttrain

    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bars:
        ids: dict[str, TaskID] = {}

        def show(what: str, done: int, total: int) -> None:
            if what not in ids:
                ids[what] = bars.add_task(what, total=total)
            bars.update(ids[what], completed=done)

        if args.name == "vlm-fix":
            export_benchmark(args.out, progress=show)
        else:
            export_posttrain(args.split, args.out, overlap=args.overlap, progress=show)
