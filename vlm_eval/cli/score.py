"""``vlm_eval score``: parse and score the records of a run again, without a model."""

from __future__ import annotations

import argparse

SUMMARY = (
    "Parse and score the records of a run again, without a model, replace its results.json and "
    "print the table. The records themselves are not changed."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("run_folder", metavar="RUN", help="the run folder")
    parser.add_argument(
        "--current_tasks", action="store_true",
        help="use the task files as they are now (default: as they were when the model was asked)",
    )  # fmt: skip
    parser.add_argument(
        "--include_path", action="append", default=[], metavar="DIR",
        help="with --current_tasks: add the task files of this folder (repeatable)",
    )  # fmt: skip
    parser.add_argument("--full", action="store_true", help="print the finest breakdowns too")
    parser.add_argument("--quiet", action="store_true", help="print no table")


def run(args: argparse.Namespace) -> int:
    """Score again and print."""
    from vlm_eval.runner.api import score

    results = score(
        args.run_folder, current_tasks=args.current_tasks, include_path=args.include_path
    )
    if not args.quiet:
        from vlm_eval.cli.tables import print_results

        print_results(results, full=args.full)
    return 0
