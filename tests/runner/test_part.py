from __future__ import annotations

import os

import pytest
import torch

from vlm_eval.runner.job import Job
from vlm_eval.runner.meeting import Launch
from vlm_eval.runner.part import placed


@pytest.fixture
def threads(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many threads torch is told to use, on a machine of 16 cores."""
    told: list[int] = []
    monkeypatch.setattr(os, "cpu_count", lambda: 16)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 16)
    monkeypatch.setattr(torch, "set_num_threads", told.append)
    return told


def with_gpus(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)


def rank(number: int, local_world_size: int = 4) -> Launch:
    return Launch(rank=number, world_size=8, local_rank=number, local_world_size=local_world_size)


@pytest.mark.parametrize(("gpus", "device"), [(4, "cuda:3"), (2, "cuda:1"), (1, "cuda:0")])
@pytest.mark.parametrize("asked", [{}, {"device": "cuda"}, {"model_args": "device=auto"}])
def test_a_rank_takes_the_gpu_of_its_number(
    gpus: int,
    device: str,
    asked: dict[str, str],
    threads: list[int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with_gpus(gpus, monkeypatch)
    job = placed(Job(model="tiny", tasks="mis", **asked), rank(3))  # type: ignore[arg-type]
    assert (job.device, "device" in (job.model_args or {})) == (device, False)
    assert threads == [4]  # what is prepared for a GPU is prepared on the cores


@pytest.mark.parametrize(
    ("gpus", "asked", "device"), [(0, {}, None), (4, {"device": "cpu"}, "cpu")]
)
def test_ranks_without_a_gpu_share_the_cores(
    gpus: int,
    asked: dict[str, str],
    device: str | None,
    threads: list[int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with_gpus(gpus, monkeypatch)
    job = Job(model="tiny", tasks="mis", **asked)  # type: ignore[arg-type]
    assert placed(job, rank(3)).device == device
    assert threads == [4]


def test_a_rank_that_is_alone_on_its_machine_has_all_of_it(
    threads: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    with_gpus(2, monkeypatch)
    job = Job(model="tiny", tasks="mis")
    assert placed(job, Launch(rank=5, world_size=8)) is job
    assert threads == []
