"""The site as a whole: what is in it, and what must not be."""

from __future__ import annotations

import csv
import html.parser
import json
import re
import shutil

import pytest

import vlm_eval
from vlm_eval.cli.main import main
from vlm_eval.core.errors import RunError
from vlm_eval.leaderboard.runs import find_runs
from vlm_eval.leaderboard.site import check, leaderboard

HOSTILE = '=1+1<script>alert(1)</script><!--"\u202e\x1b[2J]]>{{ 7*7 }}'


def files(folder):
    return {
        p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()
    }


def rows(site, **values):
    with (site / "data" / "leaderboard.csv").open(encoding="utf-8") as file:
        found = list(csv.DictReader(file))
    return [row for row in found if all(row[k] == v for k, v in values.items())]


def test_every_cell_has_a_page_and_every_link_leads_somewhere(site) -> None:
    assert {"index.html", "task/mis.html", "model/best.html"} <= files(site).keys()
    for path in site.rglob("*.html"):
        page = path.read_text(encoding="utf-8")
        for link in re.findall(r'(?:href|src)="([^"]+)"', page):
            name, _, anchor = link.partition("#")
            target = (path.parent / name).resolve() if name else path
            assert target.is_file(), (path, link)
            if anchor and target.suffix == ".html":
                assert f'id="{anchor}"' in target.read_text(encoding="utf-8"), (path, link)


def test_the_numbers_are_those_of_the_results(site, runs) -> None:
    results = next(run for run in find_runs(runs)[0] if run.model == "good").results
    stored = next(e for e in results["vlm-fix-inverse"].estimates if e.name == "accuracy")
    (row,) = rows(site, kind="headline", model="good", task="vlm-fix-inverse", metric="accuracy")
    assert float(row["value"]) == pytest.approx(stored.value)
    assert (int(row["n"]), int(row["clusters"])) == (stored.n, stored.clusters)
    assert float(row["low"]) == pytest.approx(stored.low)
    paired = results["vlm-fix-inverse"].comparisons[0]
    (change,) = rows(site, kind="headline", model="good", metric="change: inverse minus standard")
    assert float(change["value"]) == pytest.approx(paired.difference)
    assert float(change["high"]) == pytest.approx(paired.high)
    index = (site / "index.html").read_text(encoding="utf-8")
    assert f">{100 * stored.value:.1f}</a>" in index


def test_ranks_ties_and_what_is_ranked_apart(site) -> None:
    measured = rows(
        site, task="vlm-fix-inverse", metric="accuracy", status="measured", kind="headline"
    )
    by_model = {row["model"]: row for row in measured}
    assert list(by_model) == ["best", "good", "fair"] or list(by_model) == ["best", "fair", "good"]
    assert (by_model["best"]["rank_low"], by_model["best"]["rank_high"]) == ("1", "1")
    assert by_model["good"]["rank_low"] == by_model["fair"]["rank_low"] == "2"
    assert by_model["good"]["tied_for_lead"] == "false"
    (limited,) = rows(
        site, task="vlm-fix-inverse", metric="accuracy", status="provisional", kind="headline"
    )
    assert (limited["model"], limited["note"], limited["board"]) == ("limited", "limited", "2")
    index = (site / "index.html").read_text(encoding="utf-8")
    alone = index.split('<tr data-name="limited">')[1].split("</tr>")[0]
    assert "leads" not in alone  # nobody to be ahead of
    assert 'class="leads"' in index
    # the pairs of mis are drawn stand-ins
    assert {row["status"] for row in rows(site, task="mis")} == {"provisional"}


def test_reported_numbers_are_marked_and_have_no_rank(site) -> None:
    found = rows(site, status="reported")
    assert found
    assert all(row["source"] and row["table"] and not row["rank_low"] for row in found)
    (one,) = [
        row
        for row in found
        if row["model"] == "Qwen2.5-VL-7B" and row["where"] == '{"rule":"inverse"}'
    ]
    assert float(one["value"]) == pytest.approx(0.418)  # Table 2
    page = (site / "task" / "vlm-fix-inverse.html").read_text(encoding="utf-8")
    assert 'Qwen2.5-VL-7B</bdi> <span class="tag">reported</span>' in page


def test_reported_numbers_stand_in_the_column_of_what_measures_them(site) -> None:
    page = (site / "task" / "vlm-fix-inverse.html").read_text(encoding="utf-8")
    measured, printed = (
        page.split('id="table-measures1"')[1].split("</table>")[0].split("<tbody")[1:]
    )
    assert measured.count("<tr>") == 3
    places = [cell.split("</td>")[0] for cell in printed.split("<td")]
    assert {"Table 2", "Table 3", "Table 16"} <= {
        table for table in ("Table 2", "Table 3", "Table 16") for cell in places if table in cell
    }
    head = page.split('id="table-measures1"')[1].split("</thead>")[0]
    assert head.count("game") == 8  # four games, two rules: a field, no factor
    assert head.count("order") == 4


def test_tasks_of_which_nothing_is_reported_have_no_column_of_it(runs, clone, tmp_path) -> None:
    clone(tmp_path / "runs" / "only", "only", 0.9, full=False)
    index = (leaderboard(tmp_path / "runs", tmp_path / "site") / "index.html").read_text()
    head = index.split('id="table-reported"')[1].split("</thead>")[0]
    assert "vlm-fix-inverse" in head
    assert "mis.html" not in head


def test_the_downloads_say_the_same(site) -> None:
    import pyarrow.parquet as pq

    lines = rows(site)
    plain = json.loads((site / "data" / "leaderboard.json").read_text())["rows"]
    table = pq.read_table(site / "data" / "leaderboard.parquet").to_pylist()
    assert len(lines) == len(plain) == len(table)
    assert [row["value"] for row in table] == [row["value"] for row in plain]
    assert [row["model"] for row in table] == [row["model"] for row in lines]
    provenance = json.loads((site / "data" / "provenance.json").read_text())["rows"]
    assert all(
        cell["records"] and cell["data digest"] and cell["task digest"] for cell in provenance
    )


def test_the_same_runs_give_the_same_bytes(site, runs, tmp_path) -> None:
    assert files(leaderboard(runs, tmp_path / "again")) == files(site)
    moved = tmp_path / "moved"
    shutil.copytree(runs, moved)
    assert files(leaderboard(moved, tmp_path / "again")) == files(site)


class Scripts(html.parser.HTMLParser):
    """Collects what a browser would run or follow."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag, attrs) -> None:
        if tag == "script" or any(name.startswith("on") or name == "style" for name, _ in attrs):
            self.found.append((tag, dict(attrs)))


def test_hostile_names_are_inert_everywhere(runs, clone, tmp_path) -> None:
    root = tmp_path / "runs"
    clone(root / "x", HOSTILE, 0.5, edit=lambda m: m["sessions"][0].update(command=[HOSTILE]))
    clone(root / "y", "plain", 0.5)
    site = leaderboard(root, tmp_path / "site")
    for path in site.rglob("*.html"):
        page = path.read_text(encoding="utf-8")
        parser = Scripts()
        parser.feed(page)
        assert all(tag == "script" and "src" in attrs for tag, attrs in parser.found), path
        assert "\u202e" not in page
        assert "\x1b" not in page
        assert "<!--" not in page
        assert "Content-Security-Policy" in page
    assert {row["model"][:2] for row in rows(site, status="measured")} == {"'=", "pl"}
    for path in (site / "data").glob("*.json"):
        json.loads(path.read_text())


def test_two_runs_of_one_model_are_told_apart(clone, tmp_path) -> None:
    root = tmp_path / "runs"
    clone(root / "first", "same", 0.5)
    clone(root / "second", "same", 0.5)
    site = leaderboard(root, tmp_path / "site")
    page = (site / "task" / "vlm-fix-inverse.html").read_text(encoding="utf-8")
    assert "same (first)" in page
    assert "same (second)" in page


@pytest.mark.parametrize(
    ("field", "edit"),
    [
        ("task version", lambda m: m["tasks"]["vlm-fix-inverse"].update(version="9.0.0")),
        ("seed", lambda m: m.update(seed=5)),
        ("data digest", lambda m: m["tasks"]["vlm-fix-inverse"]["data"].update(digest="0")),
    ],
)
def test_what_was_asked_otherwise_is_on_another_board(clone, tmp_path, field, edit) -> None:
    root = tmp_path / "runs"
    clone(root / "one", "one", 0.5)
    clone(root / "two", "two", 0.6, edit=edit)
    site = leaderboard(root, tmp_path / "site")
    found = rows(site, kind="headline", metric="accuracy", task="vlm-fix-inverse")
    assert {row["board"] for row in found} == {"1", "2"}
    page = (site / "task" / "vlm-fix-inverse.html").read_text(encoding="utf-8")
    assert f"with another {field}" in page


def test_check_passes_builds_and_then_compares(runs, tmp_path, capsys) -> None:
    out = tmp_path / "site"
    assert main(["leaderboard", str(runs), "--out", str(out), "--check"]) == 0
    assert (out / "index.html").is_file()
    assert main(["leaderboard", str(runs), "--out", str(out), "--check"]) == 0
    page = out / "task" / "mis.html"
    page.write_text(page.read_text().replace("Provisional", "Measured"))
    capsys.readouterr()
    assert main(["leaderboard", str(runs), "--out", str(out), "--check"]) == 1
    assert "drift: site: task/mis.html is not what these runs give" in capsys.readouterr().err
    assert "Provisional" not in page.read_text()  # a check changes nothing


def test_check_names_a_number_that_has_drifted(runs, tmp_path, capsys) -> None:
    root = tmp_path / "runs"
    shutil.copytree(runs, root)
    path = root / "b-fair" / "results.json"
    results = json.loads(path.read_text())
    results["tasks"]["mis"]["estimates"][3]["value"] += 0.01
    path.write_text(json.dumps(results))
    assert main(["leaderboard", str(root), "--out", str(tmp_path / "site"), "--check"]) == 1
    said = capsys.readouterr().err
    name = results["tasks"]["mis"]["estimates"][3]["name"]
    assert said.startswith(f"drift: b-fair: mis: {name}: value is ")
    assert said.count("\n") == 1
    assert not (tmp_path / "site").exists()


def test_check_finds_a_changed_record(runs, tmp_path) -> None:
    root = tmp_path / "runs"
    shutil.copytree(runs, root)
    path = root / "a" / "best" / "records" / "rank-000.jsonl"
    path.write_text(path.read_text().replace('"logprobs":[-1.0,-2.0]', '"logprobs":[-3.0,-2.0]', 1))
    drift = check(root, tmp_path / "site")
    assert any(line.startswith("a/best: records: ") for line in drift)
    assert any("accuracy: value is 1.0 in results.json and should be 0.9" in line for line in drift)


def test_a_build_refuses_a_headline_that_the_records_do_not_give(runs, tmp_path, capsys) -> None:
    root, out = tmp_path / "runs", tmp_path / "site"
    shutil.copytree(runs, root)
    path = root / "b-fair" / "results.json"
    results = json.loads(path.read_text())
    results["tasks"]["vlm-fix-inverse"]["estimates"][0]["value"] += 0.01
    path.write_text(json.dumps(results))
    assert main(["leaderboard", str(root), "--out", str(out)]) == 2
    assert "accuracy is not what the records say" in capsys.readouterr().err
    assert not out.exists()


def test_a_run_scored_again_is_read_as_it_is_scored_now(runs, tmp_path) -> None:
    """Recorded scores that are out of date are not used."""
    root = tmp_path / "runs"
    shutil.copytree(runs, root)
    path = root / "a" / "best" / "records" / "rank-000.jsonl"
    path.write_text(path.read_text().replace('"accuracy":1.0', '"accuracy":0.0'))
    vlm_eval.score(root / "a" / "best")
    site = leaderboard(root, tmp_path / "site")
    (row,) = rows(site, kind="headline", model="best", task="vlm-fix-inverse", metric="accuracy")
    assert float(row["value"]) == 1.0


def test_places_that_hold_something_else_are_left_alone(runs, tmp_path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(RunError, match="not empty"):
        leaderboard(runs, tmp_path)
    assert (tmp_path / "mine.txt").read_text() == "mine"
    with pytest.raises(RunError, match="no finished run"):
        leaderboard(tmp_path, tmp_path / "site")
    with pytest.raises(RunError, match="no such folder"):
        leaderboard(tmp_path / "nowhere", tmp_path / "site")


def test_an_unfinished_run_is_named_and_not_shown(runs, tmp_path) -> None:
    root = tmp_path / "runs"
    shutil.copytree(runs, root)
    (root / "limited" / "results.json").unlink()
    assert find_runs(root)[1] == ["limited"]
    site = leaderboard(root, tmp_path / "site")
    assert "Runs without results, not shown" in (site / "index.html").read_text()
    assert not rows(site, model="limited")


def test_a_damaged_run_is_one_line(runs, tmp_path, capsys) -> None:
    root = tmp_path / "runs"
    shutil.copytree(runs, root)
    (root / "limited" / "results.json").write_text('{"schema": 1, "tasks": {}}')
    assert main(["leaderboard", str(root), "--out", str(tmp_path / "site")]) == 2
    assert capsys.readouterr().err.count("\n") == 1
