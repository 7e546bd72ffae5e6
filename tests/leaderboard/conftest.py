"""Runs to build sites from."""

from __future__ import annotations

import dataclasses
import json
import shutil

import pytest

import vlm_eval
from vlm_eval.core.hashing import derive_rng
from vlm_eval.runner.records import Record

TASKS = "vlm-fix-inverse,mis"


@pytest.fixture(scope="session")
def origin(tmp_path_factory):
    """A run of a mock, asked once."""
    folder = tmp_path_factory.mktemp("origin") / "run"
    vlm_eval.evaluate("mock", TASKS, limit=12, output_path=folder, progress=False)
    return folder


@pytest.fixture(scope="session")
def clone(origin):
    """Return a function that makes a run of another model, right at a rate."""

    def clone(target, name, skill, *, full=True, edit=lambda _: None):
        shutil.copytree(origin, target)
        manifest = json.loads((target / "run.json").read_text())
        manifest["model"]["name"] = name
        manifest["limit"] = None if full else manifest["limit"]
        edit(manifest)
        (target / "run.json").write_text(json.dumps(manifest))
        path = target / "records" / "rank-000.jsonl"
        records = [Record.from_line(line) for line in path.open("rb")]
        path.write_bytes(b"".join(_answered(r, name, skill).to_line() for r in records))
        vlm_eval.score(target)
        results = json.loads((target / "results.json").read_text())
        (target / "results.json").write_text(json.dumps({**results, "finished": "then"}))
        return target

    return clone


def _answered(record, name, skill):
    rng = derive_rng(0, name, record.task, record.sample_id, str(dict(record.condition)))
    right = rng.random() < skill
    logprobs = tuple(-1.0 if (c == record.gold) == right else -2.0 for c in record.choices)
    said = record.choices[logprobs.index(-1.0)]
    return dataclasses.replace(
        record, logprobs=logprobs, answer=said, scores={"accuracy": float(said == record.gold)}
    )


@pytest.fixture(scope="session")
def runs(tmp_path_factory, clone):
    """Four models: one far ahead, two that are close, one on limited data."""
    root = tmp_path_factory.mktemp("runs")
    clone(root / "a" / "best", "best", 1.0)
    clone(root / "a" / "good", "good", 0.62)
    clone(root / "b-fair", "fair", 0.6)
    clone(root / "limited", "limited", 0.9, full=False)
    return root


@pytest.fixture(scope="session")
def site(tmp_path_factory, runs):
    """The site of these runs."""
    from vlm_eval.leaderboard.site import leaderboard

    return leaderboard(runs, tmp_path_factory.mktemp("site") / "site")
