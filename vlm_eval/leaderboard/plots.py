"""Accuracy against robustness, as inline SVG."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from markupsafe import Markup

from vlm_eval.leaderboard.boards import Board, Entry
from vlm_eval.reports.svg import Scale, domain, element, number, ticks
from vlm_eval.reports.text import MINUS, visible
from vlm_eval.stats.mean import Mean

WIDTH, HEIGHT = 640, 400
LEFT, RIGHT, TOP, BOTTOM = 52, 16, 32, 52
NAMED = 12  # points with a name beside them, at most; of more points only those that lead
NAME = 22  # characters of it


def scatter(board: Board) -> Markup | None:
    """Return each entry as a point with both intervals; None if fewer than two have a change.

    The names that would overlap are left out; every point has its name and numbers as a title, and
    the table beside it has them too.
    """
    points = [
        (entry, entry.score, entry.change)
        for entry in board.entries
        if entry.score.value is not None and entry.change and entry.change.value is not None
    ]
    if len(points) < 2:
        return None
    across = domain([e for _, s, _ in points for e in _ends(s)], least=0.1)
    upward = domain([e for _, _, c in points for e in _ends(c)], include=(0.0,), least=0.1)
    x = Scale(max(0.0, across[0]), min(1.0, across[1]), LEFT, WIDTH - RIGHT)
    y = Scale(max(-1.0, upward[0]), min(1.0, upward[1]), HEIGHT - BOTTOM, TOP)
    title = f"Accuracy against change of {len(points)} entries"
    parts = [element("title", title), *_axes(x, y, board)]
    parts += [_point(entry, score, change, x, y) for entry, score, change in points]
    parts += _names(points, x, y)
    return element(
        "svg", *parts, viewBox=f"0 0 {WIDTH} {HEIGHT}", width=WIDTH, height=HEIGHT,
        class_="scatter", role="img", aria_label=title,
    )  # fmt: skip


def _ends(mean: Mean) -> tuple[float | None, float | None, float | None]:
    return mean.value, mean.low, mean.high


def _axes(x: Scale, y: Scale, board: Board) -> Iterator[Markup]:
    bottom, right = HEIGHT - BOTTOM, WIDTH - RIGHT
    for tick in ticks(x.low, x.high):
        yield _line(x(tick), TOP, x(tick), bottom, "grid")
        yield element("text", _percent(tick), x=x(tick), y=bottom + 16, text_anchor="middle")
    for tick in ticks(y.low, y.high):
        yield _line(LEFT, y(tick), right, y(tick), "grid")
        yield element("text", _percent(tick), x=LEFT - 6, y=y(tick) + 4, text_anchor="end")
    if y.low <= 0 <= y.high:
        yield _line(LEFT, y(0), right, y(0), "reference")
    yield element("text", "accuracy, %", x=right, y=bottom + 36, text_anchor="end", class_="note")
    label = visible(f"change, points: {board.headline.change_name}", lines=False)
    yield element("text", label, x=LEFT, y=TOP - 16, class_="note")


def _point(entry: Entry, score: Mean, change: Mean, x: Scale, y: Scale) -> Markup:
    at, height = x(score.value or 0.0), y(change.value or 0.0)
    parts = [element("title", visible(f"{entry.label}: {_said(score)} %, {_said(change)}"))]
    if score.low is not None and score.high is not None:
        parts.append(_line(x(score.low), height, x(score.high), height, "spread"))
    if change.low is not None and change.high is not None:
        parts.append(_line(at, y(change.low), at, y(change.high), "spread"))
    kind = "dot leads" if entry.rank.leads else "dot"
    parts.append(element("circle", cx=at, cy=height, r=4, class_=kind))
    return element("g", *parts)


def _names(points: Sequence[tuple[Entry, Mean, Mean]], x: Scale, y: Scale) -> Iterator[Markup]:
    taken: list[tuple[float, float, float]] = []
    crowded = len(points) > NAMED
    for entry, score, change in points:
        if crowded and not entry.rank.leads:
            continue
        text = visible(entry.label, lines=False)
        text = text if len(text) <= NAME else f"{text[: NAME - 1]}…"
        width, at, height = 6.2 * len(text), x(score.value or 0.0), y(change.value or 0.0)
        to_left = at + 8 + width > WIDTH - RIGHT
        left = at - 8 - width if to_left else at + 8
        free = all(
            abs(height - h) > 13 or left > e + 8 or left + width + 8 < s for s, e, h in taken
        )
        if free and len(taken) < NAMED:
            taken.append((left, left + width, height))
            yield element(
                "text", text, x=at - 8 if to_left else at + 8, y=height - 5, class_="label",
                text_anchor="end" if to_left else "start",
            )  # fmt: skip


def _said(mean: Mean) -> str:
    if mean.low is None or mean.high is None:
        return _percent(mean.value or 0.0)
    ends = f"[{_percent(mean.low)}, {_percent(mean.high)}]"
    return f"{_percent(mean.value or 0.0)} {ends}"


def _percent(value: float) -> str:
    return number(round(100 * value, 1)).replace("-", MINUS)


def _line(x1: float, y1: float, x2: float, y2: float, kind: str) -> Markup:
    return element("line", x1=float(x1), y1=float(y1), x2=float(x2), y2=float(y2), class_=kind)
