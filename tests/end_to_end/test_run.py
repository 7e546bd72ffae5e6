"""A task file goes in, a paired table and a run folder come out."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

SAMPLES, TRIALS, REQUESTS = 20, 60, 40


@pytest.fixture
def done(cli, toys, tmp_path) -> Path:
    folder = tmp_path / "run"
    run = cli("--model", "mock", "--tasks", "toy", "--include_path", toys, "--output-path", folder)
    assert run.status == 0, run.err
    return folder


def test_every_trial_has_one_record(done, lines) -> None:
    records = lines(done)
    assert len(records) == TRIALS
    keys = {(r["task"], r["sample_id"], json.dumps(r["condition"])) for r in records}
    assert len(keys) == TRIALS
    assert len({r["sample_id"] for r in records}) == SAMPLES
    assert len({r["cluster"] for r in records}) == 5
    first = records[0]
    assert first["prompt"].startswith("<image>is there a ")
    assert first["choices"] == ["Yes", "No"]
    assert len(first["logprobs"]) == len(first["token_counts"]) == 2
    assert first["answer"] in {"Yes", "No"}
    assert first["parser_rule"] == "argmax"
    assert first["scores"]["accuracy"] == float(first["answer"] == first["gold"])
    assert first["outcome"] == "answer"


def test_trials_that_ask_the_same_share_one_answer(done, lines) -> None:
    by_sample: dict[str, dict[str, dict]] = {}
    for record in lines(done):
        by_sample.setdefault(record["sample_id"], {})[record["condition"]["wording"]] = record
    for sides in by_sample.values():
        assert sides["plain"]["request_hash"] == sides["same"]["request_hash"]
        assert sides["plain"]["request_hash"] != sides["polite"]["request_hash"]
        assert sides["plain"]["logprobs"] == sides["same"]["logprobs"]


def test_results_json_has_what_is_needed_to_reproduce(done) -> None:
    results = json.loads((done / "results.json").read_text())
    task = results["tasks"]["toy"]
    assert task["counts"] == {
        "trials": TRIALS, "asked": REQUESTS, "answered": TRIALS, "failed": 0, "missing": 0,
        "unparsed": 0, "rules": {"argmax": TRIALS}, "literal_rules": {}, "failures": {},
        "samples": SAMPLES, "clusters": 5, "captured": 0,
    }  # fmt: skip
    run = results["run"]
    assert run == json.loads((done / "run.json").read_text())
    assert run["seed"] == 0
    assert run["limit"] is None
    assert run["model"]["name"] == "mock"
    entry = run["tasks"]["toy"]
    assert entry["version"] == "1.0.0"
    assert len(entry["digest"]) == len(entry["data"]["digest"]) == 64
    assert entry["data"]["synthetic"] is True
    session = run["sessions"][0]
    assert session["command"][:2] == ["vlm_eval", "run"]
    assert session["versions"]["numpy"]
    assert session["hardware"]["cpus"] >= 1
    for name, entry in results["records"].items():
        data = (done / "records" / name).read_bytes()
        assert entry == {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}


def test_the_numbers_are_those_of_the_records(done, lines) -> None:
    """Means and flips, computed here from the lines alone."""
    results = json.loads((done / "results.json").read_text())["tasks"]["toy"]
    score = {
        (r["sample_id"], r["condition"]["wording"]): r["scores"]["accuracy"] for r in lines(done)
    }
    ids = sorted({sample for sample, _ in score})
    (overall,) = [e for e in results["estimates"] if e["name"] == "accuracy" and not e["where"]]
    assert overall["value"] == pytest.approx(sum(score.values()) / TRIALS)
    for level in ("same", "polite"):
        (row,) = [c for c in results["comparisons"] if c["level"] == level and not c["where"]]
        change = [score[i, level] - score[i, "plain"] for i in ids]
        assert row["difference"] == pytest.approx(sum(change) / SAMPLES)
        assert row["right_to_wrong"] == change.count(-1.0)
        assert row["wrong_to_right"] == change.count(1.0)
        assert row["n_pairs"] == SAMPLES
        assert row["n_clusters"] == 5
        assert row["control"] is (level == "same")


def test_the_table_fits_and_says_what_matters(cli, toys, tmp_path) -> None:
    run = cli(
        "run", "--model", "mock:fail=0.2", "--tasks", "toy", "--include_path", toys,
        "--output_path", tmp_path / "run",
    )  # fmt: skip
    assert max(map(len, run.out.splitlines())) <= 100
    assert "mock:fail=0.2 on toy 1.0.0" in run.out
    assert "SYNTHETIC" in run.out
    assert "accuracy: wording against plain, paired by sample" in run.out
    assert "same (control)" in run.out
    assert "failed trials (not scored, their pairs are dropped)" in run.out
    assert "trials" in run.err  # progress goes to standard error
    assert "\x1b" not in run.out


def test_failures_are_records_and_the_status_says_so(cli, toys, tmp_path, lines) -> None:
    arguments = ("--model", "mock:fail=0.2", "--tasks", "toy", "--include_path", toys)
    strict = cli(*arguments, "--output_path", tmp_path / "a")
    lenient = cli(*arguments, "--output_path", tmp_path / "b", "--max_failures", "1")
    assert (strict.status, lenient.status) == (1, 0)
    assert "--retry_failures" in strict.err
    failed = [r for r in lines(tmp_path / "a") if r["outcome"] == "failure"]
    assert 0 < len(failed) < TRIALS
    for record in failed:
        assert record["failure"]["kind"] == "provider"
        assert record["failure"]["message"]
        assert record["scores"] == {}
        assert record["answer"] is None
    counts = json.loads((tmp_path / "a" / "results.json").read_text())["tasks"]["toy"]["counts"]
    assert counts["failed"] == len(failed)
    assert counts["answered"] == TRIALS - len(failed)
    assert counts["failures"] == {"provider": len(failed)}


def test_the_order_of_work_does_not_matter(cli, toys, tmp_path, numbers, lines) -> None:
    """Records shuffled over three files give the same numbers."""
    folder = tmp_path / "run"
    cli("--model", "mock", "--tasks", "toy", "--include_path", toys, "--output_path", folder)
    before = numbers(folder)
    path = folder / "records" / "rank-000.jsonl"
    rows = path.read_bytes().splitlines(keepends=True)
    rows = rows[::-1][::2] + rows[::-1][1::2]
    path.unlink()
    for rank in range(3):
        (folder / "records" / f"rank-{rank:03}.jsonl").write_bytes(b"".join(rows[rank::3]))
    assert cli("score", folder).status == 0
    assert numbers(folder) == before
    assert len(lines(folder)) == TRIALS


def test_units_of_any_size_give_the_same_records(
    cli, toys, tmp_path, monkeypatch, lines, numbers
) -> None:
    arguments = ("--model", "mock", "--tasks", "toy", "--include_path", toys)
    cli(*arguments, "--output_path", tmp_path / "a")
    monkeypatch.setattr("vlm_eval.runner.plan.UNIT", 1)  # shared requests now lie in two units
    cli(*arguments, "--output_path", tmp_path / "b")
    assert numbers(tmp_path / "a") == numbers(tmp_path / "b")
    assert lines(tmp_path / "a") == lines(tmp_path / "b")


def test_limit_and_generate(cli, toys, tmp_path, lines) -> None:
    folder = tmp_path / "run"
    run = cli(
        "--model", "mock:constant=yes.", "--tasks", "toy", "--include_path", toys, "--limit", 2,
        "--output", "generate", "--gen_kwargs", "max_new_tokens=3", "--output_path", folder,
        "--quiet",
    )  # fmt: skip
    assert (run.status, run.out, run.err) == (0, "", "")
    records = lines(folder)
    assert len(records) == 2 * 3
    assert {r["raw"] for r in records} == {"yes."}
    assert {r["answer"] for r in records} == {"Yes"}
    assert {r["logprobs"] for r in records} == {None}
    assert json.loads((folder / "run.json").read_text())["decoding"] == {"max_new_tokens": 3}


def test_without_output_path_folders_are_numbered(cli, toys, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    for _ in range(2):
        assert cli("--model", "mock", "--tasks", "toy", "--include_path", toys).status == 0
    assert (tmp_path / "runs" / "mock" / "results.json").is_file()
    assert (tmp_path / "runs" / "mock-2" / "results.json").is_file()


def test_what_a_model_writes_cannot_act_on_the_terminal(cli, toys, tmp_path, lines) -> None:
    evil = "\x1b[2J\u202eNo\x07"
    (toys / "toy.yaml").write_text(
        (toys / "toy.yaml").read_text().replace("title: A toy task", 'title: "\\e[31mred\\e[0m"')
    )
    run = cli(
        "--model", f"mock:constant={evil}", "--tasks", "toy", "--include_path", toys,
        "--output", "generate", "--output_path", tmp_path / "run",
    )  # fmt: skip
    assert run.status == 0
    for text in (run.out, run.err):
        assert not {"\x1b", "\x07", "\u202e"} & set(text)
    assert "\\x1b[31mred" in run.out
    assert lines(tmp_path / "run")[0]["raw"] == evil  # the record keeps it as it was


def test_score_parses_again_and_needs_no_model(cli, toys, tmp_path, numbers, lines) -> None:
    folder = tmp_path / "run"
    cli(
        "--model", "mock:constant=Yes", "--tasks", "toy", "--include_path", toys,
        "--output", "generate", "--output_path", folder,
    )  # fmt: skip
    before, kept = numbers(folder), (folder / "records" / "rank-000.jsonl").read_bytes()
    (folder / "results.json").unlink()
    (toys / "toy.yaml").unlink()  # the run folder is enough
    run = cli("score", folder)
    assert run.status == 0
    assert "toy 1.0.0" in run.out
    assert numbers(folder) == before
    assert (folder / "records" / "rank-000.jsonl").read_bytes() == kept
    # what the records say was parsed is not believed: it is parsed again
    path = folder / "records" / "rank-000.jsonl"
    changed = [{**r, "answer": "No", "scores": {"accuracy": 0.0}} for r in lines(folder)]
    path.write_text("".join(json.dumps(r) + "\n" for r in changed))
    assert cli("score", folder).status == 0
    assert numbers(folder) == before


def test_score_with_the_task_files_of_today(cli, toys, tmp_path) -> None:
    folder = tmp_path / "run"
    cli(
        "--model", "mock:constant=Yes", "--tasks", "toy", "--include_path", toys,
        "--output", "generate", "--output_path", folder,
    )  # fmt: skip
    text = (toys / "toy.yaml").read_text()
    (toys / "toy.yaml").write_text(
        text.replace("parse_failures]", "{name: accuracy, by: [object]}]")
    )
    assert cli("score", folder).status == 0
    old = json.loads((folder / "results.json").read_text())["tasks"]["toy"]["estimates"]
    assert not any("object" in e["where"] for e in old)
    assert cli("score", folder, "--current_tasks", "--include_path", toys).status == 0
    new = json.loads((folder / "results.json").read_text())["tasks"]["toy"]["estimates"]
    assert any("object" in e["where"] for e in new)
