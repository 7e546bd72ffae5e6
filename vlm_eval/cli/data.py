"""``vlm_eval data``: writes data sets to disk, and checks those that are there."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from vlm_eval.cli.text import print_table, printable
from vlm_eval.core.errors import UsageError, did_you_mean

SUMMARY = "write data sets to disk, or check one"

_SETS = {
    "vlm-fix": "the benchmark: instances.parquet, instances_text_only.parquet and images/",
    "vlm-fix-posttrain": "its training sets: train.parquet and test.parquet of a --split",
    "cityscapes": "drawn street scenes with masks in the layout of Cityscapes",
}
_CHECKED = ("cityscapes",)
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
    parser.add_argument("name", metavar="NAME", help=sets)
    parser.add_argument("root", nargs="?", type=Path, metavar="ROOT", help="of check: the copy")
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


def run(args: argparse.Namespace) -> int:
    """Write or check the data set; the exit status of a check is 2 if it cannot be used."""
    if args.name not in _SETS:
        raise UsageError(f"unknown data set {args.name!r}", hint=did_you_mean(args.name, _SETS))
    return _check(args) if args.action == "check" else _make(args)


def _make(args: argparse.Namespace) -> int:
    posttrain = args.name == "vlm-fix-posttrain"
    if args.root is not None:
        raise UsageError(f"unexpected {str(args.root)!r}", hint="make writes to --out DIR")
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
    from vlm_eval.data.cityscapes.check import survey

    if args.name not in _CHECKED:
        raise UsageError(f"{args.name} is made, not checked", hint=f"known: {', '.join(_CHECKED)}")
    if args.root is None:
        raise UsageError("check needs a folder", hint=f"vlm_eval data check {args.name} ROOT")
    if any(value is not None for value in (args.out, args.split, args.count)) or args.overlap:
        raise UsageError("check takes a folder and no options")
    with _progress() as show:
        found = survey(args.root, show)
    if found.cities:
        print_table(
            [
                {
                    "split": city.split,
                    "city": city.name,
                    "images": city.images,
                    **city.forms,
                    "faults": len(city.faults),
                    "remarks": len(city.remarks),
                }
                for city in found.cities
            ]
        )
    _say("wrong", [*found.faults, *(fault for city in found.cities for fault in city.faults)])
    _say("note", [*found.remarks, *(note for city in found.cities for note in city.remarks)])
    print(f"{printable(args.root)}: {'usable' if found.usable else 'not usable'}")
    return 0 if found.usable else 2


def _say(what: str, lines: list[str]) -> None:
    for line in lines[:_SHOWN]:
        print(f"{what}: {printable(line)}")
    if len(lines) > _SHOWN:
        print(f"{what}: ... and {len(lines) - _SHOWN} more")
