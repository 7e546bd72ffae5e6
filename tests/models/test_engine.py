"""How much goes into a pass, where nobody says so."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from vlm_eval.models import engine

GIB = 2**30


@pytest.mark.parametrize(
    ("memory", "jobs", "tokens"),
    [(24 * GIB, 16, 8192), (40 * GIB, 16, 8192), (80 * GIB, 32, 16384)],
)
def test_a_gpu_s_memory_decides(
    memory: int, jobs: int, tokens: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        torch.cuda, "get_device_properties", lambda _: SimpleNamespace(total_memory=memory)
    )
    device = torch.device("cuda")
    assert (engine._batch_size(device), engine._batch_tokens(device)) == (jobs, tokens)


def test_a_cpu_takes_little() -> None:
    device = torch.device("cpu")
    assert (engine._batch_size(device), engine._batch_tokens(device)) == (16, 1024)
