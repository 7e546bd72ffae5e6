"""``vlm_eval report``: write a run as static pages."""

from __future__ import annotations

import argparse
from typing import Literal

from vlm_eval.cli.text import printable
from vlm_eval.core.errors import UsageError

SUMMARY = (
    "Write the report of a run: a folder of static HTML that opens by double click, with paired "
    "tables, curves, flip matrices, every sample with its images side by side, and provenance."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("run_folder", metavar="RUN", help="the run folder")
    parser.add_argument("--out", metavar="DIR", help="where to write it (default: RUN/report)")
    parser.add_argument(
        "--samples", default=None, metavar="N|all",
        help="samples a task whose images are made again, flipped ones first (default: 100); "
        "every sample has a card",
    )  # fmt: skip
    parser.add_argument("--no_images", action="store_true", help="make no images")
    parser.add_argument(
        "--data", action="append", default=[], metavar="TASK=PATH|hub:ID|embedded",
        help="where a task's data lies now, if it has moved since (repeatable)",
    )  # fmt: skip


def run(args: argparse.Namespace) -> int:
    """Write the report and say where."""
    from vlm_eval.cli.run import parse_data
    from vlm_eval.reports.api import SAMPLES, report

    page = report(
        args.run_folder,
        out=args.out,
        samples=SAMPLES if args.samples is None else _samples(args.samples),
        images=not args.no_images,
        data=parse_data(args.data),
    )
    print(f"written: {printable(page)}")
    return 0


def _samples(given: str) -> int | Literal["all"]:
    if given == "all":
        return "all"
    if not given.isdecimal():
        raise UsageError(f"--samples {given!r}", hint="give a number from 0, or all")
    return int(given)
