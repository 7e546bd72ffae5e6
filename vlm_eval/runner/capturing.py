"""Capturing states during a run: of which trials, how much of them, and how they get to disk.

States wait in memory until there are enough for a shard or the unit of work ends. A trial whose
states were lost with the process is asked again: what is recorded without them does not count as
done (:mod:`vlm_eval.runner.execute`).
"""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray

from vlm_eval.core.capture import Captured
from vlm_eval.core.errors import RunError
from vlm_eval.core.hashing import derive_seed
from vlm_eval.metrics.dirichlet import dirichlet_energy
from vlm_eval.models.lru import Lru
from vlm_eval.runner.captures import FORMAT, SUFFIX
from vlm_eval.runner.folder import write_bytes

if TYPE_CHECKING:
    from vlm_eval.tasks.spec import Capture
    from vlm_eval.tasks.task import Task
    from vlm_eval.tasks.trials import Trial

SHARD_BYTES = 32 * 2**20
GIB = 2**30
GRID, ENERGY = "vision_grid", "vision_energy"
_Array = NDArray[np.float32]


@lru_cache(maxsize=1024)  # asked for several times for each trial of the unit at hand
def lot(seed: int, task: str, sample_id: str) -> int:
    """Return the number by which samples are drawn, the smallest first; it depends on no other."""
    return derive_seed(seed, task, sample_id, "capture")


@dataclass(frozen=True, eq=False)
class Wish:
    """Which trials of a task are captured.

    Attributes
    ----------
    task
        The task, which has a ``capture`` section.
    seed
        The run's.
    highest
        The largest :func:`lot` of the samples drawn; None for all samples.
    shared
        Requests that several units have in common and that a trial of any of them wants captured.
    """

    task: Task
    seed: int
    highest: int | None
    shared: Collection[str] = field(default=frozenset(), repr=False)

    @property
    def capture(self) -> Capture:
        """The task's section."""
        assert self.task.spec.capture is not None
        return self.task.spec.capture

    def draws(self, sample_id: str) -> bool:
        """Say whether a sample is drawn."""
        return self.highest is None or lot(self.seed, self.task.name, sample_id) <= self.highest

    def own(self, trial: Trial) -> bool:
        """Say whether a trial itself is to be captured."""
        return self.task.captures(trial.condition) and self.draws(trial.sample_id)

    def __call__(self, trial: Trial) -> bool:
        """Say whether a trial is, or another one that asks the same."""
        return trial.request.id in self.shared or self.own(trial)


class Reduction:
    """Makes of what a model gives what is stored: of grids, unless all is kept, their energy."""

    def __init__(self) -> None:
        # Requests about one image come with one array, one after the other.
        self._recent: Lru[int, tuple[_Array, _Array]] = Lru(4)

    def __call__(self, captured: Captured, capture: Capture) -> Captured:
        """Return what is stored of a request.

        The array ``vision_energy`` holds the Dirichlet energy, the mean squared norm of the tokens,
        the number of edges, frames, rows and columns; of the second image ``vision_energy_2``, and
        so on.
        """
        if capture.grid == "tokens":
            return captured
        arrays = {
            _renamed(site): self._energy(array) if site.startswith(GRID) else array
            for site, array in captured.arrays.items()
        }
        missing = {_renamed(site): why for site, why in captured.missing.items()}
        return replace(captured, arrays=arrays, missing=missing)

    def _energy(self, grid: _Array) -> _Array:
        def make() -> tuple[_Array, _Array]:
            return grid, np.array([*dirichlet_energy(grid), *grid.shape[:3]], dtype=np.float32)

        return self._recent.get(id(grid), make)[1]  # which keeps the grid, so that the id is its


def _renamed(site: str) -> str:
    return site.replace(GRID, ENERGY)


def nothing(request: str, capture: Capture) -> Captured:
    """Return what is stored of a request that was answered without giving any states."""
    return Captured(request, (), {}, dict.fromkeys(capture.sites, "the model gave no states"))


def size_of(captured: Captured) -> int:
    """Return about how many bytes are stored of a request."""
    names = sum(len(captured.request_id) + 80 for _ in captured.arrays)  # in the header
    return names + sum(array.nbytes for array in captured.arrays.values())


class CaptureWriter:
    """Collects what is captured and writes it as shards. One process, one folder.

    A context manager, at whose end what is left is written.

    Parameters
    ----------
    folder
        The folder of this process's shards; made when there is something to write.
    max_bytes
        What all shards of the run, of all processes, may take; None for any.

    Attributes
    ----------
    held
        Bytes that are not written yet, never much more than `SHARD_BYTES`.
    """

    def __init__(self, folder: Path, max_bytes: float | None = None) -> None:
        self._folder, self._max_bytes = folder, max_bytes
        self._waiting: dict[str, Captured] = {}
        self._task = ""
        self.held = 0

    def append(self, task: str, captured: Captured) -> None:
        """Take what was captured with a request of a task; it may be written only later.

        Raises
        ------
        RunError
            As :meth:`flush`.
        """
        first = next(iter(self._waiting.values()), captured)
        if self._waiting and (task, captured.layers) != (self._task, first.layers):
            self.flush()
        self._task = task
        if captured.request_id in self._waiting:
            return
        self._waiting[captured.request_id] = captured
        self.held += size_of(captured)
        if self.held >= SHARD_BYTES:
            self.flush()

    def flush(self) -> None:
        """Write what is waiting.

        Raises
        ------
        RunError
            If it cannot be written, or the states would take more than allowed.
        """
        if not self._waiting:
            return
        from safetensors.numpy import save

        first, *_ = self._waiting.values()
        tensors = {
            f"{request}/{site}": np.ascontiguousarray(array)
            for request, captured in self._waiting.items()
            for site, array in captured.arrays.items()
        }
        missing = {
            request: dict(captured.missing)
            for request, captured in self._waiting.items()
            if captured.missing
        }
        about = {"layers": json.dumps(first.layers), "missing": json.dumps(missing)}
        content = save(tensors, metadata={"format": FORMAT, "task": self._task, **about})
        self._check(len(content))
        write_bytes(self._next(), content)
        self._waiting, self.held = {}, 0

    def _check(self, more: int) -> None:
        shards = self._folder.parent.glob(f"rank-*/*{SUFFIX}")
        size = more + sum(path.stat().st_size for path in shards)
        if self._max_bytes is not None and size > self._max_bytes:
            self._waiting, self.held = {}, 0
            raise RunError(
                f"the captured states would take more than {self._max_bytes / GIB:.3g} GiB",
                where=str(self._folder.parent),
                hint=f"begin anew with {LOWER}; what is recorded is safe",
            )

    def _next(self) -> Path:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            for torn in self._folder.glob(f".*{SUFFIX}.*"):  # of a process that was killed
                torn.unlink()
        except OSError as error:
            raise RunError(
                f"cannot be written: {error.strerror or error}",
                where=str(self._folder),
                hint="what is recorded is safe; make room and run the same command with --resume",
            ) from error
        numbers = [path.stem for path in self._folder.glob(f"*{SUFFIX}") if path.stem.isdigit()]
        return self._folder / f"{1 + max(map(int, numbers), default=-1):06d}{SUFFIX}"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.flush()


LOWER = "fewer `samples` or `layers`, `grid: energy`, or a larger `max_gib` under `capture:`"
