"""``vlm_eval compare``: two runs, paired by sample and condition."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from vlm_eval.cli.text import WIDTH, printable

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

    from vlm_eval.comparison.results import RunComparison, TaskDifference
    from vlm_eval.stats.results import Comparison

SUMMARY = (
    "Compare two runs, paired by sample and condition: differences are B minus A, with clustered "
    "intervals. Refuses, and names the field, where the runs were not asked the same."
)
FORMATS = ("terminal", "markdown", "csv", "html")
PARTS, CHANGES = 24, 5  # rows and changed trials of a task without --full


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("run_a", metavar="RUN_A", help="a run folder")
    parser.add_argument("run_b", metavar="RUN_B", help="another")
    parser.add_argument("--format", choices=FORMATS, default="terminal")
    parser.add_argument("--out", metavar="FILE", help="write here (default: standard output)")
    parser.add_argument(
        "--shared_tasks", action="store_true", help="compare the tasks that both have"
    )
    parser.add_argument(
        "--shared_samples", action="store_true",
        help="where --limit differs, compare the samples that both have",
    )  # fmt: skip
    parser.add_argument(
        "--score", default="accuracy", metavar="NAME",
        help="which score of the trials, such as accuracy_literal (default: accuracy)",
    )  # fmt: skip
    parser.add_argument("--full", action="store_true", help="print every condition and change")


def run(args: argparse.Namespace) -> int:
    """Compare and print or write."""
    from vlm_eval.comparison.compare import compare

    found = compare(
        args.run_a, args.run_b, shared_tasks=args.shared_tasks,
        shared_samples=args.shared_samples, score=args.score,
    )  # fmt: skip
    if args.format == "terminal" and args.out is None:
        print_comparison(found, full=args.full)
        return 0
    text = _rendered(found, args.format, full=args.full)
    if args.out is None:
        sys.stdout.write(text)
    else:
        from vlm_eval.runner.folder import write_atomic

        write_atomic(Path(args.out), text)
    return 0


def _rendered(found: RunComparison, form: str, *, full: bool) -> str:
    if form == "html":
        from vlm_eval.comparison.page import to_html

        return to_html(found)
    if form == "markdown":
        from vlm_eval.comparison.markdown import to_markdown

        return to_markdown(found)
    if form == "csv":
        from vlm_eval.comparison.sheet import csv_text

        rows = found.to_rows()
        return csv_text(list(rows[0]) if rows else [], rows)
    import io

    buffer = io.StringIO()
    print_comparison(found, full=full, file=buffer)
    return buffer.getvalue()


def print_comparison(
    found: RunComparison, *, full: bool = False, file: object | None = None
) -> None:
    """Print the tables in 100 columns.

    Parameters
    ----------
    found
        What to print.
    full
        Print every condition and every changed trial, however many there are.
    file
        A text file; standard output if None.
    """
    from rich.console import Console
    from rich.text import Text

    console = Console(file=file, highlight=False, markup=False, emoji=False)  # type: ignore[arg-type]
    console.width = min(WIDTH, console.width) if console.is_terminal else WIDTH
    for label, name in zip("AB", found.names, strict=True):
        console.print(Text(f"{label}: {printable(name)}", style="bold"))
    paired = f"{printable(found.score)}, paired by sample and condition; differences are B - A"
    console.print(Text(paired, style="dim"))
    for note in found.notes:
        console.print(Text(printable(note), style="yellow"))
    for task in found.tasks:
        console.print()
        heading = Text(f"{printable(task.task)} {printable(task.version)}", style="bold")
        console.print(heading.append(f"  {printable(task.title)}", style="not bold"))
        for line, style in _lines(task, full=full):
            console.print(Text(printable(line), style=style))
        console.print()
        parts = _shown(task.parts, full=full)
        console.print(_table(task.overall, parts))
        gaps = _shown(task.gaps, full=full)
        if gaps:
            console.print()
            console.print(_gap_table(gaps))
        hidden = len(task.parts) + len(task.gaps) - len(parts) - len(gaps)
        if hidden:
            console.print(Text(f"{hidden:,} more rows: --full", style="dim"))


def _lines(task: TaskDifference, *, full: bool) -> Iterator[tuple[str, str]]:
    from vlm_eval.comparison.words import change_in_words, summary

    if task.synthetic:
        yield "SYNTHETIC DATA: not a benchmark result", "bold yellow"
    for note in task.notes:
        yield note, "yellow"
    yield summary(task), ""
    shown = task.changes if full else task.changes[:CHANGES]
    for change in shown:
        yield f"  {change_in_words(change)}", "dim"
    if len(task.changes) > len(shown):
        yield f"  and {len(task.changes) - len(shown):,} more: --full", "dim"
    dropped = {why: n for why, n in task.overall.dropped.items() if n}
    if dropped:
        words = {"baseline_missing": "only in B", "level_missing": "only in A", "failed": "failed"}
        reasons = ", ".join(f"{n:,} {words.get(why, why)}" for why, n in dropped.items())
        yield f"pairs dropped: {reasons}", "yellow"


def _shown(rows: Sequence[Comparison], *, full: bool) -> Sequence[Comparison]:
    """Return the rows that fit: levels before conditions."""
    if full or len(rows) <= PARTS:
        return rows
    return [row for row in rows if len(row.where) == 1][:PARTS]


def _table(overall: Comparison, parts: Sequence[Comparison]) -> Table:
    from vlm_eval.reports.text import count, p_value

    table = _empty("slice", (
        "A\n%", "B\n%", "\nB - A", "95 % interval\nof B - A", "right\n->wrong", "wrong\n->right",
        "p\n(Holm)", "\npairs", "clus-\nters",
    ))  # fmt: skip
    for c in (overall, *parts):
        where = ", ".join(f"{name}={level}" for name, level in c.where.items())
        table.add_row(
            _cell(where or "all trials"), _percent(c.baseline_value), _percent(c.level_value),
            _percent(c.difference, signed=True), _interval(c), count(c.right_to_wrong),
            count(c.wrong_to_right), p_value(c.p_adjusted), count(c.n_pairs), count(c.n_clusters),
        )  # fmt: skip
    return table


def _gap_table(gaps: Sequence[Comparison]) -> Table:
    from vlm_eval.reports.text import count, p_value

    titles = ("in A", "in B", "B - A", "95 % interval", "p (Holm)", "pairs", "clusters")
    table = _empty("change from the baseline", titles)
    for c in gaps:
        name = f"{c.name}{' (control)' if c.control else ''}"
        table.add_row(
            _cell(name), _percent(c.baseline_value, signed=True),
            _percent(c.level_value, signed=True), _percent(c.difference, signed=True),
            _interval(c), p_value(c.p_adjusted), count(c.n_pairs), count(c.n_clusters),
        )  # fmt: skip
    return table


def _empty(first: str, titles: Sequence[str]) -> Table:
    from rich import box
    from rich.table import Table

    table = Table(
        box=box.SIMPLE_HEAD, expand=True, padding=0, pad_edge=False, show_edge=False,
        header_style="not bold dim",
    )  # fmt: skip
    table.add_column(f"\n{first}" if "\n" in titles[0] else first, ratio=1, overflow="fold")
    for title in titles:
        table.add_column(title, justify="right", no_wrap=True)
    return table


def _cell(text: str) -> Text:
    from rich.text import Text

    return Text(printable(text))


def _percent(value: float | None, *, signed: bool = False) -> str:
    from vlm_eval.reports.text import MINUS, percent

    return percent(value, signed=signed).replace(MINUS, "-")


def _interval(c: Comparison) -> str:
    if c.low is None or c.high is None:
        return "-"
    return f"[{_percent(c.low, signed=True)}, {_percent(c.high, signed=True)}]"
