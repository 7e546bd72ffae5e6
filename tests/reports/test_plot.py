"""Panels of findings as SVG, in a page and as files of their own."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vlm_eval.internals.findings import Findings, Panel
from vlm_eval.internals.panels import views
from vlm_eval.reports import plot
from vlm_eval.reports.figure import figure, write_figure
from vlm_eval.stats.results import Estimate

HOSTILE = '"><script>alert(1)</script>\x01\ud800\uffff&\u202e]]>'
NAMESPACE = "{http://www.w3.org/2000/svg}"


def estimate(name: str, value: float | None, half: float | None = 0.1, **where: Any) -> Estimate:
    unit, chance = where.pop("unit", ""), where.pop("chance", None)
    low, high = (None, None) if half is None or value is None else (value - half, value + half)
    return Estimate(name, where, value, None, low, high, 9, 3, "student_t", unit=unit,
                    signed=where.pop("signed", False), chance=chance)  # fmt: skip


def made(*estimates: Estimate, **panel: Any) -> Findings:
    names = tuple(dict.fromkeys(e.name for e in estimates))
    given = {"title": "T", "axis": "layer", "names": names, **panel}
    return Findings(analysis="probe", task="toy", model="m", options={}, estimates=estimates,
                    panels=(Panel(**given),))  # fmt: skip


def drawn(found: Findings) -> ET.Element:
    (one,) = views(found)
    return ET.fromstring(plot.svg(one))


def of_class(root: ET.Element, name: str) -> list[ET.Element]:
    return [e for e in root.iter() if name in (e.get("class") or "").split()]


def texts(root: ET.Element) -> list[str]:
    return [e.text or "" for e in root.iter() if e.tag.endswith("text")]


def points(element: ET.Element) -> list[tuple[float, float]]:
    pairs = (pair.split(",") for pair in (element.get("points") or "").split())
    return [(float(x), float(y)) for x, y in pairs]


def test_numbers_stand_at_their_place_and_values_rise_upwards() -> None:
    root = drawn(made(*(estimate("a", v, layer=x) for x, v in ((0, 0.1), (1, 0.5), (4, 0.9)))))
    (curve,) = of_class(root, "line")
    (x0, y0), (x1, y1), (x2, y2) = points(curve)
    assert (x2 - x1) / (x1 - x0) == pytest.approx(3, rel=0.01)
    assert (y0 - y1) / (y1 - y2) == pytest.approx(1, rel=0.01)
    (ribbon,) = of_class(root, "ribbon")
    outline = points(ribbon)
    assert len(outline) == 6
    assert outline[0][1] < y0 < outline[-1][1]
    assert {"0", "1", "4", "layer", "a, %"} <= set(texts(root))


def test_a_curve_is_broken_where_a_value_is_unknown_and_never_falls_to_zero() -> None:
    values = [0.5, 0.6, None, 0.7, 0.8]
    root = drawn(made(*(estimate("a", v, layer=x) for x, v in enumerate(values))))
    assert [len(points(line)) for line in of_class(root, "line")] == [2, 2]
    assert len(of_class(root, "dot")) == 4
    foot = max(float(e.get("y1") or 0) for e in of_class(root, "grid"))
    assert all(float(e.get("cy") or 0) < foot for e in of_class(root, "dot"))


def test_layers_with_a_norm_are_an_order() -> None:
    root = drawn(made(*(estimate("a", 0.5, layer=x) for x in ("0", "1", "norm")), marks={"m": 0.5}))
    ((x0, _), (x1, _), (x2, _)) = points(of_class(root, "line")[0])
    assert x2 - x1 == pytest.approx(x1 - x0)
    (mark,) = of_class(root, "mark")
    assert float(mark.get("x1") or 0) == pytest.approx((x0 + x1) / 2)
    assert {"norm", "m"} <= set(texts(root))


def test_categories_are_rows_with_bars_and_a_legend() -> None:
    root = drawn(
        made(*(estimate(n, 0.5, mode=m) for n in ("flip", "success") for m in ("low", "high")),
             axis="mode")
    )  # fmt: skip
    assert not of_class(root, "line")
    assert len(of_class(root, "whisker")) == 4
    assert {"low", "high", "flip", "success"} <= set(texts(root))
    heights = sorted(float(e.get("y1") or 0) for e in of_class(root, "whisker"))
    assert len(set(heights)) == 4


def test_chance_zero_and_units_are_named() -> None:
    root = drawn(made(estimate("a", 0.6, layer=0, chance=0.5), estimate("a", 0.7, layer=1)))
    assert of_class(root, "chance")
    assert "chance" in texts(root)
    gap = [estimate("logp_gap", v, layer=i, unit="nats", signed=True)
           for i, v in enumerate((-1.0, 2.0))]  # fmt: skip
    root = drawn(made(*gap))
    assert of_class(root, "zero")
    assert {"logp gap, nats", "+1", "\u22121"} <= set(texts(root))


@given(st.lists(st.floats(0, 200), max_size=20))
def test_names_are_moved_apart_and_stay_inside(wanted: list[float]) -> None:
    wanted.sort()
    room = max(200.0, 14.0 * len(wanted))
    found = plot.apart(wanted, 0, room)
    assert all(b - a >= plot.NAME - 1e-6 for a, b in pairwise(found))
    assert all(-1e-6 <= at <= room for at in found)


@given(
    st.lists(st.tuples(st.floats(0, 28), st.text("abcdefgh ", min_size=1, max_size=12)), max_size=6)
)
def test_labels_of_marks_do_not_overlap(marks: list[tuple[float, str]]) -> None:
    named = {name: at for at, name in marks}
    root = drawn(made(*(estimate("a", 0.5, layer=x) for x in range(29)), marks=named))
    boxes: dict[str, list[tuple[float, float]]] = {}
    for label in of_class(root, "over"):
        x, width = float(label.get("x") or 0), 6.1 * len(label.text or "")
        left = x - width if label.get("text-anchor") == "end" else x
        boxes.setdefault(label.get("y") or "", []).append((left, left + width))
    for row in boxes.values():
        assert all(a[1] <= b[0] for a, b in pairwise(sorted(row)))


@pytest.mark.parametrize("value", [0.0, 1.0, 1e-9, 1e12, -5.0])
@pytest.mark.parametrize("unit", ["", "nats"])
def test_any_single_value_can_be_drawn(value: float, unit: str) -> None:
    root = drawn(made(estimate("a", value, None, layer=3, unit=unit)))
    (dot,) = of_class(root, "dot")
    assert float(dot.get("cy") or "nan") == float(dot.get("cy") or "nan")
    assert drawn(made(estimate("a", None, None, layer=3, unit=unit))) is not None


def test_a_figure_is_a_document_with_its_style_for_both_modes() -> None:
    text = figure(made(estimate("a", 0.5, layer=0), estimate("a", 0.6, layer=1)))
    assert text is not None
    root = ET.fromstring(text)
    assert root.tag == f"{NAMESPACE}svg"
    style = root.find(f"{NAMESPACE}style")
    assert style is not None
    assert style.text is not None
    assert "prefers-color-scheme: dark" in style.text
    used = {name for e in root.iter() for name in (e.get("class") or "").split()}
    for name in used - {"series", "note"}:
        assert f".{name}" in style.text, name
    variables = set(re.findall(r"var\((--[a-z0-9]+)\)", style.text)) - {"--c"}
    assert all(f"{name}:" in style.text for name in variables)
    assert {"T", "probe: m on toy"} <= {e.text for e in root.iter(f"{NAMESPACE}text")}


def test_hostile_words_are_text_and_nothing_else() -> None:
    found = Findings(
        analysis=HOSTILE, task=HOSTILE, model=HOSTILE, options={}, synthetic=True, notice=HOSTILE,
        estimates=(
            estimate(HOSTILE, 0.5, at=1, **{HOSTILE: HOSTILE}),
            estimate(HOSTILE, 0.5, at=2, **{HOSTILE: "b"}),
            estimate("c", 0.5, mode=HOSTILE, unit=HOSTILE),
        ),
        panels=(
            Panel(title=HOSTILE, axis="at", names=(HOSTILE,), marks={HOSTILE: 1.5}),
            Panel(title=HOSTILE, axis="mode", names=("c",)),
        ),
    )  # fmt: skip
    text = figure(found)
    assert text is not None
    root = ET.fromstring(text.encode())
    assert {e.tag.removeprefix(NAMESPACE) for e in root.iter()} <= {
        "svg", "g", "title", "style", "rect", "text", "line", "circle", "polyline", "polygon",
    }  # fmt: skip
    assert not re.search("[\x00-\x08\ud800\u202e\uffff]", text)
    assert all(not name.startswith("on") for e in root.iter() for name in e.attrib)


def test_a_figure_is_written_replaced_and_removed(tmp_path) -> None:
    one = made(estimate("a", 0.5, layer=0), estimate("a", 0.6, layer=1))
    path = write_figure(one, tmp_path)
    assert path is not None
    first = path.read_bytes()
    assert write_figure(one, tmp_path) == path
    assert path.read_bytes() == first
    assert write_figure(made(estimate("a", 0.5, other=0)), tmp_path) is None
    assert not path.exists()
