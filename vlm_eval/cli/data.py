"""``vlm_eval data``: writes data sets to disk, and checks those that are there."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from vlm_eval.cli.options import add_include_path
from vlm_eval.cli.text import print_table, printable
from vlm_eval.core.errors import UsageError, did_you_mean

SUMMARY = "write data sets to disk, or check the data of a task"

_SETS = {
    "vlm-fix": "the benchmark: instances.parquet, instances_text_only.parquet and images/",
    "vlm-fix-posttrain": "its training sets: train.parquet and test.parquet of a --split",
    "cityscapes": "drawn street scenes with masks in the layout of Cityscapes",
}
_SHOWN = 20
_COUNT = 60

Progress = Callable[[str, int, int], None]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "action",
        choices=["make", "check"],
        help="make: generate a data set; check: say what a copy holds, lacks and has wrong",
    )
    sets = "; ".join(f"{name}: {what}" for name, what in _SETS.items())
    parser.add_argument(
        "name", metavar="NAME", help=f"of check: a task, or cityscapes; of make: {sets}"
    )
    parser.add_argument(
        "root", nargs="?", metavar="ROOT", help="of check: the copy, or what else --data takes"
    )
    parser.add_argument("--out", type=Path, metavar="DIR", help="of make: a new folder")
    parser.add_argument("--split", choices=["d1", "d2", "d3"], help="of vlm-fix-posttrain")
    parser.add_argument(
        "--overlap",
        action="store_true",
        help="vlm-fix-posttrain as the paper's text has it: test boards are not held out",
    )
    parser.add_argument(
        "--count", type=int, metavar="N", help=f"of cityscapes: number of scenes ({_COUNT})"
    )
    add_include_path(parser)


def run(args: argparse.Namespace) -> int:
    """Write or check the data set; the exit status of a check is 2 if it cannot be used."""
    return _check(args) if args.action == "check" else _make(args)


def _make(args: argparse.Namespace) -> int:
    if args.name not in _SETS:
        raise UsageError(f"unknown data set {args.name!r}", hint=did_you_mean(args.name, _SETS))
    posttrain = args.name == "vlm-fix-posttrain"
    if args.root is not None:
        raise UsageError(f"unexpected {args.root!r}", hint="make writes to --out DIR")
    if args.out is None:
        raise UsageError("make needs --out DIR", hint="a new folder")
    if posttrain and args.split is None:
        raise UsageError("vlm-fix-posttrain needs --split", hint="one of d1, d2, d3")
    if not posttrain and (args.split is not None or args.overlap):
        raise UsageError("--split and --overlap are for vlm-fix-posttrain only")
    if args.count is not None and (args.name != "cityscapes" or args.count < 1):
        raise UsageError("--count is for cityscapes only, 1 or more")
    with _progress() as show:
        _write(args, show)
    print(f"wrote {args.name} to {args.out}")
    return 0


def _write(args: argparse.Namespace, show: Progress) -> None:
    if args.name == "cityscapes":
        from vlm_eval.data.cityscapes.export import export_drawn

        export_drawn(args.out, args.count or _COUNT, progress=show)
        return
    from vlm_eval.data.boards.export import export_benchmark, export_posttrain

    if args.name == "vlm-fix":
        export_benchmark(args.out, progress=show)
    else:
        export_posttrain(args.split, args.out, overlap=args.overlap, progress=show)


@contextmanager
def _progress() -> Iterator[Progress]:
    """Yield a function that shows how far some work is, on a terminal."""
    from rich.console import Console
    from rich.progress import Progress, TaskID

    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bars:
        ids: dict[str, TaskID] = {}

        def show(what: str, done: int, total: int) -> None:
            if what not in ids:
                ids[what] = bars.add_task(what, total=total)
            bars.update(ids[what], completed=done)

        yield show


def _check(args: argparse.Namespace) -> int:
    from vlm_eval.tasks.index import TaskIndex

    if args.name in _SETS and args.name != "cityscapes":
        raise UsageError(f"{args.name} is made, not checked", hint="name a task")
    if args.root is None:
        raise UsageError("check needs a folder", hint=f"vlm_eval data check {args.name} ROOT")
    if any(value is not None for value in (args.out, args.split, args.count)) or args.overlap:
        raise UsageError("check takes a task and its data, and no options")
    name = "cityscapes-degraded" if args.name == "cityscapes" else args.name
    task = TaskIndex(args.include_path).load(name, data=args.root)
    with _progress() as show:
        found = task.check_data(show)
    if found.counts:
        print_table([dict(row) for row in found.counts])
    _say("wrong", found.faults)
    _say("note", found.notes)
    print(f"{printable(args.root)}: {'usable' if found.usable else 'not usable'}")
    return 0 if found.usable else 2


def _say(what: str, lines: Sequence[str]) -> None:
    for line in lines[:_SHOWN]:
        print(f"{what}: {printable(line)}")
    if len(lines) > _SHOWN:
        print(f"{what}: ... and {len(lines) - _SHOWN} more")
