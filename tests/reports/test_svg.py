from __future__ import annotations

import xml.etree.ElementTree as ET
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vlm_eval.reports import svg

HOSTILE = '"><script>alert(1)</script>\x01&'
SHARES = st.floats(0, 1)


def parsed(text: str) -> ET.Element:
    return ET.fromstring(text)


def of_class(root: ET.Element, name: str) -> list[ET.Element]:
    return [e for e in root.iter() if name in (e.get("class") or "").split()]


def test_elements_escape_attributes_and_children() -> None:
    made = parsed(svg.element("text", "<b>", class_='a"b', text_anchor="end", x=1.50, y=None))
    assert made.text == "<b>"
    assert made.attrib == {"class": 'a"b', "text-anchor": "end", "x": "1.5"}


def test_a_scale_maps_ends_and_middle_and_stays_within() -> None:
    scale = svg.Scale(-1, 1, 0, 100)
    assert [scale(v) for v in (-1, 0, 1, 7, -7)] == [0, 50, 100, 100, 0]


@given(st.floats(-1, 1), st.floats(0.01, 2))
def test_ticks_are_round_few_and_inside(low: float, width: float) -> None:
    found = svg.ticks(low, low + width)
    assert 1 <= len(found) <= 5
    assert found == sorted(set(found))
    assert all(low - 1e-6 <= tick <= low + width + 1e-6 for tick in found)


@given(st.lists(SHARES | st.none(), max_size=6))
def test_a_domain_holds_its_values(values: list[float | None]) -> None:
    low, high = svg.domain(values, include=(0.0,), least=0.1)
    assert high - low >= 0.0999
    assert all(low <= v <= high for v in [0.0, *values] if v is not None)


def test_an_interval_plot_puts_dot_and_ends_on_the_axis() -> None:
    root = parsed(svg.interval_plot(0.5, 0.25, 1.0, (0, 1), reference=0.5, width=112, kind="down"))
    (dot,) = of_class(root, "dot")
    (whisker,) = of_class(root, "whisker")
    assert (dot.get("cx"), whisker.get("x1"), whisker.get("x2")) == ("56", "31", "106")
    assert of_class(root, "reference")[0].get("x1") == "56"
    assert root.get("aria-hidden") == "true"


def test_an_unknown_number_has_no_mark() -> None:
    root = parsed(svg.interval_plot(None, None, None, (0, 1)))
    assert not of_class(root, "dot")
    assert not of_class(root, "whisker")


def curve(*points: svg.Point, name: str = "") -> ET.Element:
    series = svg.Series(name, points)
    return parsed(
        svg.curve([series], title=HOSTILE.replace("\x01", ""), x_title="blur", chance=0.5)
    )


def test_a_curve_joins_its_points_in_order_with_a_ribbon() -> None:
    root = curve(
        svg.Point("1", 0.9, 0.8, 1.0), svg.Point("5", 0.6, 0.5, 0.7), svg.Point("11", 0.3, 0.2, 0.4)
    )
    (line,) = of_class(root, "line")
    places = [tuple(map(float, pair.split(","))) for pair in line.get("points", "").split()]
    assert [x for x, _ in places] == sorted(x for x, _ in places)
    assert [y for _, y in places] == sorted(y for _, y in places)  # falls: down the page
    (ribbon,) = of_class(root, "ribbon")
    assert len(ribbon.get("points", "").split()) == 6
    texts = [e.text for e in root.iter("text")]
    assert [t for t in texts if t in {"1", "5", "11"}] == ["1", "5", "11"]
    assert root.get("role") == "img"
    assert "<script>" in root.get("aria-label", "")  # as text, it was escaped


def test_a_point_without_interval_leaves_the_ribbon_out() -> None:
    root = curve(svg.Point("1", 0.9, 0.8, 1.0), svg.Point("5", None, None, None))
    assert not of_class(root, "ribbon")
    assert len(of_class(root, "dot")) == 1


def test_names_of_curves_do_not_overlap_and_stay_inside() -> None:
    series = [
        svg.Series(f"s{i}", (svg.Point("a", 0, 0, 0), svg.Point("b", 0, 0, 0))) for i in range(5)
    ]
    root = parsed(svg.curve(series, title="t", x_title="x"))
    heights = [float(e.get("y", "")) for e in of_class(root, "name")]
    assert all(b - a >= 13 for a, b in pairwise(heights))
    assert max(heights) < svg.CURVE_HEIGHT


@pytest.mark.parametrize(
    ("share", "width"), [(0.5, "50%"), (-1, "0%"), (2, "100%"), (0.126, "13%")]
)
def test_a_bar_is_as_long_as_its_share(share: float, width: str) -> None:
    (bar,) = of_class(parsed(svg.share_bar(share, "chosen")), "chosen")
    assert bar.get("width") == width


def test_heat_has_ten_steps() -> None:
    assert [svg.heat(s) for s in (0.0, 0.55, 1.0)] == ["h0", "h5", "h9"]


def test_no_chart_has_an_inline_style() -> None:
    made = [
        svg.axis((-0.5, 0.5), signed=True),
        svg.interval_plot(0.1, 0.0, 0.2, (0, 1)),
        svg.share_bar(0.3),
        svg.curve([svg.Series("", (svg.Point("a", 0.1, 0.0, 0.2),))], title="t", x_title="x"),
    ]
    assert not any("style" in chart for chart in made)


def test_labels_of_a_narrow_axis_do_not_touch() -> None:
    drawn = parsed(str(svg.axis((-0.34, 0.09), signed=True, width=120)))
    places = [float(one.get("x", "")) for one in drawn if one.tag.endswith("text")]
    assert len(places) >= 2
    assert min(right - left for left, right in pairwise(places)) >= svg.LABEL
