"""The result table on the terminal, in 100 columns.

All scores are printed in percent. "-" is unknown, never 0.
"""

from __future__ import annotations

import itertools
import textwrap
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import TextIO, TypeVar

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from vlm_eval.cli.text import WIDTH, printable
from vlm_eval.cli.verified import verified
from vlm_eval.core.types import Level
from vlm_eval.metrics.decay import TOKENS_CHANGED
from vlm_eval.runner.results import Counts, GroupResult, Results, TaskResult
from vlm_eval.stats.results import Comparison, Estimate

# Rows of a table without --full, so that a task fits a screen or two; tasks with tables at all.
ESTIMATES, COMPARISONS, TASKS, NOTES = 30, 16, 5, 4
Number = TypeVar("Number", Estimate, Comparison)


def print_results(results: Results, *, file: TextIO | None = None, full: bool = False) -> None:
    """Print the tables of a run.

    Parameters
    ----------
    results
        What to print.
    file
        Where to; standard output if None.
    full
        Print the finest breakdowns too, however many there are.
    """
    console = Console(file=file, highlight=False, markup=False, emoji=False, soft_wrap=False)
    console.width = min(WIDTH, console.width) if console.is_terminal else WIDTH
    run = results.run["tasks"]
    if len(results.tasks) > TASKS and not full:
        _print_overview(console, results)
    else:
        for task in results.tasks:
            factors = None if full else run[task.task]["factors"]
            _print_task(console, results.model, task, factors)
    for group in results.groups:
        factors = None if full else run[group.tasks[0]]["factors"]
        _print_group(console, results.model, group, factors)
    found = verified(results.run)
    if found is not None:
        line, well = found
        console.print(Text("\n" + textwrap.fill(line, WIDTH), style="dim" if well else "yellow"))


def _print_task(
    console: Console, model: str, task: TaskResult, factors: Collection[str] | None
) -> None:
    """Print one task, down to breakdowns that fit; with no factors given, all of them."""
    console.print()
    heading = Text(f"{printable(model)} on {printable(task.task)} {task.version}", style="bold")
    console.print(heading.append(f"  {printable(task.title)}", style="not bold"))
    console.print(Text(_counts(task.counts)))
    for line, style in _warnings(task):
        console.print(Text(textwrap.fill(printable(line), console.width), style=style))
    estimates, comparisons = task.estimates, task.comparisons
    if factors is not None:
        totals = {e.name for e in estimates if not e.where}
        loud = [e for e in estimates if not (e.name in totals and _is_quiet(e))]
        estimates = leading(coarse(loud, factors, ESTIMATES), ESTIMATES)
        comparisons = coarse(comparisons, factors, COMPARISONS)
    if estimates:
        console.print()
        console.print(_estimates(estimates))
    for (name, factor, baseline), found in _groups(comparisons):
        heading = Text(f"\n{printable(name)}: {printable(factor)} ", style="bold")
        against = f"against {printable(baseline)}, paired by sample"
        console.print(heading.append(against, style="not bold"))
        console.print(_comparisons(found))
        notes = list(_notes(c for c in found if factors is None or not c.where))
        if factors is not None and len(notes) > NOTES:
            notes = [f"{len(notes)} of these have dropped pairs or unparsed answers: --full"]
        for note in notes:
            text = textwrap.fill(printable(note), console.width, subsequent_indent="  ")
            console.print(Text(text, style="dim"))
    hidden = len(task.estimates) + len(task.comparisons) - len(estimates) - len(comparisons)
    if hidden:
        console.print(Text(f"\n{hidden:,} more numbers: --full, or results.json", style="dim"))


def _print_group(
    console: Console, model: str, group: GroupResult, factors: Collection[str] | None
) -> None:
    """Print the means over tasks, down to breakdowns that fit; with no factors given, all."""
    console.print()
    heading = Text(f"{printable(model)} on {printable(group.group)}", style="bold")
    console.print(heading.append(f"  {printable(group.title)}", style="not bold"))
    means = f"means of {len(group.tasks)} tasks, each weighing the same: {', '.join(group.tasks)}"
    console.print(Text(textwrap.fill(printable(means), console.width)))
    if group.synthetic:
        console.print(Text("SYNTHETIC DATA: not a benchmark result", style="bold yellow"))
    shown = group.estimates
    if factors is not None:
        shown = leading(coarse(shown, factors, COMPARISONS), ESTIMATES)
    if shown:
        console.print()
        console.print(_estimates(shown))
    hidden = len(group.estimates) - len(shown)
    if hidden or not shown:
        note = f"{hidden:,} more numbers: --full, or results.json" if shown else "none in common"
        console.print(Text(f"\n{note}", style="dim"))


def _print_overview(console: Console, results: Results) -> None:
    """Print two lines a task: its headline score, and its first paired difference."""
    table = _table("task, score; its first paired difference, %")
    for title in ("value", "95 % interval", "n", "clusters"):
        table.add_column(title, justify="right", no_wrap=True)
    for task in results.tasks:
        name = Text(printable(task.task + "*" * task.synthetic), style="bold")
        estimate, comparison = headline(task.estimates), headline(task.comparisons)
        if estimate is None:
            table.add_row(name, *"----")
        else:
            table.add_row(
                name.append(f"  {printable(_in_words(estimate.name, estimate.where))}", "not bold"),
                _percent(estimate.value, signed=estimate.signed, unit=estimate.unit),
                _interval(estimate.low, estimate.high, signed=estimate.signed, unit=estimate.unit),
                f"{estimate.n:,}",
                f"{estimate.clusters:,}",
            )
        if comparison is not None:
            against = f"{comparison.factor} {comparison.level} against {comparison.baseline}"
            table.add_row(
                Text(f"  {printable(f'{comparison.name}: {against}')}", style="dim"),
                _percent(comparison.difference, signed=True),
                _interval(comparison.low, comparison.high, signed=True),
                f"{comparison.n_pairs:,}",
                f"{comparison.n_clusters:,}",
            )
    console.print()
    console.print(Text(f"{printable(results.model)} on {len(results.tasks)} tasks", style="bold"))
    console.print(table)
    for line in _overview_notes(results.tasks):
        console.print(Text(textwrap.fill(printable(line), console.width), style="yellow"))
    console.print(Text(f"every table: vlm_eval score {results.folder} --full", style="dim"))


def _overview_notes(tasks: Sequence[TaskResult]) -> Iterator[str]:
    if any(task.synthetic for task in tasks):
        yield "* SYNTHETIC DATA: not a benchmark result"
    for what in ("missing", "failed", "unparsed"):
        counts = {task.task: getattr(task.counts, what) for task in tasks}
        some = {name: count for name, count in counts.items() if count}
        if some:
            worst = max(some, key=lambda name: some[name])
            yield (
                f"{sum(some.values()):,} {what} in {len(some)} tasks, most in {worst} "
                f"({some[worst]:,})"
            )


def headline(numbers: Sequence[Number]) -> Number | None:
    """Return the number that stands for a task: its first with a value, the least broken down."""
    known = [n for n in numbers if _value(n) is not None and not getattr(n, "control", False)]
    return min(known, key=lambda number: len(number.where), default=None)


def _value(number: Estimate | Comparison) -> float | None:
    return number.value if isinstance(number, Estimate) else number.difference


def _in_words(name: str, where: Mapping[str, Level]) -> str:
    return ", ".join(filter(None, (name, _where(where))))


def coarse(numbers: Sequence[Number], factors: Collection[str], rows: int) -> tuple[Number, ...]:
    """Return the numbers down to the finest breakdown at which they are at most ``rows``.

    A breakdown by sample fields is finer than one by factors; of each, one by more is finer. The
    coarsest are always there.
    """

    def depth(number: Number) -> tuple[int, int]:
        fields = sum(name not in factors for name in number.where)
        return fields, len(number.where) - fields

    kept: tuple[Number, ...] = ()
    for finest in sorted({depth(number) for number in numbers}):
        more = tuple(number for number in numbers if depth(number) <= finest)
        if kept and len(more) > rows:
            break
        kept = more
    return kept


def leading(estimates: Sequence[Estimate], rows: int) -> tuple[Estimate, ...]:
    """Return the estimates of as many scores as fit into ``rows``, all of each; at least one's."""
    sizes = Counter(e.name for e in estimates)
    ends = itertools.accumulate(sizes.values())
    kept = {
        name for i, (name, end) in enumerate(zip(sizes, ends, strict=True)) if not i or end <= rows
    }
    return tuple(e for e in estimates if e.name in kept)


def _is_quiet(estimate: Estimate) -> bool:
    """Whether a number says no more than its total: a part of what went wrong, and nothing did."""
    counts_faults = estimate.lower_is_better and not estimate.signed
    return bool(estimate.where) and counts_faults and estimate.value == 0


def _counts(counts: Counts) -> str:
    parts = [
        f"{counts.trials:,} trials",
        f"{counts.samples:,} samples",
        f"{counts.clusters:,} clusters",
        f"{counts.asked:,} requests",
        f"{counts.failed:,} failed",
        f"{counts.unparsed:,} unparsed",
        *([f"{counts.captured:,} captured"] if counts.captured else []),
    ]
    return ", ".join(parts)


def _warnings(task: TaskResult) -> Iterable[tuple[str, str]]:
    """Yield what must not be overlooked, with a style."""
    counts = task.counts
    if task.synthetic:
        yield "SYNTHETIC DATA: not a benchmark result", "bold yellow"
    if task.notice:
        yield task.notice, "yellow"
    if counts.missing:
        yield f"UNFINISHED: {counts.missing:,} of {counts.trials:,} trials are missing", "bold red"
    if counts.failed:
        kinds = ", ".join(f"{n:,} {kind}" for kind, n in counts.failures.items())
        yield f"failed trials (not scored, their pairs are dropped): {kinds}", "red"
    if counts.unparsed:
        share = percent_of(counts.unparsed / max(1, counts.answered))
        yield f"{counts.unparsed:,} unparsed or tied answers ({share}) count as wrong", "yellow"
    if task.not_captured:
        yield f"no hidden states were captured: {task.not_captured}", "yellow"
    if any(e.name == TOKENS_CHANGED and e.value for e in task.estimates):
        yield f"{TOKENS_CHANGED}: levels differ in more than content, in the images' size", "red"
    if tied := counts.rules.get("tie_first"):
        yield f"{tied:,} ties: the first of the tied options counts as the answer", "yellow"


def _estimates(estimates: Sequence[Estimate]) -> Table:
    table = _table("score, %")
    for title in ("value", "95 % interval", "n", "clusters"):
        table.add_column(title, justify="right", no_wrap=True)
    previous = None
    names = list(dict.fromkeys(e.name for e in estimates))
    for e in sorted(estimates, key=lambda e: names.index(e.name)):
        name = f"{e.name} ({e.unit})" if e.unit else e.name
        table.add_row(
            _label(name, e.where, repeated=e.name == previous),
            _percent(e.value, signed=e.signed, unit=e.unit),
            _interval(e.low, e.high, signed=e.signed, unit=e.unit),
            f"{e.n:,}",
            f"{e.clusters:,}",
        )
        previous = e.name
    return table


def _comparisons(found: Sequence[Comparison]) -> Table:
    table = _table("level")
    for title in (
        "base\n%", "level\n%", "differ-\nence", "95 % interval\nof difference", "right\n->wrong",
        "wrong\n->right", "flips\n%", "p\n(Holm)", "\npairs", "clus-\nters",
    ):  # fmt: skip
        table.add_column(title, justify="right", no_wrap=True)
    previous = None
    for c in found:
        level = f"{c.level}{' (control)' if c.control else ''}"
        table.add_row(
            _label(level, c.where, repeated=level == previous),
            _percent(c.baseline_value),
            _percent(c.level_value),
            Text(_percent(c.difference, signed=True), style="bold"),
            _interval(c.low, c.high, signed=True),
            _count(c.right_to_wrong),
            _count(c.wrong_to_right),
            _percent(c.flip_rate),
            _p(c.p_adjusted),
            _count(c.n_pairs),
            _count(c.n_clusters),
        )
        previous = level
    return table


def _label(name: str, where: Mapping[str, Level], *, repeated: bool) -> Text:
    """Return a row's name, or only its slice, indented, below a row of the same name."""
    if repeated and where:
        return Text(printable(f"  {_where(where)}"))
    return Text(printable(_in_words(name, where)))


def _notes(found: Iterable[Comparison]) -> Iterable[str]:
    """Yield what qualifies a comparison: dropped pairs, and what unparsed answers could change."""
    for c in found:
        dropped = {why: n for why, n in c.dropped.items() if n}
        if dropped:
            reasons = ", ".join(f"{n:,} {why.replace('_', ' ')}" for why, n in dropped.items())
            yield f"{_named(c)}: pairs dropped: {reasons}"
        if c.parse_failures_baseline or c.parse_failures_level:
            bounds = _interval(c.bound_low, c.bound_high, signed=True)
            yield (
                f"{_named(c)}: unparsed {c.parse_failures_baseline:,} at the baseline, "
                f"{c.parse_failures_level:,} here; whatever they meant, it is in {bounds}"
            )


def _groups(
    comparisons: Sequence[Comparison],
) -> Iterator[tuple[tuple[str, str, Level], list[Comparison]]]:
    """Yield comparisons by score, factor and baseline; levels and groups in order of appearance."""
    groups: dict[tuple[str, str, Level], dict[Level, list[Comparison]]] = {}
    for c in comparisons:
        levels = groups.setdefault((c.name, c.factor, c.baseline), {})
        levels.setdefault(c.level, []).append(c)
    for key, levels in groups.items():
        yield key, [c for found in levels.values() for c in found]


def _table(first: str) -> Table:
    table = Table(
        box=box.SIMPLE_HEAD, expand=True, padding=0, pad_edge=False, show_edge=False,
        header_style="not bold dim",
    )  # fmt: skip
    table.add_column(Text(f"\n{first}") if first == "level" else first, ratio=1, overflow="fold")
    return table


def _named(c: Comparison) -> str:
    return ", ".join(filter(None, (str(c.level), _where(c.where))))


def _where(where: Mapping[str, Level]) -> str:
    return ", ".join(f"{name}={level}" for name, level in where.items())


def _percent(value: float | None, *, signed: bool = False, unit: str = "") -> str:
    """Return a share in percent; a number that has a unit as it is, with two decimals."""
    if value is None:
        return "-"
    shown, digits = (value, 2) if unit else (100 * value, 1)
    text = f"{shown:{'+' if signed else ''}.{digits}f}"
    zero = f"{0:.{digits}f}"
    return zero if text in (f"-{zero}", f"+{zero}") else text


def percent_of(share: float) -> str:
    """Return a share in percent, small ones with two digits that count.

    >>> percent_of(1.0), percent_of(0.0525), percent_of(0.000312)
    ('100.0 %', '5.2 %', '0.031 %')
    """
    percent = 100 * share
    return f"{percent:.1f} %" if percent == 0 or percent >= 1 else f"{percent:.2g} %"


def _interval(
    low: float | None, high: float | None, *, signed: bool = False, unit: str = ""
) -> str:
    if low is None or high is None:
        return "-"
    ends = (_percent(end, signed=signed, unit=unit) for end in (low, high))
    return f"[{', '.join(ends)}]"


def _count(value: int | None) -> str:
    return "-" if value is None else f"{value:,}"


def _p(value: float | None) -> str:
    if value is None:
        return "-"
    return "<0.0001" if value < 0.0001 else f"{value:.4f}"
