"""Units are drawn once, and those of a rank that is lost once more."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from vlm_eval.core.errors import RunError
from vlm_eval.runner import units
from vlm_eval.runner.units import Beat, Unit, Watch, Work, drawn

ALL = [Unit("a.b", 0), Unit("a.b", 1), Unit("c", 0)]


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def work(tmp_path: Path) -> Work:
    made = Work(tmp_path / "work", "s")
    made.publish({"tasks": {}})
    return made


def draw_all(work: Work, rank: int, watch: Watch | None = None) -> list[tuple[Unit, bool]]:
    found = []
    for unit, by_other in drawn(work, ALL, rank, watch or Watch(work, 600), lambda: None):
        found.append((unit, by_other))
        work.finish(unit)
    return found


def test_one_rank_draws_everything_in_order(work) -> None:
    assert draw_all(work, 0) == [(unit, False) for unit in ALL]
    assert work.unfinished(ALL) == []


def test_a_unit_is_claimed_by_one_of_many(work) -> None:
    winners: list[int] = []
    barrier = threading.Barrier(16)

    def claim(rank: int) -> None:
        barrier.wait()
        if work.claim(ALL[0], rank):
            winners.append(rank)

    threads = [threading.Thread(target=claim, args=(rank,)) for rank in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(winners) == 1
    assert work.owner(ALL[0]) == (winners[0], 0)


def test_the_unit_of_a_dead_rank_is_taken_over_by_one(work) -> None:
    work.beat(1, Beat(count=5))
    assert work.claim(ALL[1], 1)
    work.beat(1, Beat(count=6, state="dead"))
    assert draw_all(work, 0) == [(ALL[0], False), (ALL[2], False), (ALL[1], True)]
    assert work.owner(ALL[1]) == (0, 1)
    assert not work.claim(ALL[1], 2, turn=1), "a second rank that saw it dead is too late"


def test_a_rank_is_lost_when_its_heart_stands_still_for_the_lease(work) -> None:
    clock = Clock()
    watch = Watch(work, 10, clock)
    work.beat(1, Beat(count=1))
    assert not watch.lost(1)
    for count in range(2, 10):
        clock.now += 9
        work.beat(1, Beat(count=count))
        assert not watch.lost(1)
    clock.now += 10.5
    assert watch.lost(1)
    work.beat(1, Beat(count=10))
    assert not watch.lost(1), "it only was slow"


def test_a_rank_that_never_beat_and_a_claim_without_a_name_are_lost_too(work) -> None:
    clock = Clock()
    watch = Watch(work, 600, clock)
    assert not watch.lost(7)
    assert not watch.lost(None)
    clock.now = 11
    assert not watch.lost(7)
    assert watch.lost(None)
    clock.now = 601
    assert watch.lost(7)


def test_a_slow_rank_is_waited_for(work, monkeypatch) -> None:
    monkeypatch.setattr(units, "POLL_SECONDS", 0)
    assert work.claim(ALL[1], 1)
    waited = []

    def idle() -> None:
        waited.append(1)
        if len(waited) == 5:
            work.finish(ALL[1])

    mine = []
    for unit, _ in drawn(work, ALL, 0, Watch(work, 600), idle):
        mine.append(unit)
        work.finish(unit)
    assert mine == [ALL[0], ALL[2]]
    assert len(waited) == 5


def test_publishing_removes_what_other_launches_have_left(tmp_path: Path, work) -> None:
    work.claim(ALL[0], 0)
    again = Work(tmp_path / "work", "t")
    again.publish({"n": 1})
    assert again.plan() == {"n": 1}
    assert again.claim(ALL[0], 0)
    assert work.plan() is None


@pytest.mark.parametrize(
    "act",
    [
        lambda work: work.claim(ALL[0], 0),
        lambda work: work.finish(ALL[0]),
        lambda work: work.unfinished(ALL),
        lambda work: work.beat(0, Beat()),
    ],
)
def test_a_rank_of_a_run_that_was_continued_by_others_stops(
    work, act: Callable[[Work], object]
) -> None:
    work.remove()
    with pytest.raises(RunError, match="is gone: the run was continued by others"):
        act(work)


def test_beats_are_replaced_whole(tmp_path: Path, work) -> None:
    beat = Beat(count=1, done=3, failed=1, pid=9)
    work.beat(12, beat)
    work.beat(12, replace(beat, count=2, model={"device": "cpu"}, seconds=1.5))
    assert work.last_beat(12) == replace(beat, count=2, model={"device": "cpu"}, seconds=1.5)
    assert json.loads((tmp_path / "work" / "s" / "rank-012.json").read_text())["done"] == 3
    assert sorted(p.name for p in (tmp_path / "work" / "s").iterdir()) == [
        "plan.json", "rank-012.json",
    ]  # fmt: skip
    assert work.last_beat(3) == Beat()
