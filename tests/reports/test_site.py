from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from vlm_eval.core.errors import RunError
from vlm_eval.reports.site import GENERATOR, POLICY, Site, replaced, script_json

TRICKS = ["</script>", "</SCRIPT >", "<!--", "<script", "\u2028", "\u2029", "\ud800", '"', "\\"]


@given(st.lists(st.text() | st.sampled_from(TRICKS)))
def test_json_in_a_script_means_the_same_and_ends_nothing(value: list[str]) -> None:
    made = script_json(value)
    assert json.loads(made) == value
    assert made.isascii()
    lowered = made.lower()
    assert not any(trick in lowered for trick in ("</", "<!--", "<script"))


def test_nan_is_no_json() -> None:
    with pytest.raises(ValueError, match="JSON"):
        script_json(float("nan"))


def test_the_policy_allows_nothing_inline_and_nothing_remote() -> None:
    assert POLICY.startswith("default-src 'none'")
    assert not any(word in POLICY for word in ("unsafe", "http", "*", "data:"))


def test_a_page_escapes_what_it_prints_and_knows_its_root(tmp_path) -> None:
    site = Site(tmp_path)
    site.page(
        "a/b/c.html", "samples.html.j2", model="<m>\u202e", task="t", task_page="t.html", total=1,
        trials=1, seeds="", notes=["<script>"], first=True, number=1, pages=1, cards=[], data="d",
    )  # fmt: skip
    page = (tmp_path / "a" / "b" / "c.html").read_text(encoding="utf-8")
    assert "&lt;m&gt;⟨U+202E⟩" in page
    assert "&lt;script&gt;" in page
    assert 'href="../../assets/page.css"' in page
    assert GENERATOR in page
    assert (tmp_path / "assets" / "page.css").is_file()


def test_images_are_stored_once_and_drawn_ones_exactly(tmp_path) -> None:
    site = Site(tmp_path)
    image = Image.new("RGB", (20, 10), "red")
    image.putpixel((3, 4), (1, 2, 3))
    path = site.image(image)
    assert site.image(image.copy()) == path
    assert len(list((tmp_path / "images").iterdir())) == 1
    with Image.open(tmp_path / path) as stored:
        assert stored.format == "WEBP"
        assert stored.convert("RGB").tobytes() == image.tobytes()


def test_a_photograph_is_stored_closely(tmp_path) -> None:
    image = Image.radial_gradient("L").convert("RGB")
    noisy = Image.merge(
        "RGB", [image.getchannel(0), Image.linear_gradient("L"), image.rotate(90).getchannel(1)]
    )
    with Image.open(tmp_path / Site(tmp_path).image(noisy)) as stored:
        pairs = zip(stored.convert("RGB").tobytes(), noisy.tobytes(), strict=True)
        assert sum(abs(a - b) for a, b in pairs) / len(noisy.tobytes()) < 4


def test_an_earlier_site_is_replaced_as_a_whole(tmp_path) -> None:
    target = tmp_path / "report"
    for content in ("one", "two"):
        with replaced(target) as beside:
            (beside / "index.html").write_text(GENERATOR + content)
            (beside / content).touch()
    assert sorted(path.name for path in target.iterdir()) == ["index.html", "two"]
    assert [path.name for path in tmp_path.iterdir()] == ["report"]


def test_a_failure_leaves_what_was_there(tmp_path) -> None:
    target = tmp_path / "report"
    with replaced(target) as beside:
        (beside / "index.html").write_text(GENERATOR)
    with pytest.raises(KeyError), replaced(target) as beside:
        raise KeyError
    assert [path.name for path in tmp_path.iterdir()] == ["report"]
    assert (target / "index.html").exists()


@pytest.mark.parametrize("name", ["index.html", "thesis.tex"])
def test_a_folder_of_something_else_is_refused(tmp_path, name: str) -> None:
    (tmp_path / name).write_text("mine")
    with (
        pytest.raises(RunError, match=r"is not empty and holds no report; choose another --out"),
        replaced(tmp_path),
    ):
        pass
    assert (tmp_path / name).read_text() == "mine"


def test_a_file_is_refused(tmp_path) -> None:
    (tmp_path / "report").write_text("mine")
    with pytest.raises(RunError, match="is a file"), replaced(tmp_path / "report"):
        pass
