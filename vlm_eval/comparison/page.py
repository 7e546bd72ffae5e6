"""A comparison of two runs as one HTML file that needs nothing beside it."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from tempfile import TemporaryDirectory

from markupsafe import Markup

from vlm_eval.comparison.results import RunComparison, TaskDifference
from vlm_eval.comparison.words import summary
from vlm_eval.reports.site import Site
from vlm_eval.reports.svg import domain

CHANGES = 200  # listed for each task, at most


def to_html(found: RunComparison) -> str:
    """Return the page. Its one style sheet is allowed by digest, and nothing else is."""
    with TemporaryDirectory() as scratch:
        site = Site(Path(scratch), "vlm_eval.comparison")
        style = (Path(scratch) / "assets" / "page.css").read_text(encoding="utf-8")
        if "</" in style or "<!--" in style:
            raise AssertionError("the style sheet would end its element")
        digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
        return str(
            site.render(
                "compare.html.j2",
                found=found,
                tasks=[(task, summary(task), *_spans(task)) for task in found.tasks],
                changes=CHANGES,
                style=Markup(style),
                policy=f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; "
                "form-action 'none'",
            )
        )


def _spans(task: TaskDifference) -> tuple[tuple[float, float], tuple[float, float]]:
    """Return the ends of the axes of the differences and of the gaps."""
    parts, gaps = [task.overall, *task.parts], task.gaps
    first, second = (
        domain([e for c in rows for e in (c.difference, c.low, c.high)], include=(0.0,), least=0.1)
        for rows in (parts, gaps)
    )
    return first, second
