"""A ledger keeps what it was given, whatever happens to its process."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from vlm_eval.core.errors import RunError
from vlm_eval.internals.ledger import Ledger

ASKS = {"steps": 10, "model": "tiny"}


def test_values_are_on_disk_at_once_and_come_back(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    with Ledger(path, ASKS) as ledger:
        ledger["a"], ledger["b\n"] = {"x": [1.5, None]}, "é"
        assert json.loads(path.read_text("utf-8").splitlines()[1])["value"] == {"x": [1.5, None]}
        ledger["a"] = 2
    with Ledger(path, ASKS) as again:
        assert (again["a"], again["b\n"], "c" in again, sorted(again)) == (
            2,
            "é",
            False,
            ["a", "b\n"],
        )
        with pytest.raises(KeyError):
            again["c"]


def test_another_question_begins_anew(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    with Ledger(path, ASKS) as ledger:
        ledger["a"] = 1
    with Ledger(path, {**ASKS, "steps": 20}) as other:
        assert list(other) == []
        other["b"] = 1
    with Ledger(path, {**ASKS, "steps": 20}) as same:
        assert list(same) == ["b"]


@pytest.mark.parametrize("cut", [1, 5, 20])
def test_a_torn_line_is_cut_off_and_the_rest_stays(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "ledger.jsonl"
    with Ledger(path, ASKS) as ledger:
        ledger["a"], ledger["b"] = 1, "a value of some length"
    path.write_bytes(path.read_bytes()[:-cut])
    with Ledger(path, ASKS) as again:
        assert list(again) == ["a"]
        again["b"] = 3
    with Ledger(path, ASKS) as third:
        assert (third["a"], third["b"]) == (1, 3)


def test_one_process_at_a_time_and_no_nan(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    with Ledger(path, ASKS) as ledger:
        with pytest.raises(RunError), Ledger(path, ASKS):
            pass
        with pytest.raises(ValueError, match="not JSON compliant"):
            ledger["a"] = float("nan")
        assert "a" not in ledger
    with Ledger(path, ASKS) as again:
        assert list(again) == []


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="cannot be written"):
        Ledger(tmp_path / "missing" / "ledger.jsonl", ASKS)
