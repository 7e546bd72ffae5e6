"""A panel of findings as SVG: curves over numbers or an order, or dots with intervals by category.

Curves carry their names at their ends; what they are measured in stands above the axis of values.
As in :mod:`vlm_eval.reports.svg`, colours come from the style sheet through classes.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from markupsafe import Markup

from vlm_eval.core.types import Level
from vlm_eval.internals.panels import Line, View, number, words
from vlm_eval.reports.svg import Scale, coordinates, domain, element, stroke, ticks
from vlm_eval.reports.text import MINUS, visible
from vlm_eval.stats.results import Estimate

WIDTH, LEFT = 470, 56  # of the area of values; left of it, pixels
HEIGHT = 230
NAME, ROW = 14, 22  # between the names of curves, and between categories
LABEL = 34  # characters of a name, at most
COLOURS = 8
MANY = 16  # points, whose dots are smaller


@dataclass(frozen=True)
class Plot:
    """A drawn panel: the elements, and the room that they take in pixels."""

    body: Markup
    width: float
    height: float


def plot(one: View) -> Plot:
    """Draw a panel."""
    return _dots(one) if one.kind == "categories" else _curves(one)


def svg(one: View) -> Markup:
    """Return a panel as an element of a page."""
    made = plot(one)
    title = visible(one.panel.title, lines=False)
    return element(
        "svg", element("title", title), made.body, viewBox=f"0 0 {made.width:g} {made.height:g}",
        width=made.width, height=made.height, class_="curve", role="img", aria_label=title,
    )  # fmt: skip


def _curves(one: View) -> Plot:
    places = _places(one)
    across = Scale(*_room(places.values()), LEFT + 8, LEFT + WIDTH - 8)
    marks = _marks(one, places, across)
    top = 22.0 + NAME * len({row for *_, row in marks})
    height = max(HEIGHT, NAME * len(one.lines) + 20)
    y = Scale(*_span(one), top + height, top)
    parts = [_caption(one, top - 10 - NAME * len({row for *_, row in marks}))]
    parts += _value_axis(one, y)
    parts += _numbers(one, places, across, y.start)
    parts += _reference(one, y)
    parts += [stroke(x, top - 2 - NAME * row, x, y.start, "mark") for x, _, _, row in marks]
    for x, text, anchor, row in marks:
        shift = 4 if anchor == "start" else -4
        parts.append(_text(text, x + shift, top - 6 - NAME * row, anchor, "strong over"))
    for i, curve in enumerate(one.lines):
        parts.append(_curve(curve, {at: across(x) for at, x in places.items()}, y, i))
    parts += _ends(one, y)
    label = max((_width(_short(curve.name)) for curve in one.lines), default=0.0)
    right = 14 + label * 1.06 if len(one.lines) > 1 else 14
    return Plot(Markup("").join(parts), LEFT + WIDTH + right, y.start + 38)


def _places(one: View) -> dict[Level, float]:
    """Return where each point of the axis lies: at its number, or in its order."""
    if one.kind == "numbers":
        return {at: number(at) for at in one.axis}
    return {at: float(i) for i, at in enumerate(one.axis)}


def _marks(
    one: View, places: Mapping[Level, float], across: Scale
) -> list[tuple[float, str, str, int]]:
    """Return place, label, anchor and row of each mark; labels that would overlap get rows."""
    known = sorted((number(at), x) for at, x in places.items() if number(at) == number(at))
    ends: list[float] = []
    found = []
    for label, value in sorted(one.panel.marks.items(), key=lambda mark: mark[1]):
        x = across(_between(known, value))
        text = _short(label)
        anchor = "end" if x + _width(text) > LEFT + WIDTH else "start"
        left = x - _width(text) - 4 if anchor == "end" else x
        right = left + _width(text) + 10
        row = next((i for i, end in enumerate(ends) if end <= left), len(ends))
        ends[row : row + 1] = [right]
        found.append((x, text, anchor, row))
    return found


def _between(known: Sequence[tuple[float, float]], value: float) -> float:
    """Return the place of a number among points of which number and place are known."""
    for (low, start), (high, end) in pairwise(known):
        if low <= value <= high:
            return start + (end - start) * (value - low) / (high - low)
    return min(known, key=lambda point: abs(point[0] - value))[1]


def _span(one: View) -> tuple[float, float]:
    """Return the ends of the axis of values; of shares up to 1 they do not go beyond 1."""
    ends = [end for e in one.estimates for end in (e.value, e.low, e.high)]
    known = [end for end in ends if end is not None]
    include = [0.0] if one.signed else []
    include += [one.chance] if one.chance is not None else []
    size = max(map(abs, [*known, *include]), default=1.0) or 1.0
    low, high = domain(known, include=include, least=0.05 * size if one.unit else 0.1)
    least, most = min([*known, 0.0]), max([*known, 0.0])
    if not one.unit and least >= -1 and most <= 1:
        low, high = max(low, -1.0 if least < 0 else 0.0), min(high, 1.0)
    return (low, high) if low < high else (low - 0.05, high + 0.05)


def _value_axis(one: View, y: Scale) -> Iterable[Markup]:
    for tick in ticks(y.low, y.high):
        yield stroke(LEFT, y(tick), LEFT + WIDTH, y(tick), "grid")
        yield _text(_tick(tick, one), LEFT - 6, y(tick) + 4, "end")


def _numbers(
    one: View, places: Mapping[Level, float], across: Scale, foot: float
) -> Iterable[Markup]:
    """Yield the axis of points: a label for each where there is room, else round numbers."""
    labels = {_short(str(at), 12): across(x) for at, x in places.items()}
    if one.kind == "numbers" and _crowded(labels):
        whole = all(float(x).is_integer() for x in places.values())
        rounds = [t for t in ticks(across.low, across.high, 8) if not whole or t.is_integer()]
        labels = {_plain(tick): across(tick) for tick in rounds}
    step = 1
    while _crowded(dict(list(labels.items())[::step])):
        step += 1
    for label, x in list(labels.items())[::step]:
        yield stroke(x, foot, x, foot + 4, "axis")
        yield _text(label, x, foot + 16, "middle")
    yield _text(words(one.panel.axis), LEFT + WIDTH / 2, foot + 33, "middle", "strong")


def _crowded(labels: Mapping[str, float]) -> bool:
    return any(
        right - left < (_width(a) + _width(b)) / 2 + 6
        for (a, left), (b, right) in pairwise(labels.items())
    )


def _reference(one: View, y: Scale) -> Iterable[Markup]:
    if one.signed and y.low < 0 < y.high:
        yield stroke(LEFT, y(0.0), LEFT + WIDTH, y(0.0), "zero")
    if one.chance is not None and y.low <= one.chance <= y.high:
        at = y(one.chance)
        yield stroke(LEFT, at, LEFT + WIDTH, at, "chance")
        yield _text("chance", LEFT + 4, at - 4, "start", "over")


def _curve(curve: Line, x: Mapping[Level, float], y: Scale, i: int) -> Markup:
    """Draw a curve; it is broken where a value is unknown."""
    runs: list[list[tuple[float, Estimate]]] = [[]]
    for at, place in x.items():
        e = curve.points.get(at)
        if e is not None and e.value is not None:
            runs[-1].append((place, e))
        elif e is not None:
            runs.append([])
    parts: list[Markup] = []
    for run in runs:
        upper = [(at, y(e.high)) for at, e in run if e.low is not None and e.high is not None]
        lower = [(at, y(e.low)) for at, e in run if e.low is not None and e.high is not None]
        if len(upper) > 1:
            outline = [*upper, *reversed(lower)]
            parts.append(element("polygon", points=coordinates(outline), class_="ribbon"))
        elif upper:
            parts.append(stroke(upper[0][0], upper[0][1], upper[0][0], lower[0][1], "whisker"))
    for run in runs:
        path = [(at, y(e.value or 0.0)) for at, e in run]
        if len(path) > 1:
            parts.append(element("polyline", points=coordinates(path), class_="line"))
        size = 2.8 if len(x) <= MANY else 2.0
        parts += [element("circle", cx=at, cy=value, r=size, class_="dot") for at, value in path]
    return element("g", *parts, class_=_series(i))


def _ends(one: View, y: Scale) -> Iterable[Markup]:
    """Yield the names of several curves beside their last values, moved apart."""
    if len(one.lines) < 2:
        return
    wanted = []
    for i, curve in enumerate(one.lines):
        known = [curve.points[at] for at in one.axis if at in curve.points]
        values = [e.value for e in known if e.value is not None]
        wanted.append((y(values[-1]) if values else y.start, i))
    wanted.sort()
    for at, (_, i) in zip(apart([at for at, _ in wanted], y.end, y.start), wanted, strict=True):
        yield _text(
            _short(one.lines[i].name), LEFT + WIDTH + 8, at + 4, "start", f"name {_colour(i)}"
        )


def apart(wanted: Sequence[float], top: float, foot: float) -> list[float]:
    """Return places near the wanted ones, which rise, but `NAME` apart and within the ends.

    >>> apart([10, 11, 90], 0, 100)
    [10, 24, 90]
    """
    found: list[float] = []
    for at in wanted:
        found.append(max(at, found[-1] + NAME) if found else max(at, top))
    limit = foot
    for i in reversed(range(len(found))):
        found[i] = min(found[i], limit)
        limit = found[i] - NAME
    return found


def _dots(one: View) -> Plot:
    """Draw a row for each category, with a dot and its interval for each curve."""
    rows = [_short(words(str(at))) for at in one.axis]
    left = max(LEFT, 16 + max(map(_width, rows)))
    width = WIDTH + LEFT - left + 60
    legend, below = _legend(one, left, width)
    step = max(ROW, 9 * len(one.lines) + 14)
    top = below + 12
    x = Scale(*_span(one), left, left + width)
    foot = top + step * len(rows)
    parts = [_caption(one, 12), *legend]
    for tick in ticks(x.low, x.high, 6):
        parts.append(stroke(x(tick), top, x(tick), foot, "grid"))
        parts.append(_text(_tick(tick, one), x(tick), foot + 16, "middle"))
    for reference, kind in ((0.0 if one.signed else None, "zero"), (one.chance, "chance")):
        if reference is not None and x.low <= reference <= x.high:
            parts.append(stroke(x(reference), top - 2, x(reference), foot, kind))
            if kind == "chance":
                parts.append(_text("chance", x(reference) + 4, foot - 4, "start", "over"))
    for row, at in enumerate(one.axis):
        middle = top + step * (row + 0.5)
        parts.append(_text(rows[row], left - 10, middle + 4, "end", "strong"))
        for i, curve in enumerate(one.lines):
            offset = 9 * (i - (len(one.lines) - 1) / 2)
            parts.append(_dot(curve.points.get(at), x, middle + offset, i))
    return Plot(Markup("").join(parts), left + width + 20, foot + 26)


def _dot(e: Estimate | None, x: Scale, at: float, i: int) -> Markup:
    if e is None or e.value is None:
        return Markup("")
    parts = [element("circle", cx=x(e.value), cy=at, r=3.5, class_="dot")]
    if e.low is not None and e.high is not None:
        parts.insert(0, stroke(x(e.low), at, x(e.high), at, "whisker"))
    return element("g", *parts, class_=_series(i))


def _legend(one: View, left: float, width: float) -> tuple[list[Markup], float]:
    """Return the names of several curves, in lines that fit, and where they end."""
    x, y = left, 32.0
    parts: list[Markup] = []
    if len(one.lines) < 2:
        return parts, 16.0
    for i, curve in enumerate(one.lines):
        text = _short(curve.name)
        if x > left and x + _width(text) + 26 > left + width:
            x, y = left, y + NAME + 2
        dot = element("circle", cx=x + 4, cy=y - 4, r=3.5, class_="dot")
        parts.append(element("g", dot, class_=_series(i)))
        parts.append(_text(text, x + 12, y, "start", f"name {_colour(i)}"))
        x += _width(text) * 1.06 + 28
    return parts, y


def _caption(one: View, at: float) -> Markup:
    """Return what the values are: the name of the one estimate, and the unit."""
    name = f"{words(one.panel.names[0])}, " if len(one.panel.names) == 1 else ""
    return _text(f"{name}{one.scale}", 4, max(10.0, at), "start", "strong")


def _text(text: str, x: float, y: float, anchor: str, kind: str | None = None) -> Markup:
    shown = visible(text, lines=False)
    return element("text", shown, x=float(x), y=float(y), text_anchor=anchor, class_=kind)


def _tick(value: float, one: View) -> str:
    text = _plain(value if one.unit else 100 * value)
    return f"+{text}" if one.signed and value > 0 else text


def _plain(value: float) -> str:
    return f"{round(value, 9) + 0.0:.5g}".replace("-", MINUS)


def _room(places: Iterable[float]) -> tuple[float, float]:
    known = list(places)
    low, high = min(known), max(known)
    return (low, high) if low < high else (low - 1, high + 1)


def _series(i: int) -> str:
    return f"series {_colour(i)}{' second' if i // COLOURS % 2 else ''}"


def _colour(i: int) -> str:
    return f"s{i % COLOURS}"


def _short(text: str, most: int = LABEL) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}\u2026"


def _width(text: str) -> float:
    """Return about how wide a text of 11 pixels is."""
    wide = sum(unicodedata.east_asian_width(c) in "WF" for c in text)
    return 6.1 * len(text) + 5 * wide
