from __future__ import annotations

import pytest
import torch

from vlm_eval.core.errors import ModelError
from vlm_eval.models.memory import lacks_memory, recover


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("Allocation on device"),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
        RuntimeError("CUDA error: out of memory\nCompile with TORCH_USE_CUDA_DSA"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried"),
        MemoryError(),
    ],
)
def test_lack_of_memory_is_known(error: Exception) -> None:
    assert lacks_memory(error)


@pytest.mark.parametrize(
    "error",
    [RuntimeError("CUDA error: device-side assert triggered"), ValueError("STATUS_ALLOC_FAILED")],
)
def test_other_faults_are_not_that(error: Exception) -> None:
    assert not lacks_memory(error)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Which of three GPUs are asked whether they work; the process is on 0 and has memory on 2."""
    found: list[int] = []
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda device: 512 * (device == 2))
    monkeypatch.setattr(torch.cuda, "synchronize", found.append)
    return found


def test_a_gpu_that_answers_goes_on(asked: list[int]) -> None:
    recover(memory=False)
    assert asked == [0, 2]


@pytest.mark.parametrize("broken", [0, 2])
def test_a_gpu_that_does_not_ends_the_run(
    broken: int,
    asked: list[int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def dead(device: int) -> None:
        if device == broken:
            raise RuntimeError("CUDA error: device-side assert triggered\nCompile with ...")

    monkeypatch.setattr(torch.cuda, "synchronize", dead)
    with pytest.raises(ModelError, match="the GPU has failed: CUDA error: device-side") as caught:
        recover(memory=False)
    assert "--resume" in str(caught.value.hint)
