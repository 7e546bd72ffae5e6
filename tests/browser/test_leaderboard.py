"""The leaderboard in a real browser: sorting, filtering, links, no requests, no faults."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import vlm_eval
from vlm_eval.leaderboard.site import leaderboard


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("runs")
    for seed in (1, 2, 3):
        vlm_eval.evaluate(
            f"mock:seed={seed}", "vlm-fix-inverse,mis", limit=8 if seed < 3 else 4,
            output_path=root / f"run-{seed}", progress=False,
        )  # fmt: skip
    manifest = root / "run-1" / "run.json"
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), "limit": None}))
    vlm_eval.score(root / "run-1")
    return leaderboard(root, tmp_path_factory.mktemp("site") / "site")


@pytest.fixture
def open_page(browser, site):
    """Return a function that opens a page; at the end nothing may have been complained about."""
    complaints, contexts = [], []

    def open_page(path: str, **options):
        context = browser.new_context(**options)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on(
            "request",
            lambda request: (
                complaints.append(request.url) if not request.url.startswith("file:") else None
            ),
        )
        page.goto(f"{site.as_uri()}/{path}")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not complaints


def column(page, table: str, number: int) -> list[str]:
    rows = page.locator(f"#{table} tbody[data-kind=measured] tr")
    return [row.locator("th, td").nth(number).get_attribute("data-v") for row in rows.all()]


def test_sorting_by_keyboard_is_numeric_and_announced(open_page) -> None:
    page = open_page("task/vlm-fix-inverse.html")
    table = "table-board2"
    head = page.locator(f"#{table} thead th").nth(2)
    head.get_by_role("button").focus()
    page.keyboard.press("Enter")
    assert head.get_attribute("aria-sort") == "descending"
    values = [float(v) for v in column(page, table, 2)]
    assert values == sorted(values, reverse=True)
    page.keyboard.press("Space")
    assert head.get_attribute("aria-sort") == "ascending"
    assert [float(v) for v in column(page, table, 2)] == sorted(values)
    assert f"{table}=2" in page.evaluate("decodeURIComponent(location.hash)")


def test_a_view_can_be_linked(open_page) -> None:
    page = open_page("index.html#models=seed%3D2&tasks=vlm")
    shown = page.locator("table.matrix tbody tr:visible th").all_inner_texts()
    assert shown
    assert all("seed=2" in text for text in shown)
    heads = page.locator("#table-provisional thead th:visible").all_inner_texts()
    assert not any("mis" in text for text in heads)
    assert page.locator("#filter-models").input_value() == "seed=2"
    page.get_by_role("button", name="Clear").click()
    page.wait_for_timeout(50)
    assert page.locator("table.matrix tbody tr:visible").count() > len(shown)
    assert "models" not in page.url


def test_rows_are_filtered_by_kind(open_page) -> None:
    page = open_page("index.html")
    page.locator("#filter-kind").select_option("reported")
    rows = page.locator("table.matrix tbody tr:visible")
    assert rows.count()
    assert all("reported" in text for text in rows.all_inner_texts())
    assert "rows and" in page.get_by_role("status").inner_text()


def test_a_number_leads_to_its_provenance(open_page) -> None:
    page = open_page("index.html")
    page.locator("a.value").first.click()
    section = page.locator("section.provenance:target")
    assert section.locator("details").get_attribute("open") is not None
    assert section.get_by_text("data digest").is_visible()


def test_without_scripts_everything_is_there(open_page) -> None:
    page = open_page("index.html", java_script_enabled=False)
    assert page.locator("table.matrix tbody tr").count() >= 3
    assert not page.locator("#filters").is_visible()
    assert page.locator("button.sort").count() == 0


@pytest.mark.parametrize("width", [390, 1400])
@pytest.mark.parametrize("path", ["index.html", "task/vlm-fix-inverse.html", "model/*.html"])
def test_no_page_is_wider_than_the_window(open_page, site, path, width) -> None:
    path = next(site.glob(path)).relative_to(site).as_posix()
    page = open_page(path, viewport={"width": width, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("path", ["index.html", "task/vlm-fix-inverse.html", "model/*.html"])
def test_axe_finds_nothing(open_page, site, path, scheme) -> None:
    from axe_playwright_python import sync_playwright as axe

    path = next(site.glob(path)).relative_to(site).as_posix()
    page = open_page(path, color_scheme=scheme, bypass_csp=True)
    page.evaluate("for (const d of document.querySelectorAll('details')) d.open = true")
    # Without preload: it would fetch the style sheets, which a page opened from disk cannot.
    found = axe.Axe().run(page, options={"preload": False}).response["violations"]
    assert not [(v["id"], v["nodes"][0]["html"][:200]) for v in found]
