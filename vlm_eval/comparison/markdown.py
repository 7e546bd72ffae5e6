"""A comparison of two runs as Markdown, to paste into a pull request."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from vlm_eval.comparison.results import Change, RunComparison, TaskDifference
from vlm_eval.comparison.words import summary
from vlm_eval.core.types import Level
from vlm_eval.reports.text import count, interval, p_value, percent, visible
from vlm_eval.stats.results import Comparison

CHANGES = 20  # listed, at most
COLUMNS = (
    "slice", "A %", "B %", "B − A", "95 % interval", "right→wrong", "wrong→right",
    "answers changed", "p (Holm)", "pairs", "clusters", "dropped",
)  # fmt: skip
GAP_COLUMNS = ("change", "in A", "in B", "B − A", "95 % interval", "p (Holm)", "pairs", "clusters")


def to_markdown(found: RunComparison) -> str:
    """Return all tables as GitHub-flavoured Markdown; what came from elsewhere is escaped."""
    a, b = (escape(name) for name in found.names)
    lines = [
        f"## {a} against {b}",
        "",
        f"A is {a}, B is {b}; score: {escape(found.score)}. Paired by sample and condition; "
        "differences are B − A in points, intervals 95 %, clustered.",
        *(f"\n> {escape(note)}" for note in found.notes),
    ]
    for task in found.tasks:
        lines += ["", *_task(task)]
    return "\n".join(lines) + "\n"


def _task(task: TaskDifference) -> Iterator[str]:
    yield f"### {escape(task.task)} {escape(task.version)}"
    if task.synthetic:
        yield "\n> **Synthetic data: not a benchmark result.**"
    for note in task.notes:
        yield f"\n> {escape(note)}"
    yield f"\n{escape(summary(task))}\n"
    rows = [("all trials", task.overall), *((_where(p.where), p) for p in task.parts)]
    yield from _table(COLUMNS, (_row(label, c) for label, c in rows))
    if task.gaps:
        yield "\nHow much each changes from a factor's baseline:\n"
        yield from _table(GAP_COLUMNS, map(_gap, task.gaps))
    if task.changes:
        yield "\nTrials with another answer or score:\n"
        titles = ("sample", "condition", "answer of A", "answer of B", "A %", "B %")
        yield from _table(titles, map(_change, task.changes[:CHANGES]))
        if len(task.changes) > CHANGES:
            yield f"\nand {len(task.changes) - CHANGES:,} more"


def _table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(titles)} |"
    yield f"|{'|'.join([' --- ', *[' ---: '] * (len(titles) - 1)])}|"
    for row in rows:
        yield f"| {' | '.join(row)} |"


def _row(label: str, c: Comparison) -> list[str]:
    return [
        label, percent(c.baseline_value), percent(c.level_value),
        percent(c.difference, signed=True),
        interval(c.low, c.high, signed=True), count(c.right_to_wrong), count(c.wrong_to_right),
        percent(c.answer_change_rate), p_value(c.p_adjusted), count(c.n_pairs),
        count(c.n_clusters),
        ", ".join(f"{n:,} {why.replace('_', ' ')}" for why, n in c.dropped.items() if n) or "0",
    ]  # fmt: skip


def _gap(c: Comparison) -> list[str]:
    return [
        escape(c.name) + (" (control)" if c.control else ""),
        percent(c.baseline_value, signed=True), percent(c.level_value, signed=True),
        percent(c.difference, signed=True), interval(c.low, c.high, signed=True),
        p_value(c.p_adjusted), count(c.n_pairs), count(c.n_clusters),
    ]  # fmt: skip


def _change(change: Change) -> list[str]:
    answers = ["(unparsed)" if a is None else escape(a) for a in change.answers]
    scores = [percent(score) for score in change.scores]
    return [escape(change.sample_id), _where(change.condition), *answers, *scores]


def _where(where: Mapping[str, Level]) -> str:
    return ", ".join(f"{escape(name)}={escape(level)}" for name, level in where.items())


def escape(text: Any) -> str:
    r"""Return a text that Markdown shows as it is: on one line, with no markup, link or HTML.

    >>> escape("a|b <b>*c*</b>")
    'a\\|b &lt;b&gt;\\*c\\*&lt;/b&gt;'
    """
    seen = visible(text, lines=False).replace("&", "&amp;").replace("<", "&lt;")
    seen = seen.replace(">", "&gt;").replace("\t", " ")
    for character in "\\`*_[]|~#!@":
        seen = seen.replace(character, f"\\{character}")
    # An address would become a link by itself.
    return seen.replace("://", ":&#47;&#47;").replace("www.", "www&#46;")
