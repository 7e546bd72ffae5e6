"""What an analysis found as one SVG file, for documents and slides.

It carries its own style and follows the reader's light or dark mode.
"""

from __future__ import annotations

import re
import textwrap
from importlib.resources import files
from pathlib import Path

from markupsafe import Markup

from vlm_eval.internals.findings import Findings
from vlm_eval.internals.panels import views
from vlm_eval.reports.plot import plot
from vlm_eval.reports.svg import element
from vlm_eval.reports.text import visible

FIGURE = "figure.svg"
MARGIN, GAP = 16, 28
ONE_COLUMN = 3  # panels; more stand in two columns
TITLE = 72  # characters in a line of a panel's title
_SHARED = re.compile(r"/\* figures \*/\n(.*?)/\* end \*/", re.DOTALL)


def figure(found: Findings) -> str | None:
    """Return the panels of findings as an SVG document, None if there is nothing to draw."""
    drawn = [(one, plot(one)) for one in views(found)]
    if not drawn:
        return None
    columns = 1 if len(drawn) <= ONE_COLUMN else 2
    column = max(made.width for _, made in drawn)
    width = 2 * MARGIN + columns * column + (columns - 1) * GAP
    parts, y = _heading(found, width)
    for start in range(0, len(drawn), columns):
        line = drawn[start : start + columns]
        titles = [textwrap.wrap(visible(one.panel.title, lines=False), TITLE) for one, _ in line]
        room = 17 * max(map(len, titles)) + 4
        for i, (title, (_, made)) in enumerate(zip(titles, line, strict=True)):
            x = MARGIN + i * (column + GAP)
            parts += [_text(text, x, y + 12 + 17 * k, "title") for k, text in enumerate(title)]
            parts.append(element("g", made.body, transform=f"translate({x:g} {y + room:g})"))
        y += room + max(made.height for _, made in line) + GAP
    height = y - GAP + MARGIN
    name = f"{found.analysis} of {found.model} on {found.task}"
    return str(
        element(
            "svg",
            element("title", visible(name, lines=False)),
            element("style", Markup(_style())),
            element("rect", width="100%", height="100%", class_="paper"),
            *parts,
            xmlns="http://www.w3.org/2000/svg",
            viewBox=f"0 0 {width:.0f} {height:.0f}",
            width=round(width),
            height=round(height),
            role="img",
        )
    )


def write_figure(found: Findings, folder: Path) -> Path | None:
    """Write the figure into a folder, or remove an old one if there is nothing to draw."""
    text, path = figure(found), folder / FIGURE
    if text is None:
        path.unlink(missing_ok=True)
        return None
    path.write_text(text + "\n", encoding="utf-8")
    return path


def _heading(found: Findings, width: float) -> tuple[list[Markup], float]:
    """Return what stands above the panels, and where it ends."""
    parts = [_text(f"{found.analysis}: {found.model} on {found.task}", MARGIN, 30, "head")]
    notice = found.notice or ("synthetic data" if found.synthetic else "")
    y = 30
    for text in textwrap.wrap(visible(notice, lines=False), int((width - 2 * MARGIN) / 6.2)):
        y += 17
        parts.append(_text(text, MARGIN, y, "strong"))
    return parts, y + 20.0


def _text(text: str, x: float, y: float, kind: str) -> Markup:
    return element("text", visible(text, lines=False), x=float(x), y=float(y), class_=kind)


def _style() -> str:
    """Return the parts of the pages' style sheet that figures use."""
    text = files("vlm_eval.reports").joinpath("assets", "page.css").read_text(encoding="utf-8")
    return "".join(_SHARED.findall(text))
