"""Small charts as inline SVG.

Nothing is styled here but geometry: colours come from the style sheet through classes, so that the
charts follow the page into dark mode and onto paper, and need no inline style, which the page's
content security policy forbids.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

from markupsafe import Markup, escape

PLOT_WIDTH, PLOT_HEIGHT = 180, 18  # of an interval in a table row, pixels
LABEL = 34  # between the labels of its axis, at least
CURVE_WIDTH, CURVE_HEIGHT = 570, 240

NAME_HEIGHT = 13  # between the names of two curves


def element(tag: str, *children: object, **attributes: object) -> Markup:
    """Return an element; ``class_`` is ``class``, ``text_anchor`` is ``text-anchor``.

    Children and attribute values are escaped unless they are markup. None leaves out an attribute.
    """
    given = "".join(
        f' {_attribute(name)}="{escape(_value(value))}"'
        for name, value in attributes.items()
        if value is not None
    )
    return Markup(f"<{tag}{given}>{''.join(map(escape, children))}</{tag}>")


def _attribute(name: str) -> str:
    return name if name == "viewBox" else name.rstrip("_").replace("_", "-")


def _value(value: object) -> object:
    return number(value) if isinstance(value, float) else value


def number(value: float) -> str:
    """Return a coordinate with at most two decimals."""
    text = f"{value:.2f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


@dataclass(frozen=True)
class Scale:
    """A linear scale from data to pixels.

    Attributes
    ----------
    low, high
        The ends in the data; ``low < high``.
    start, end
        The ends in pixels; ``start > end`` turns the axis upwards.
    """

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """Return the pixel of a value; values beyond the ends are put at them."""
        share = (min(max(value, self.low), self.high) - self.low) / (self.high - self.low)
        return self.start + share * (self.end - self.start)


def ticks(low: float, high: float, at_most: int = 5) -> list[float]:
    """Return round numbers in an interval: steps of 1, 2, 2.5 or 5 times a power of ten.

    >>> ticks(0, 1), ticks(-0.31, 0.12)
    ([0.0, 0.25, 0.5, 0.75, 1.0], [-0.3, -0.2, -0.1, 0.0, 0.1])
    """
    raw = (high - low) / max(1, at_most - 1)
    power = 10.0 ** math.floor(math.log10(raw))
    for factor in (1, 2, 2.5, 5, 10):
        step = factor * power
        first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
        if last - first < at_most:
            return [round(i * step, 10) for i in range(first, last + 1)]
    return [low, high]


def domain(
    values: Iterable[float | None], *, include: Sequence[float] = (), least: float = 0.05
) -> tuple[float, float]:
    """Return an interval that holds all values with a little room, at least ``least`` wide."""
    known = [v for v in (*values, *include) if v is not None and math.isfinite(v)]
    low, high = min(known, default=0.0), max(known, default=1.0)
    room = max(0.04 * (high - low), (least - (high - low)) / 2, 0.0)
    return low - room, high + room


def interval_plot(
    value: float | None,
    low: float | None,
    high: float | None,
    span: tuple[float, float],
    *,
    reference: float | None = None,
    kind: str = "",
    width: int = PLOT_WIDTH,
) -> Markup:
    """Return a dot with its interval on one line; an empty line where the value is unknown.

    The numbers stand beside it in the table, so it is hidden from screen readers.

    Parameters
    ----------
    value, low, high
        The number and its interval, in the unit of ``span``.
    span
        The ends of the axis.
    reference
        Where a vertical tick stands: 0 for differences, chance for scores.
    kind
        Class of the mark: ``up``, ``down``, ``control`` or ``open`` (not significant).
    width
        In pixels.
    """
    x, middle = Scale(*span, 6, width - 6), PLOT_HEIGHT / 2
    parts = [stroke(6, middle, width - 6, middle, "axis")]
    if reference is not None and span[0] <= reference <= span[1]:
        parts.append(stroke(x(reference), 1, x(reference), PLOT_HEIGHT - 1, "reference"))
    if low is not None and high is not None:
        parts.append(stroke(x(low), middle, x(high), middle, f"whisker {kind}".strip()))
    if value is not None:
        parts.append(element("circle", cx=x(value), cy=middle, r=3.5, class_=f"dot {kind}".strip()))
    return _svg(width, PLOT_HEIGHT, parts, class_="interval", aria_hidden="true")


def axis(span: tuple[float, float], *, signed: bool = False, width: int = PLOT_WIDTH) -> Markup:
    """Return the axis that heads a column of `interval_plot`, labelled in percent."""
    x = Scale(*span, 6, width - 6)
    parts = []
    marks = ticks(*span, at_most=4)
    if any(x(right) - x(left) < LABEL for left, right in pairwise(marks)):
        marks = ticks(*span, at_most=3)
    for tick in marks:
        at = x(tick)
        anchor = "start" if at < 18 else "end" if at > width - 18 else "middle"
        text = _percent(tick, signed=signed)
        parts.append(element("text", text, x=at, y=10, text_anchor=anchor))
        parts.append(stroke(at, 13, at, PLOT_HEIGHT, "axis"))
    return _svg(width, PLOT_HEIGHT, parts, class_="interval", aria_hidden="true")


@dataclass(frozen=True)
class Point:
    """One point of a curve: its label on the x axis, its value and interval."""

    label: str
    value: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Series:
    """One curve. Its points are joined in order; the name stands at its end."""

    name: str
    points: tuple[Point, ...]


def curve(
    series: Sequence[Series],
    *,
    title: str,
    x_title: str,
    chance: float | None = None,
    unit: str = "",
) -> Markup:
    """Return curves with their intervals as ribbons over labelled, evenly spaced levels.

    Parameters
    ----------
    series
        Curves over the same labels.
    title
        What a screen reader says.
    x_title
        Name of the factor.
    chance
        Where a dashed line stands.
    unit
        Of the values; empty for shares, which are labelled in percent.
    """
    labels = list(dict.fromkeys(p.label for one in series for p in one.points))
    ends = [e for one in series for p in one.points for e in (p.value, p.low, p.high)]
    low, high = domain(ends, include=() if chance is None else (chance,), least=0.1)
    if not unit:
        low, high = (
            max(low, 0.0 if min(e for e in ends if e is not None) >= 0 else -1.0),
            min(high, 1.0),
        )
    right = 12 if len(series) == 1 else 120
    y = Scale(low, high, CURVE_HEIGHT - 44, 12)
    across = Scale(0, max(1, len(labels) - 1), 52, CURVE_WIDTH - right - 8)
    x = {label: across(i) for i, label in enumerate(labels)}
    parts = [*_y_axis(y, CURVE_WIDTH - right, unit), *_x_axis(x, x_title)]
    if chance is not None:
        parts.append(stroke(44, y(chance), CURVE_WIDTH - right, y(chance), "chance"))
        parts.append(element("text", "chance", x=CURVE_WIDTH - right, y=y(chance) - 4,
                             text_anchor="end", class_="note"))  # fmt: skip
    parts += [_series(one, x, y, i) for i, one in enumerate(series)]
    if len(series) > 1:
        parts += _names(series, x, y)
    return _svg(CURVE_WIDTH, CURVE_HEIGHT, [element("title", title), *parts],
                class_="curve", role="img", aria_label=title)  # fmt: skip


def _series(one: Series, x: dict[str, float], y: Scale, i: int) -> Markup:
    known = [p for p in one.points if p.value is not None]
    banded = [p for p in known if p.low is not None and p.high is not None]
    edge = [(x[p.label], y(p.high or 0.0)) for p in banded]
    edge += [(x[p.label], y(p.low or 0.0)) for p in reversed(banded)]
    line = [(x[p.label], y(p.value or 0.0)) for p in known]
    parts: list[Markup] = []
    if len(banded) > 1:
        parts.append(element("polygon", points=coordinates(edge), class_="ribbon"))
    parts.append(element("polyline", points=coordinates(line), class_="line"))
    parts += [element("circle", cx=cx, cy=cy, r=3, class_="dot") for cx, cy in line]
    return element("g", *parts, class_=f"series s{i % 8}")


def _names(series: Sequence[Series], x: dict[str, float], y: Scale) -> list[Markup]:
    """Return the names at the ends of the curves, moved apart where they would overlap."""
    ends = []
    for i, one in enumerate(series):
        known = [p for p in one.points if p.value is not None]
        if known:
            ends.append((y(known[-1].value or 0.0), x[known[-1].label], i, one.name))
    ends.sort()
    heights: list[float] = []
    for at, *_ in ends:
        heights.append(max(at, heights[-1] + NAME_HEIGHT) if heights else at)
    over = max(0.0, heights[-1] - y.start) if heights else 0.0
    return [
        element("text", _short(name, 18), x=left + 8, y=height - over + 4, class_=f"name s{i % 8}")
        for (_, left, i, name), height in zip(ends, heights, strict=True)
    ]


def _y_axis(y: Scale, right: float, unit: str) -> list[Markup]:
    parts = []
    for tick in ticks(y.low, y.high):
        parts.append(stroke(44, y(tick), right, y(tick), "grid"))
        text = number(tick) if unit else _percent(tick)
        parts.append(element("text", text, x=38, y=y(tick) + 4, text_anchor="end"))
    return parts


def _x_axis(x: dict[str, float], title: str) -> list[Markup]:
    places = list(x.values())
    step = 1 + (len(places) * 34) // CURVE_WIDTH
    parts = [
        element("text", _short(label), x=at, y=CURVE_HEIGHT - 26, text_anchor="middle")
        for i, (label, at) in enumerate(x.items())
        if i % step == 0
    ]
    middle = (places[0] + places[-1]) / 2 if places else 0.0
    parts.append(
        element("text", title, x=middle, y=CURVE_HEIGHT - 6, text_anchor="middle", class_="note")
    )
    return parts


def share_bar(share: float, kind: str = "") -> Markup:
    """Return a horizontal bar of a share in [0, 1], to the percent; hidden from screen readers.

    Its size and the track are the style sheet's: a page can hold tens of thousands.
    """
    return _share_bar(round(100 * min(1.0, max(0.0, share))), kind)


@lru_cache(maxsize=512)
def _share_bar(percent: int, kind: str) -> Markup:
    bar = element("rect", width=f"{percent}%", class_=f"bar {kind}".strip())
    return element("svg", element("rect", class_="track"), bar, class_="share", aria_hidden="true")


def heat(share: float) -> str:
    """Return the class that shades a cell by a share in [0, 1]: ``h0`` to ``h9``."""
    return f"h{min(9, max(0, int(10 * share)))}"


def _short(label: str, most: int = 10) -> str:
    return label if len(label) <= most else f"{label[: most - 1]}\u2026"


def _percent(value: float, *, signed: bool = False) -> str:
    text = number(100 * value).replace("-", "\u2212")
    return f"+{text}" if signed and value > 0 else text


def coordinates(points: Iterable[tuple[float, float]]) -> str:
    """Return points as the attribute of a polyline."""
    return " ".join(f"{number(px)},{number(py)}" for px, py in points)


def stroke(x1: float, y1: float, x2: float, y2: float, kind: str) -> Markup:
    """Return a straight line of a class."""
    return element(
        "line", x1=float(x1), y1=float(y1), x2=float(x2), y2=float(y2), class_=kind
    )  # fmt: skip


def _svg(width: int, height: int, parts: Iterable[Markup], **attributes: str) -> Markup:
    return element(
        "svg", *parts, viewBox=f"0 0 {width} {height}", width=width, height=height, **attributes
    )
