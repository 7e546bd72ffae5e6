"""Which process this is, when a launcher has started several: from what it puts in the environment.

``torchrun`` and ``accelerate launch`` set ``RANK``, ``WORLD_SIZE``, ``LOCAL_RANK`` and the address
of a store; ``srun`` sets ``SLURM_PROCID`` and others. A batch script that is not under ``srun`` has
some of them too, but no ``SLURM_STEP_ID``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from vlm_eval.core.errors import UsageError

if TYPE_CHECKING:
    from vlm_eval.runner.meeting import Launch

_TORCH = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
_SLURM = ("SLURM_PROCID", "SLURM_JOB_ID", "SLURM_STEP_ID")


def launched(environment: Mapping[str, str]) -> Launch | None:
    """Return which of several processes this is, None if it is the only one.

    Raises
    ------
    UsageError
        If what the launcher has set makes no sense.
    """
    from vlm_eval.runner.meeting import Launch

    if all(environment.get(name) for name in _TORCH):
        found = Launch(
            rank=_number(environment, "RANK"),
            world_size=_number(environment, "WORLD_SIZE"),
            local_rank=_number(environment, "LOCAL_RANK"),
            local_world_size=max(1, _number(environment, "LOCAL_WORLD_SIZE")),
            address=f"{environment['MASTER_ADDR']}:{_number(environment, 'MASTER_PORT')}",
        )
    elif all(environment.get(name) for name in _SLURM):
        size = "SLURM_STEP_NUM_TASKS" if "SLURM_STEP_NUM_TASKS" in environment else "SLURM_NTASKS"
        words = [environment[name] for name in _SLURM[1:]]
        found = Launch(
            rank=_number(environment, "SLURM_PROCID"),
            world_size=_number(environment, size),
            local_rank=_number(environment, "SLURM_LOCALID"),
            local_world_size=_tasks_here(environment),
            session="-".join(["slurm", *words, environment.get("SLURM_RESTART_COUNT", "0")]),
        )
    else:
        return None
    if found.world_size <= 1:
        return None
    if found.rank >= found.world_size:
        raise UsageError(f"rank {found.rank} of {found.world_size}: the launcher's variables clash")
    return found


def _tasks_here(environment: Mapping[str, str]) -> int:
    """Return the tasks a node, from the form "8(x2),4": those of the first node."""
    found = re.match(r"\d+", environment.get("SLURM_STEP_TASKS_PER_NODE", ""))
    return max(1, int(found[0])) if found else 1


def _number(environment: Mapping[str, str], name: str) -> int:
    text = environment.get(name, "0")
    if not text.isdigit():
        raise UsageError(f"{name} is {text!r} in the environment", hint="it must be a number")
    return int(text)
