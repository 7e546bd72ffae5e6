"""After a failed pass: whether memory ran out, and whether the device still works."""

from __future__ import annotations

import torch
from accelerate.utils.memory import clear_device_cache, should_reduce_batch_size

from vlm_eval.core.errors import ModelError

# What the libraries beneath torch say when they get no memory for themselves.
_SAID = ("CUDA error: out of memory", "STATUS_ALLOC_FAILED")


def lacks_memory(error: Exception) -> bool:
    """Return whether an error says that memory ran out, on a device or the host."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError) or should_reduce_batch_size(error):
        return True
    return isinstance(error, RuntimeError) and any(said in str(error) for said in _SAID)


def recover(*, memory: bool) -> None:
    """Make ready for the next pass after one that failed.

    Parameters
    ----------
    memory
        Whether it failed for want of memory, so that what is unused must be given back.

    Raises
    ------
    ModelError
        If the GPU no longer answers: after some faults (an assertion in a kernel, an illegal
        address) every later call of the process fails, and none may count as an answer's failure.
    """
    if memory:
        clear_device_cache(garbage_collection=True)
    elif torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        try:
            for device in _used():
                torch.cuda.synchronize(device)
        except RuntimeError as error:
            raise ModelError(
                f"the GPU has failed: {' '.join(str(error).split())[:300]}",
                hint="what is recorded is safe; continue with --resume",
            ) from error


def _used() -> list[int]:
    """Return the GPUs on which this process has something; asking another takes memory there."""
    current = torch.cuda.current_device()
    return [
        device
        for device in range(torch.cuda.device_count())
        if device == current or torch.cuda.memory_reserved(device)
    ]
