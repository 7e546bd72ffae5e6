"""The reports of ``vlm_eval validate`` as Markdown, for a pull request or a job's summary."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from vlm_eval.cli.text import printable, printable_lines

if TYPE_CHECKING:
    from vlm_eval.cli.validate import Report

_SPECIAL = re.compile(r"([\\`*_\[\]<>|~#$])")


def markdown(reports: Sequence[Report]) -> str:
    """Return a table of the verdicts and, below it, each report; a prompt is folded away.

    What a task file says is inert: it is neither mark-up nor HTML, and ends no block.
    """
    faulty = sum(bool(report.faults) for report in reports)
    verdict = f"{faulty} with faults" if faulty else "all ok"
    number = f"{len(reports)} task file{'s' if len(reports) != 1 else ''}"
    rows = [f"| {escaped(report.title)} | {_verdict(report)} |" for report in reports]
    lines = [f"**{number}, {verdict}**", "", "| task | verdict |", "|---|---|", *rows]
    for report in reports:
        lines += _report(report)
    return "\n".join(lines)


def escaped(text: object) -> str:
    r"""Return a text that Markdown shows as it is.

    >>> escaped("a_b|<script>")
    'a\\_b\\|\\<script\\>'
    """
    return _SPECIAL.sub(r"\\\1", printable(text)).replace("&", "&amp;")


def fenced(text: str) -> str:
    """Return a text as a block of code, in a fence that it does not hold itself."""
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}text\n{printable_lines(text)}\n{fence}"


def _verdict(report: Report) -> str:
    count = len(report.faults)
    return "ok" if not count else f"{count} fault{'s' if count != 1 else ''}"


def _report(report: Report) -> Iterator[str]:
    yield from ("", f"### {escaped(report.title)}: {_verdict(report)}", "")
    yield from (f"- {escaped(line)}" for line in [*report.faults, *report.facts])
    if report.example is not None:
        summary = "<details><summary>The first prompt</summary>"
        yield from ("", summary, "", fenced(report.example), "", "</details>")
