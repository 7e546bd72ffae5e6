"""The section "Inside the model" of a task's page: what its analyses found, drawn and in tables."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from vlm_eval.core.types import Level
from vlm_eval.internals.findings import Findings
from vlm_eval.internals.panels import View, views, words
from vlm_eval.reports import plot
from vlm_eval.reports.views import Measured, measured
from vlm_eval.stats.results import Estimate

FACT = 200  # characters of a fact that is not folded away
Row = tuple[Level, tuple[Estimate | None, ...]]


@dataclass(frozen=True)
class Chart:
    """A panel: its drawing, and the same numbers as rows of estimates, one a curve."""

    view: View
    drawing: Markup
    axis: str
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class Inside:
    """What one analysis found.

    Attributes
    ----------
    found
        The findings.
    charts
        Its panels.
    numbers
        All its estimates.
    facts, details, options
        As text by name; details are the facts that are long.
    """

    found: Findings
    charts: tuple[Chart, ...]
    numbers: tuple[Measured, ...]
    facts: Mapping[str, str]
    details: Mapping[str, str]
    options: Mapping[str, str]


def insides(found: Sequence[Findings], task: str) -> list[Inside]:
    """Return what the analyses of a task found, in their order."""
    return [_inside(one) for one in found if one.task == task]


def _inside(found: Findings) -> Inside:
    facts = _texts({words(name): value for name, value in found.facts.items()})
    return Inside(
        found=found,
        charts=tuple(_chart(one) for one in views(found)),
        numbers=tuple(measured(found)),
        facts={name: text for name, text in facts.items() if len(text) <= FACT},
        details={name: text for name, text in facts.items() if len(text) > FACT},
        options=_texts(found.options),
    )


def _chart(one: View) -> Chart:
    rows = tuple((at, tuple(line.points.get(at) for line in one.lines)) for at in one.axis)
    return Chart(one, plot.svg(one), words(one.panel.axis), rows)


def _texts(values: Mapping[str, Any]) -> dict[str, str]:
    return {
        name: value if isinstance(value, str) else _json(value) for name, value in values.items()
    }


def _json(value: Any) -> str:
    return "-" if value is None else json.dumps(value, ensure_ascii=False)
