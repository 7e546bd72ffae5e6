"""What launchers put into the environment."""

from __future__ import annotations

import pytest

from vlm_eval.cli.launch import launched
from vlm_eval.core.errors import UsageError
from vlm_eval.runner.meeting import Launch

TORCH = {
    "RANK": "3", "WORLD_SIZE": "4", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "2",
    "MASTER_ADDR": "node0", "MASTER_PORT": "29500",
}  # fmt: skip
SLURM = {
    "SLURM_PROCID": "9", "SLURM_LOCALID": "1", "SLURM_STEP_NUM_TASKS": "16", "SLURM_NTASKS": "16",
    "SLURM_STEP_ID": "0", "SLURM_JOB_ID": "4711",
}  # fmt: skip


def test_torchrun() -> None:
    assert launched(TORCH) == Launch(
        rank=3, world_size=4, local_rank=1, local_world_size=2, address="node0:29500"
    )


def test_srun() -> None:
    expected = Launch(rank=9, world_size=16, local_rank=1, session="slurm-4711-0-0")
    assert launched(SLURM) == expected
    assert launched({k: v for k, v in SLURM.items() if k != "SLURM_STEP_NUM_TASKS"}) == expected
    whole = launched({**SLURM, "SLURM_STEP_TASKS_PER_NODE": "8(x2)"})
    assert whole is not None
    assert whole.local_world_size == 8
    requeued = launched({**SLURM, "SLURM_RESTART_COUNT": "2"})
    assert requeued is not None
    assert requeued.session == "slurm-4711-0-2", "what was left by the first start is not trusted"


def test_torchrun_under_srun_is_torchrun() -> None:
    found = launched({**SLURM, **TORCH})
    assert found is not None
    assert (found.rank, found.session) == (3, None)


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"RANK": "0", "WORLD_SIZE": "8"},  # left by something else: there is no address
        {**TORCH, "RANK": "0", "WORLD_SIZE": "1"},
        {k: v for k, v in SLURM.items() if k != "SLURM_STEP_ID"},  # the batch script itself
        {**SLURM, "SLURM_PROCID": "0", "SLURM_STEP_NUM_TASKS": "1"},
    ],
)
def test_one_process_alone(environment) -> None:
    assert launched(environment) is None


@pytest.mark.parametrize("change", [{"RANK": "x"}, {"RANK": "4"}, {"MASTER_PORT": "a"}])
def test_nonsense_is_refused(change) -> None:
    with pytest.raises(UsageError):
        launched({**TORCH, **change})
