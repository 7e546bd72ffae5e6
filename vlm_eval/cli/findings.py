"""What an analysis found, as a table for the terminal."""

from __future__ import annotations

from pathlib import Path

from vlm_eval.cli.text import print_table
from vlm_eval.internals.findings import Findings


def print_findings(found: Findings, folder: Path, *, full: bool = False) -> None:
    """Print the estimates, and where they are kept."""
    rows = [
        {
            "what": e.name,
            "where": ", ".join(f"{key}={value}" for key, value in e.where.items()),
            "value": "-" if e.value is None else f"{e.value:.4g}",
            "n": e.n,
        }
        for e in found.estimates
    ]
    print_table(rows if full else rows[:40], list(found.notes))
    print(f"\nAll numbers: {folder}/analysis/{found.analysis}-{found.task}/findings.json")
