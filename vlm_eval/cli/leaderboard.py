"""``vlm_eval leaderboard``: a static site from run folders, and its check."""

from __future__ import annotations

import argparse
import sys

from vlm_eval.cli.text import printable

SUMMARY = (
    "Build a static site from any number of run folders: open SITE/index.html. Equal runs give "
    "equal bytes. With --check, compute every number anew from the records instead, compare, and "
    "exit with 1 if any has drifted."
)
SHOWN = 50  # lines of drift


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("runs_dir", metavar="RUNS_DIR", help="a folder with run folders in it")
    parser.add_argument("--out", required=True, metavar="SITE", help="the folder of the site")
    parser.add_argument(
        "--check", action="store_true",
        help="recompute every number from the records; exit with 1 and name what has drifted. "
        "A site that is there is compared and not changed, one that is not is built",
    )  # fmt: skip


def run(args: argparse.Namespace) -> int:
    """Build or check."""
    from vlm_eval.leaderboard.site import check, leaderboard

    if not args.check:
        site = leaderboard(args.runs_dir, args.out)
        print(printable(f"wrote {site / 'index.html'}"))
        return 0
    drift = check(args.runs_dir, args.out)
    for line in drift[:SHOWN]:
        print(f"drift: {printable(line)}", file=sys.stderr)
    if len(drift) > SHOWN:
        print(f"drift: and {len(drift) - SHOWN:,} more", file=sys.stderr)
    print("drifted" if drift else "every number is what the records give")
    return 1 if drift else 0
