"""Whole reports: of the mock and of the embedded model, of hostile words, and of damaged runs."""

from __future__ import annotations

import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace

import pytest
from PIL import Image

import vlm_eval
from vlm_eval.cli.main import main
from vlm_eval.core.errors import RunError, UsageError
from vlm_eval.reports.api import report
from vlm_eval.reports.browser import paged
from vlm_eval.reports.outcomes import Sample
from vlm_eval.reports.pictures import _stored

VOID = {"meta", "link", "img", "input", "br", "wbr", "hr"}


class Page(HTMLParser):
    """Checks that tags nest, and collects what a page loads, its ids and its scripts."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.loads: list[str] = []
        self.links: list[str] = []
        self.ids: list[str] = []
        self.texts: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        values = {name: value or "" for name, value in attrs}
        self.attributes += values.items()
        self.ids += [values["id"]] if "id" in values else []
        if tag in {"script", "img", "link"}:
            self.loads.append(values.get("src") or values["href"])
        elif tag == "a":
            self.links.append(values["href"])
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if data.strip():
            assert self.open[-1:] != ["script"], "no script stands in a page"
            self.texts.append(data)


def pages(folder: Path) -> dict[Path, Page]:
    return {path: Page(path.read_text(encoding="utf-8")) for path in sorted(folder.rglob("*.html"))}


def check_links(folder: Path) -> None:
    found = pages(folder)
    for path, page in found.items():
        for link in [*page.loads, *page.links]:
            target, _, fragment = link.partition("#")
            file = (path.parent / target).resolve() if target else path.resolve()
            assert file.is_relative_to(folder.resolve()), link
            assert file.is_file(), f"{path}: {link}"
            if fragment and "=" not in fragment:
                assert fragment in found[next(p for p in found if p.resolve() == file)].ids
        assert len(page.ids) == len(set(page.ids))


def files(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_a_report_is_whole_and_refers_to_nothing_outside(make_run) -> None:
    page = report(make_run())
    folder = page.parent
    assert page.name == "index.html"
    check_links(folder)
    everything = "".join(
        path.read_text(encoding="utf-8")
        for path in folder.rglob("*")
        if path.suffix in {".html", ".js", ".css", ".svg"}
    )
    assert re.findall(r"(?:src|href|url)\W{1,3}https?:", everything) == []
    assert " style=" not in everything
    assert re.search(r"\son\w+=", "".join(p.read_text() for p in folder.rglob("*.html"))) is None


def test_equal_input_gives_equal_bytes(make_run) -> None:
    run = make_run()
    one = files(report(run).parent)
    two = files(report(run, out=run.parent / "elsewhere").parent)
    assert one == two
    assert files(report(run).parent) == one


def test_the_numbers_are_those_of_the_results(make_run) -> None:
    run = make_run()
    text = (report(run).parent / "tasks" / "toy.html").read_text(encoding="utf-8")
    result = json.loads((run / "results.json").read_text())["tasks"]["toy"]
    (whole,) = [c for c in result["comparisons"] if c["name"] == "accuracy" and not c["where"]]
    words = " ".join(Page(text).texts)
    assert f"{100 * whole['baseline_value']:.1f}" in words
    assert f"{whole['right_to_wrong']} right→wrong" in words
    for name in ("synthetic: a toy", "Paired differences", "Flip matrices", "Retained share"):
        assert name in words, name
    assert any("method wilson" in value for _, value in Page(text).attributes)


def test_each_trial_has_its_tile_and_its_code(make_run) -> None:
    run = make_run(model="mock:seed=2,fail=0.2")
    folder = report(run).parent
    records = [json.loads(line) for line in (run / "records" / "rank-000.jsonl").open()]
    text = (folder / "samples" / "toy" / "index.html").read_text(encoding="utf-8")
    assert text.count('<section class="tile ') == len(records)
    index = index_of(folder)
    assert sum(len(codes.replace("-", "")) for _, codes, *_ in index["samples"]) == len(records)
    assert "".join(codes for _, codes, *_ in index["samples"]).count("f") == sum(
        record["outcome"] == "failure" for record in records
    )
    for record in records:
        assert record["request_hash"] in text


def index_of(folder: Path) -> dict:
    text = (folder / "data" / "toy" / "index.js").read_text(encoding="utf-8")
    return json.loads(text.removeprefix("vlmEval.index(").removesuffix(");\n"))


def test_the_shards_hold_the_cards_of_the_pages(make_run) -> None:
    folder = report(make_run()).parent
    text = (folder / "data" / "toy" / "0001.js").read_text(encoding="utf-8")
    number, cards = json.loads(text.removeprefix("vlmEval.shard(").removesuffix(");\n"))
    assert number == 1
    assert [name for name, _ in cards] == [name for name, *_ in index_of(folder)["samples"]]
    page = (folder / "samples" / "toy" / "index.html").read_text(encoding="utf-8")
    assert all(card in page for _, card in cards)


def test_pages_of_samples_are_bounded() -> None:
    many = [Sample(str(i), "c", ()) for i in range(30)]
    assert [len(part) for part in paged(many)] == [12, 12, 6]


def test_pictures_are_what_was_asked_and_stored_once(make_run) -> None:
    folder = report(make_run()).parent
    text = (folder / "samples" / "toy" / "index.html").read_text(encoding="utf-8")
    shown = set(re.findall(r"images/\w+\.webp", text))
    assert shown == {f"images/{path.name}" for path in (folder / "images").iterdir()}
    assert 1 <= len(shown) <= 3  # red and blue; a blur of one colour is the colour
    assert 'width="40" height="30"' in text


def resized(run: Path, *sizes: object, **model: object) -> Path:
    """Have a run's records say at which sizes their images were read, in turn."""
    path = run / "records" / "rank-000.jsonl"
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    for i, line in enumerate(lines):
        line["image_sizes"] = sizes[i % len(sizes)]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    results = json.loads((run / "results.json").read_text())
    results["run"]["model"] |= model
    (run / "results.json").write_text(json.dumps(results))
    return run


def drawn(folder: Path) -> list[Image.Image]:
    return [Image.open(path) for path in sorted((folder / "images").iterdir())]


def test_pictures_have_the_size_at_which_the_model_reads_them(make_run) -> None:
    run = resized(make_run(), [[56, 42]])
    folder = report(run).parent
    text = (folder / "samples" / "toy" / "index.html").read_text(encoding="utf-8")
    assert "image at the model’s input resolution, 56 × 42<" in text
    assert "as sent, 40 × 30" not in text
    assert {image.size for image in drawn(folder)} == {(56, 42)}
    assert files(folder) == files(report(run, out=run.parent / "again").parent)


def test_an_image_has_one_size_even_where_a_trial_failed(make_run) -> None:
    folder = report(resized(make_run(), None, *[[[56, 42]]] * 99)).parent
    assert {image.size for image in drawn(folder)} == {(56, 42)}


@pytest.mark.parametrize("size", [None, [None], [[56, 42, 1]][:0], [[0, 42]], [[56, 10**9]]])
def test_pictures_of_unknown_size_are_as_sent_and_say_so(make_run, size) -> None:
    folder = report(resized(make_run(), size)).parent
    text = (folder / "samples" / "toy" / "index.html").read_text(encoding="utf-8")
    assert "image as sent, 40 × 30<" in text
    assert {image.size for image in drawn(folder)} == {(40, 30)}


@pytest.mark.parametrize("crops", [True, False])
def test_what_the_processor_crops_away_is_not_shown(crops: bool) -> None:
    image = Image.new("RGB", (60, 20), "red")
    image.paste("blue", (20, 0, 40, 20))
    kept: list[Image.Image] = []
    site = SimpleNamespace(image=lambda one: kept.append(one) or "path")
    stored = _stored(image, (40, 40), site, crops=crops)
    assert (stored.width, stored.height, stored.read, stored.part) == (40, 40, True, crops)
    assert kept[0].size == (40, 40)
    red = kept[0].getpixel((1, 20)) == (255, 0, 0)
    assert (red, kept[0].getpixel((20, 20))) == (not crops, (0, 0, 255))
    assert _stored(Image.new("RGB", (20, 20)), (40, 40), site, crops=True).part is False


def test_no_images_means_none(make_run) -> None:
    run = make_run()
    for options in ({"images": False}, {"samples": 0}):
        folder = report(run, **options).parent
        assert not (folder / "images").exists()
        assert "could not be made" not in (folder / "samples/toy/index.html").read_text()


def test_few_samples_get_pictures_and_the_page_says_so(make_run) -> None:
    folder = report(make_run(), samples=1).parent
    text = (folder / "samples" / "toy" / "index.html").read_text(encoding="utf-8")
    assert "Pictures are made for 1 of 3 samples" in text
    assert len(set(re.findall(r"images/\w+\.webp", text))) == 1


def test_data_that_is_gone_costs_only_the_pictures(make_run, monkeypatch) -> None:
    run = make_run()
    manifest = json.loads((run / "run.json").read_text())
    manifest["tasks"]["toy"]["data"]["digest"] = "0" * 64
    (run / "run.json").write_text(json.dumps(manifest))
    results = json.loads((run / "results.json").read_text())
    (run / "results.json").write_text(json.dumps({**results, "run": manifest}))
    folder = report(run).parent
    text = (folder / "samples" / "toy" / "index.html").read_text(encoding="utf-8")
    assert "No pictures: the data at hand is not the data that was asked" in text
    assert "<img" not in text
    check_links(folder)


def test_a_broken_image_costs_only_itself(make_run) -> None:
    run = make_run(
        ('id: c, kind: blue, image: "colour:blue"', 'id: c, kind: blue, image: "colour:broken"')
    )
    text = (report(run).parent / "samples" / "toy" / "index.html").read_text(encoding="utf-8")
    assert "pictures could not be made again (broken: cannot be decoded)" in text
    assert "<img" in text


HOSTILE = "</script><script>alert(1)</script><!-- &lt; ' \u202e\x1b[2J"


@pytest.fixture
def hostile(make_run) -> Path:
    quoted = json.dumps(HOSTILE)[1:-1]
    run = make_run(
        ("title: A toy", f'title: "{quoted}"'),
        ("word: rose", f'word: "{quoted}"'),
        ("id: a,", f'id: "{quoted}",'),
        ("kind: blue,", f'kind: "{quoted}",'),
        model=f"mock:constant={HOSTILE.replace(',', '')}",
        output="generate",
    )  # fmt: skip
    return report(run, out=run.parent / "out").parent


def test_hostile_words_are_inert_everywhere(hostile) -> None:
    check_links(hostile)
    for page in pages(hostile).values():
        told = "".join([*page.texts, *(value for _, value in page.attributes)])
        assert "\x1b" not in told
        assert "\u202e" not in told
        assert page.loads == [load for load in page.loads if re.fullmatch(r"[./\w-]+", load)]
    text = "".join(pages(hostile)[hostile / "samples" / "toy" / "index.html"].texts)
    assert "<script>alert(1)</script><!-- &lt; ' ⟨U+202E⟩␛[2J" in text
    for path in hostile.rglob("*.js"):
        if "data" in path.parts:
            script = path.read_text(encoding="ascii").lower()
            assert not any(trick in script for trick in ("</", "<!--", "<script"))


def test_the_parsed_passage_is_marked_in_the_raw_text(make_run) -> None:
    run = make_run(model="mock:constant=It is a stone", output="generate")
    text = (report(run).parent / "samples" / "toy" / "index.html").read_text(encoding="utf-8")
    assert re.search(r'<p class="said" dir="auto">It is a <mark>stone</mark>', text)


def test_the_command_line_writes_it_and_says_where(make_run, capsys) -> None:
    run = make_run()
    capsys.readouterr()
    assert main(["report", str(run), "--out", "there", "--samples", "all", "--no-images"]) == 0
    assert capsys.readouterr().out == "written: there/index.html\n"
    assert not (run / "report").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--samples", "-1"], "--samples '-1'"),
        (["--samples", "some"], "give a number from 0, or all"),
        (["--data", "tox=x"], "did you mean toy?"),
        (["--data", "toy"], "is not TASK=PATH"),
        (["--out", "."], "is not empty and holds no report"),
    ],
)
def test_wrong_arguments_are_one_line_and_write_nothing(
    make_run, capsys, arguments, message
) -> None:
    run = make_run()
    before = sorted(run.parent.rglob("*"))
    capsys.readouterr()
    assert main(["report", str(run), *arguments]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert sorted(run.parent.rglob("*")) == before


def test_a_run_that_is_not_finished_or_none_at_all(make_run, tmp_path) -> None:
    run = make_run()
    (run / "results.json").unlink()
    with pytest.raises(RunError, match="the run is not finished"):
        report(run)
    with pytest.raises(RunError, match="no such file"):
        report(tmp_path / "nothing")
    with pytest.raises(UsageError, match="samples is True"):
        report(run, samples=True)


def test_the_run_folder_itself_is_never_replaced(make_run) -> None:
    run = make_run()
    before = files(run)
    with pytest.raises(RunError, match="is the run folder itself"):
        report(run, out=run)
    assert files(run) == before


def test_missing_trials_are_announced(make_run) -> None:
    run = make_run()
    path = run / "records" / "rank-000.jsonl"
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-2]))
    vlm_eval.score(run)
    folder = report(run).parent
    assert "2 trials are missing" in (folder / "index.html").read_text(encoding="utf-8")
    check_links(folder)


def test_the_embedded_model_on_shipped_tasks(tmp_path) -> None:
    run = tmp_path / "run"
    vlm_eval.evaluate(
        "tiny", "vlm-fix-inverse,mis", limit=2, output_path=run, progress=False
    )  # fmt: skip
    folder = vlm_eval.report(run).parent
    check_links(folder)
    text = (folder / "tasks" / "vlm-fix-inverse.html").read_text(encoding="utf-8")
    assert re.search(r"<bdi>rule</bdi> × <bdi>target</bdi>", text)
    assert "Limited to 2 samples" in text
    assert "could not be made" not in (folder / "samples" / "mis" / "index.html").read_text()
    assert any((folder / "images").iterdir())
    cards = (folder / "samples" / "vlm-fix-inverse" / "index.html").read_text(encoding="utf-8")
    read = re.search(r"image at the model’s input resolution, ([0-9]+) × ([0-9]+)<", cards)
    assert read
    assert f'width="{read[1]}" height="{read[2]}"' in cards
    record = json.loads(next((run / "records").glob("*.jsonl")).read_text().splitlines()[0])
    assert record["image_sizes"][0] == [int(read[1]), int(read[2])]


def test_a_moved_run_is_reported_from_where_it_lies(make_run) -> None:
    run = make_run()
    one = files(report(run).parent)
    shutil.rmtree(run / "report")
    moved = run.rename(run.parent / "moved")
    assert files(report(moved).parent) == one


def test_means_over_tasks_are_on_the_page_of_the_run(tmp_path):
    vlm_eval.evaluate("mock", "mis,mic", limit=2, output_path=tmp_path / "run", progress=False)
    report(tmp_path / "run", out=tmp_path / "report")
    page = Page((tmp_path / "report" / "index.html").read_text())
    text = " ".join("".join(page.texts).split())
    assert "mischief: means of 2 tasks" in text
    assert "Each weighs the same: mis, mic." in text
    assert "confirm_minus_reject" in text
