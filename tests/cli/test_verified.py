"""The line about what ``--verify`` has found."""

from __future__ import annotations

import re
from typing import Any

from vlm_eval.cli.main import main
from vlm_eval.cli.verified import verified

FOUND: dict[str, Any] = {
    "groups": 2, "requests": 1200, "largest_per_token": 3.8e-6, "flips": 0, "failures": 0,
    "rounding": 1e-4,
}  # fmt: skip


def said(**more: Any) -> tuple[str, bool] | None:
    return verified({"sessions": [{}, {"model": {"counters": {"verified": {**FOUND, **more}}}}]})


def test_equal_answers_are_told() -> None:
    assert said() == (
        "verified: 2 groups, 1,200 requests asked again without sharing: 0 flips, "
        "log-probabilities at most 3.8e-06 nats a token apart",
        True,
    )


def test_flips_failures_and_differences_stand_out() -> None:
    for fault, words in (
        ({"flips": 1}, "1 flip,"),
        ({"failures": 2}, "2 requests answered only one of the two times"),
        (
            {"largest_per_token": 0.8},
            "0.8 nats a token apart, more than rounding explains (0.0001)",
        ),
    ):
        line, well = said(**fault) or ("", True)
        assert words in line
        assert not well


def test_generated_texts_have_no_log_probabilities() -> None:
    line, well = said(largest_per_token=None) or ("", False)
    assert line.endswith("0 flips")
    assert well


def test_nothing_is_said_where_nothing_was_asked_again() -> None:
    assert said(groups=0) is None
    assert verified({"sessions": [{"model": {"counters": {}}}]}) is None
    assert verified({"sessions": [{}]}) is None


def test_a_run_verifies_as_many_groups_as_it_was_told(tmp_path, capsys) -> None:
    """One block of samples, twelve boards: all are asked again if twenty are wanted."""
    arguments = ["--model", "tiny", "--tasks", "vlm-fix-inverse", "--limit", "12"]
    for wanted, groups in ((8, 8), (20, 12)):
        folder = tmp_path / str(wanted)
        assert main([*arguments, "--verify", str(wanted), "--output_path", str(folder)]) == 0
        found = re.search(r"verified: (\d+) groups, (\d+) requests", capsys.readouterr().out)
        assert found is not None
        assert list(map(int, found.groups())) == [groups, groups * 8]
