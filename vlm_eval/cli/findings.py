"""What an analysis found, on a terminal of 100 columns.

One table a panel, a row for each point of its axis and a column for each curve. Shares are in
percent; "-" is unknown, never 0.
"""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TextIO

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from vlm_eval.cli.text import WIDTH, printable
from vlm_eval.internals.findings import Findings
from vlm_eval.internals.panels import Line, View, number, rest, views, words
from vlm_eval.stats.results import Estimate

OTHERS = 12  # estimates that no panel shows, without --full
FACT = 300  # characters of a fact, without --full
HEAD = 24  # characters of a column's title, at most, before it is folded


def print_findings(
    found: Findings, folder: Path, *, full: bool = False, file: TextIO | None = None
) -> None:
    """Print what was found.

    Parameters
    ----------
    found
        What to print.
    folder
        The run folder, in which it is kept.
    full
        Print every estimate, with n, clusters and the method of its interval.
    file
        Where to; standard output if None.
    """
    console = Console(file=file, highlight=False, markup=False, emoji=False, soft_wrap=False)
    console.width = min(WIDTH, console.width) if console.is_terminal else WIDTH
    console.print()
    heading = Text(f"{printable(found.analysis)} of {printable(found.model)}", style="bold")
    console.print(heading.append(f" on {printable(found.task)}", style="not bold"))
    if found.synthetic:
        console.print(Text("SYNTHETIC DATA: not a benchmark result", style="bold yellow"))
    if found.notice:
        console.print(_wrapped(console, found.notice, "yellow"))
    drawn = views(found)
    for one in drawn:
        _print_view(console, one)
    others = list(found.estimates) if full else rest(found, drawn)[:OTHERS]
    if others:
        console.print()
        console.print(_list(others))
    hidden = 0 if full else len(rest(found, drawn)) - len(others)
    if hidden:
        console.print(Text(f"{hidden:,} more numbers: --full, or findings.json", style="dim"))
    _print_facts(console, found, full=full)
    where = folder / "analysis" / f"{found.analysis}-{found.task}"
    drawing = ", figure.svg" if drawn else ""
    console.print(Text(f"\nkept in {printable(where)}: findings.json{drawing}", style="dim"))


def _print_view(console: Console, one: View) -> None:
    axis, marks = words(one.panel.axis), one.panel.marks
    console.print(Text(f"\n{printable(one.panel.title)}", style="bold"))
    columns = [_Column(line, one) for line in one.lines]
    first = max(len(axis), *(len(str(at)) for at in one.axis)) + 1
    for part in _fitting(columns, console.width - first):
        table = _table()
        table.add_column(Text(printable(axis)), no_wrap=True)
        for column in part:
            table.add_column(Text(column.title), justify="right", no_wrap=True)
        for at in one.axis:
            table.add_row(printable(at), *(Text(column.cell(at)) for column in part))
        console.print(table)
    named = [f"{label} at {axis} {value:g}" for label, value in marks.items()]
    chance = [f"chance is {value_of(one.chance, one.unit)}"] if one.chance is not None else []
    shown = f"{one.scale} with 95 % intervals" if one.unit else "in %, with 95 % intervals"
    parts = [shown, _sizes(one.estimates), *chance, *named]
    console.print(_wrapped(console, "; ".join(parts), "dim"))


class _Column:
    """A curve as a column of its panel's table."""

    def __init__(self, line: Line, one: View) -> None:
        self._line, self._signed = line, one.signed
        self.title = "\n".join(map(printable, textwrap.wrap(line.name, HEAD)))
        cells = [len(self.cell(at)) for at in one.axis]
        self.width = max([*cells, *map(len, self.title.split("\n"))])

    def cell(self, at: Any) -> str:
        e = self._line.points.get(at)
        if e is None:
            return ""
        value = value_of(e.value, e.unit, signed=self._signed)
        if e.low is None or e.high is None:
            return value
        low, high = (value_of(end, e.unit, signed=self._signed) for end in (e.low, e.high))
        return f"{value} [{low}, {high}]"


def _fitting(columns: Sequence[_Column], room: int) -> Iterator[list[_Column]]:
    """Yield the columns in parts that are no wider than the room, at least one in each."""
    part: list[_Column] = []
    for column in columns:
        if part and sum(c.width + 2 for c in [*part, column]) > room:
            yield part
            part = []
        part.append(column)
    yield part


def _list(estimates: Iterable[Estimate]) -> Table:
    table = _table(expand=True)
    table.add_column("estimate", ratio=1, overflow="fold")
    for title in ("value", "95 % interval", "n", "clusters", "by"):
        table.add_column(title, justify="right", no_wrap=True)
    for e in estimates:
        place = "".join(f", {words(key)} {value}" for key, value in e.where.items())
        low, high = (value_of(end, e.unit, signed=e.signed) for end in (e.low, e.high))
        table.add_row(
            Text(printable(f"{words(e.name)}{place} ({e.unit or '%'})")),
            value_of(e.value, e.unit, signed=e.signed),
            "-" if e.low is None or e.high is None else f"[{low}, {high}]",
            f"{e.n:,}",
            f"{e.clusters:,}",
            printable(e.method),
        )
    return table


def _print_facts(console: Console, found: Findings, *, full: bool) -> None:
    if found.facts:
        console.print()
    for name, value in found.facts.items():
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        if len(text) > FACT and not full:
            text = "--full, or findings.json"
        console.print(_wrapped(console, f"{words(name)}: {text}", ""))
    if found.notes:
        console.print()
    for note in found.notes:
        console.print(_wrapped(console, f"* {note}", ""))


def _sizes(estimates: Sequence[Estimate]) -> str:
    """Return how many rows and clusters the estimates have: one number, or a range."""
    rows, clusters = ([e.n for e in estimates], [e.clusters for e in estimates])
    return f"n {_range(rows)} in {_range(clusters)} clusters"


def _range(numbers: Sequence[int]) -> str:
    least, most = min(numbers), max(numbers)
    return f"{least:,}" if least == most else f"{least:,} to {most:,}"


def value_of(value: float | None, unit: str, *, signed: bool = False) -> str:
    """Return a share in percent with a decimal, or a number that has a unit with four digits.

    >>> value_of(0.1234, ""), value_of(0.25, "", signed=True), value_of(-0.0, "nats")
    ('12.3', '+25.0', '0')
    >>> value_of(12345.6, "nats"), value_of(None, "")
    ('1.235e+04', '-')
    """
    if value is None:
        return "-"
    sign = "+" if signed else ""
    text = f"{value:{sign}.4g}" if unit else f"{100 * value:{sign}.1f}"
    return text if number(text) else text.lstrip("+-")


def _table(*, expand: bool = False) -> Table:
    return Table(
        box=box.SIMPLE_HEAD, expand=expand, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False,
        header_style="not bold dim",
    )  # fmt: skip


def _wrapped(console: Console, text: str, style: str) -> Text:
    lines = textwrap.wrap(printable(text), console.width, subsequent_indent="  ")
    return Text("\n".join(lines), style=style)
