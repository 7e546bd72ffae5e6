"""What ranks say is put together."""

from __future__ import annotations

from typing import Any

from vlm_eval.runner.ranks import said_by_ranks
from vlm_eval.runner.units import Beat, Work


def session(tmp_path, *beats: Beat) -> dict[str, Any]:
    work = Work(tmp_path, "s")
    work.publish({})
    for rank, beat in enumerate(beats):
        work.beat(rank, beat)
    return said_by_ranks(work, len(beats))


def test_what_all_ranks_have_verified_is_the_runs(tmp_path) -> None:
    def model(flips: int, largest: float) -> dict[str, Any]:
        found = {"groups": 1, "requests": 4, "flips": flips, "failures": 0}
        verified = {**found, "largest_per_token": largest, "rounding": 1e-4}
        return {"device": f"cuda:{flips}", "counters": {"images_encoded": 7, "verified": verified}}

    first = Beat(count=9, state="finished", model=model(0, 1e-6), seconds=1.0)
    second = Beat(count=9, state="finished", model=model(3, 0.5), seconds=2.0)
    made = session(tmp_path, Beat(count=2, state="dead"), first, second)
    assert (made["seconds"], made["world_size"]) == (2.0, 3)
    assert made["model"]["device"] == "cuda:0"
    assert made["model"]["counters"]["images_encoded"] == 7
    verified = made["model"]["counters"]["verified"]
    assert (verified["groups"], verified["flips"], verified["largest_per_token"]) == (2, 3, 0.5)
    assert made["ranks"][2]["model"] == model(3, 0.5)


def test_ranks_that_say_nothing_leave_no_model(tmp_path) -> None:
    assert "model" not in session(tmp_path, Beat(count=1), Beat())


def test_a_model_without_counters_is_taken_as_it_is(tmp_path) -> None:
    made = session(tmp_path, Beat(count=1, model={"device": "none"}), Beat(count=1, model={}))
    assert made["model"] == {"device": "none"}
