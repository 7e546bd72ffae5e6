"""``vlm_eval score`` on a run folder; more in tests/end_to_end/test_run.py."""

from __future__ import annotations

import json

import pytest

import vlm_eval
from vlm_eval.cli.main import main


@pytest.fixture
def run_folder(write, folder):
    write()
    vlm_eval.evaluate("mock", "toy", include_path=[folder], output_path="run", progress=False)
    return folder / "run"


def test_score_prints_the_table_and_writes_the_same_results(run_folder, capsys) -> None:
    before = json.loads((run_folder / "results.json").read_text())
    (run_folder / "results.json").unlink()
    assert main(["score", str(run_folder)]) == 0
    assert "mock on toy" in capsys.readouterr().out
    after = json.loads((run_folder / "results.json").read_text())
    assert {**after, "finished": ""} == {**before, "finished": ""}
    assert main(["score", str(run_folder), "--quiet"]) == 0
    assert capsys.readouterr().out == ""


def test_score_of_a_run_that_is_not_finished_says_so(run_folder, capsys) -> None:
    path = run_folder / "records" / "rank-000.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:-2]) + lines[-2][:20])
    assert main(["score", str(run_folder)]) == 0
    assert f"UNFINISHED: 2 of {len(lines)} trials are missing" in capsys.readouterr().out
    results = json.loads((run_folder / "results.json").read_text())
    assert results["complete"] is False
    assert results["torn"] == 1
