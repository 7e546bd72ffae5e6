"""Several encoders of one checkpoint prepare what one would."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from vlm_eval.core.types import Request
from vlm_eval.models.encoders import MOST, Encoders, threads_for
from vlm_eval.models.inputs import Encoded

from .questions import PHRASES, ask, picture


def questions(count: int) -> list[list[Request]]:
    return [
        [
            ask(f"{seed} {text}", picture(seed), text, choices=PHRASES)
            for text in ("who?", "why not?")
        ]
        for seed in range(count)
    ]


@pytest.mark.parametrize("name", ["qwen2_5_vl", "llava"])
def test_what_several_threads_prepare_is_what_one_does(backend, name: str) -> None:
    checkpoint = backend(name)._checkpoint
    one, several = Encoders(checkpoint, 1), Encoders(checkpoint, 4)
    assert (len(one), len(several)) == (1, 4)
    groups = questions(24)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(several.encode, groups))
    for made, expected in zip(found, map(one.encode, groups), strict=True):
        for mine, theirs in zip(made, expected, strict=True):
            assert isinstance(mine, Encoded)
            assert isinstance(theirs, Encoded)
            assert mine.content == theirs.content
            for key, value in theirs.images.tensors.items():
                assert torch.equal(mine.images.tensors[key], value)
    assert several.merged_boundaries == one.merged_boundaries


def test_an_encoder_serves_one_thread_at_a_time(backend, monkeypatch) -> None:
    encoders = Encoders(backend("llava")._checkpoint, 2)
    busy: set[int] = set()
    seen: set[int] = set()
    lock = threading.Lock()

    def encode(self, request):
        with lock:
            assert id(self) not in busy
            busy.add(id(self))
            seen.add(id(self))
        threading.Event().wait(0.01)
        with lock:
            busy.remove(id(self))
        return request

    monkeypatch.setattr("vlm_eval.models.inputs.Encoder.encode", encode)
    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(encoders.encode, questions(12))) == questions(12)
    assert len(seen) == 2


def test_answers_are_the_same_in_however_many_threads(backend) -> None:
    requests = [request for group in questions(10) for request in group]
    found = []
    for threads in (1, 3):
        model = backend("qwen2_5_vl", args=f"prepare_threads={threads}")
        assert model.describe()["engine"]["prepare_threads"] == threads
        found.append({r.request_id: r.outcome for r in model.loglikelihood(requests)})
    assert found[0] == found[1]


def test_a_cpu_prepares_in_one_thread_and_a_gpu_in_all_but_one(monkeypatch) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: 5)
    assert threads_for(torch.device("cpu")) == 1
    assert threads_for(torch.device("cuda")) == 4
    monkeypatch.setattr(torch, "get_num_threads", lambda: 64)
    assert threads_for(torch.device("cuda")) == MOST
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    assert threads_for(torch.device("cuda")) == 1
