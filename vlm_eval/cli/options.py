"""Arguments that several subcommands share."""

from __future__ import annotations

import argparse


def add_include_path(parser: argparse.ArgumentParser) -> None:
    """Declare ``--include_path``, which may be repeated."""
    parser.add_argument(
        "--include_path",
        action="append",
        default=[],
        metavar="DIR",
        help="add the task files of this folder (repeatable)",
    )
