"""``vlm_eval schema``: the JSON Schema of task files."""

from __future__ import annotations

import argparse
import json

SUMMARY = "print the JSON Schema of task files"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""


def run(args: argparse.Namespace) -> int:  # noqa: ARG001
    """Print the schema."""
    from vlm_eval.tasks.schema import task_schema

    print(json.dumps(task_schema(), indent=2, ensure_ascii=False))
    return 0
