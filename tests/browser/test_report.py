"""The report in a real browser, opened from disk."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

PAGES = ["index.html", "tasks/toy.html", "samples/toy/index.html", "samples/toy/2.html"]
BROWSER = "samples/toy/index.html"
WRONG, RIGHT = "wu", "r"


@pytest.fixture(scope="session")
def index(folder: Path) -> dict:
    text = (folder / "data" / "toy" / "index.js").read_text(encoding="ascii")
    return json.loads(text.removeprefix("vlmEval.index(").removesuffix(");\n"))


def ready(page):
    page.locator("#filters:not([hidden])").wait_for()
    page.locator("#status", has_text="samples").wait_for()
    return page


def told(page, status: str) -> None:
    """Wait until the page says that it shows so many samples and trials."""
    page.locator("#status", has_text=status).wait_for()


def flipped(index: dict, factor: str, level=None) -> dict[str, list[int]]:
    """Return the conditions under which each sample flips to wrong, computed here once more."""
    places = {json.dumps(c): i for i, c in enumerate(index["conditions"])}
    found = {}
    for name, codes, *_ in index["samples"]:
        hits = [
            i
            for i, c in enumerate(index["conditions"])
            if c[factor] in ([level] if level is not None else index["factors"][factor][1:])
            and codes[i] in WRONG
            and codes[places[json.dumps({**c, factor: index["factors"][factor][0]})]] in RIGHT
        ]
        if hits:
            found[name] = hits
    return found


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_are_accessible(visit, axe, path, scheme) -> None:
    page = visit(path, color_scheme=scheme, bypass_csp=True)
    if path == BROWSER:
        ready(page)
    page.evaluate("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
    page.evaluate(axe)
    tags = ["wcag2a", "wcag2aa", "wcag21aa", "best-practice"]
    rules = {"type": "tag", "values": tags}
    if scheme == "dark":  # the same page in other colours
        rules = {"type": "rule", "values": ["color-contrast"]}
    result = page.evaluate("(rules) => axe.run({ preload: false, runOnly: rules })", rules)
    assert result["passes"]
    assert [(v["id"], v["nodes"][0]["html"][:200]) for v in result["violations"]] == []


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize("width", [390, 1280])
def test_nothing_sticks_out_of_the_page(visit, path, width) -> None:
    page = visit(path, viewport={"width": width, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_without_scripts_all_samples_are_there(visit, index) -> None:
    names = []
    page = visit(BROWSER, java_script_enabled=False)
    assert not page.locator("#filters").is_visible()
    while True:
        names += [card.get_attribute("data-sample") for card in page.locator(".card").all()]
        after = page.locator("#pager strong + a")
        if not after.count():
            break
        after.click()
        page.wait_for_load_state()
    assert names == [name for name, *_ in index["samples"]]


def test_a_filter_shows_what_it_says_and_goes_into_the_address(visit, index) -> None:
    page = ready(visit(BROWSER))
    page.select_option("[name=show]", "to_wrong")
    page.select_option("[name=factor]", "blur")
    page.select_option("[name=level]", "31")
    expected = flipped(index, "blur", 31)
    trials = sum(map(len, expected.values()))
    told(page, f"{len(expected)} of {len(index['samples'])} samples, {trials} trials")
    shown = [card.get_attribute("data-sample") for card in page.locator(".card").all()]
    assert shown == list(expected)[: len(shown)]
    assert shown
    tiles = page.locator(".card").first.locator(".tile:not(.off)")
    conditions = [int(tile.get_attribute("data-condition")) for tile in tiles.all()]
    assert sorted(conditions) == expected[shown[0]]
    assert page.url.endswith("#show=to_wrong&factor=blur&level=31")
    page.click("button[type=reset]")
    told(page, f"{len(index['samples'])} of {len(index['samples'])} samples")
    assert "#" not in page.url


def test_an_address_shows_the_same_again(visit, index) -> None:
    page = ready(visit(f"{BROWSER}#show=to_wrong&factor=wording&field=present&value=Yes"))
    place = list(index["fields"]).index("present")
    yes = index["fields"]["present"].index("Yes")
    fields = {name: values[place] for name, _, _, *values in index["samples"]}
    expected = {n: h for n, h in flipped(index, "wording").items() if fields[n] == yes}
    told(page, f"{len(expected)} of ")
    assert page.locator("[name=factor]").input_value() == "wording"
    assert page.locator("[name=value]").input_value() == "Yes"
    page.evaluate("location.hash = '#show=failed'")
    failed = [codes.count("f") for _, codes, *_ in index["samples"] if "f" in codes]
    told(page, f"{len(failed)} of {len(index['samples'])} samples, {sum(failed)} trials")
    assert page.locator("[name=factor]").input_value() == ""


@pytest.mark.parametrize(("show", "code"), [("unparsed", "u"), ("wrong", "w"), ("right", "r")])
def test_outcomes_can_be_filtered(visit, index, show, code) -> None:
    counts = [codes.count(code) for _, codes, *_ in index["samples"] if code in codes]
    page = ready(visit(f"{BROWSER}#show={show}"))
    told(page, f"{len(counts)} of {len(index['samples'])} samples, {sum(counts)} trials")


@pytest.mark.parametrize("show", ["to_wrong", "to_right"])
def test_a_count_of_flips_leads_to_that_many(visit, show) -> None:
    page = visit("tasks/toy.html")
    page.evaluate("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
    links = page.locator(f".numbers a[href*='show={show}&']")
    places = [(a.get_attribute("href"), a.inner_text()) for a in links.all()]
    assert len(places) > 4  # of every level, over all samples and in slices
    assert any("field=" in href for href, _ in places)
    for href, count in places[:: max(1, len(places) // 6)]:
        found = ready(visit(f"tasks/{href}"))
        told(found, f", {count} trials")


def test_a_sample_has_an_address(visit, index) -> None:
    name = index["samples"][-1][0]
    page = ready(visit(f"{BROWSER}#sample={name}"))
    told(page, f"1 of {len(index['samples'])} samples")
    (card,) = page.locator(".card").all()
    assert card.get_attribute("data-sample") == name
    assert card.locator("h2 a").get_attribute("href").endswith(f"#sample={name}")


def test_text_is_searched_in_all_pages_even_hostile_text(visit, index) -> None:
    page = ready(visit(BROWSER))
    object_ = index["samples"][-1][0].split("-")[-1].replace("_", " ")
    page.fill("[name=q]", f"is there a {object_.upper()}?")
    expected = sum(
        object_.replace(" ", "_") == name.split("-")[-1] for name, *_ in index["samples"]
    )
    told(page, f"{expected} of ")
    page.fill("[name=q]", "<script>alert(1)</script>")
    told(page, f"{len(index['samples'])} of ")
    page.fill("[name=q]", "no such words")
    told(page, "0 of ")
    assert page.locator(".card").count() == 0


def test_more_cards_come_when_asked(visit, index) -> None:
    page = ready(visit(BROWSER))
    before = page.locator(".card").count()
    while page.locator("#more").is_visible():
        page.click("#more")
        page.wait_for_timeout(100)
    names = [card.get_attribute("data-sample") for card in page.locator(".card").all()]
    assert len(names) > before
    assert names == [name for name, *_ in index["samples"]]


def test_the_difference_view_darkens_what_is_equal(visit) -> None:
    page = ready(visit(BROWSER))
    card = page.locator(".card", has=page.locator(".base")).first
    picture = card.locator(".pic:has(.base)").first
    picture.scroll_into_view_if_needed()
    page.wait_for_timeout(200)
    plain = picture.screenshot()
    card.locator(".differ").check()
    assert card.locator(".base").first.is_visible()
    assert _brightness(picture.screenshot()) < 0.5 * _brightness(plain)


def test_pictures_are_those_that_the_model_reads(visit) -> None:
    page = ready(visit(BROWSER))
    for number, width, height in ((0, 168, 112), (4, 120, 84)):
        tile = page.locator(f'.card:has(.pic) .tile[data-condition="{number}"]').first
        assert f"at the model’s input resolution, {width} × {height}" in tile.inner_text()
        picture = tile.locator("img").first
        picture.scroll_into_view_if_needed()
        page.wait_for_function("image => image.naturalWidth > 0", arg=picture.element_handle())
        size = picture.evaluate("image => [image.naturalWidth, image.naturalHeight]")
        assert size == [width, height]
    # Another size than the baseline's is not subtracted.
    assert tile.locator(".base").count() == 0


def _brightness(png: bytes) -> float:
    import io

    from PIL import Image, ImageStat

    return ImageStat.Stat(Image.open(io.BytesIO(png)).convert("L")).mean[0]


def test_hostile_words_are_text(visit) -> None:
    page = visit("tasks/toy.html")
    assert "</script><script>alert(1)</script><img src=x" in page.inner_text("h1")
    assert page.locator("h1 img").count() == 0
    assert "⟨U+202E⟩␛[2J" in page.inner_text("h1")


def test_everything_is_reached_with_the_keyboard(visit) -> None:
    page = ready(visit(BROWSER))
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to content"
    page.keyboard.press("Enter")
    names = []
    for _ in range(8):
        page.keyboard.press("Tab")
        names.append(page.evaluate("document.activeElement.name ?? ''"))
    assert [name for name in names if name] == ["show", "factor", "field", "q", "others"]


def test_the_command_can_be_copied(visit) -> None:
    page = visit("index.html")
    page.click("button[data-copy]")
    page.locator("button[data-copy]", has_text=re.compile("^(Copied|Press Ctrl-C)$")).wait_for()
    if page.locator("button[data-copy]").inner_text() == "Press Ctrl-C":
        selected = page.evaluate("getSelection().toString()")
        assert selected.strip() == page.locator("#command").inner_text().strip()


def test_print_shows_no_controls(visit) -> None:
    page = visit(BROWSER)
    page.emulate_media(media="print")
    assert not page.locator("#filters").is_visible()
    assert not page.locator(".top").is_visible()
    assert page.locator(".card").first.is_visible()
