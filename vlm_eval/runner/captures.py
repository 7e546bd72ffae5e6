"""Captured states on disk: shards beside the records, found by request hash.

A run folder holds ``captures/rank-000/000000.safetensors`` and so on, one folder a process, each
shard written whole or not at all. A tensor is named ``HASH/SITE`` by the request that it was
captured with. The metadata of a shard say what the format is, the task, the labels of the layer
axis, and of requests that do not have a site why not. If a request was captured twice, the first
one counts, in the order of processes and shards.

Reading begins with the headers alone; arrays are read as they are asked for.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vlm_eval.core.capture import Captured
from vlm_eval.core.errors import RunError
from vlm_eval.models.lru import Lru

if TYPE_CHECKING:
    from vlm_eval.metrics.table import TableRow

FORMAT = "vlm_eval captures 1"
SUFFIX = ".safetensors"
OPEN = 8  # shards at most whose headers are kept


@dataclass(frozen=True, slots=True)
class _Shard:
    """What the header of a shard says.

    Attributes
    ----------
    path
        The file.
    layers
        Labels of the layer axis.
    sites
        By request, the sites that it has.
    missing
        By request, the sites that it does not have, and why; only requests that lack one.
    """

    path: Path
    layers: tuple[str, ...]
    sites: Mapping[str, tuple[str, ...]]
    missing: Mapping[str, Mapping[str, str]]


class CaptureIndex:
    """What a run folder's captures hold, without holding them: which request is in which shard.

    Parameters
    ----------
    folder
        The ``captures`` folder; it need not exist.

    Attributes
    ----------
    faults
        Shards that cannot be read, and why; what they hold counts as not captured.
    shards, size
        How many shards there are, and their bytes.
    """

    def __init__(self, folder: Path) -> None:
        self.faults: list[str] = []
        self.shards = self.size = 0
        self._paths: list[Path] = []
        self._shard_of: dict[str, int | None] = {}
        self._open: Lru[int, tuple[_Shard, Any]] = Lru(OPEN)
        for path in shard_files(folder):
            try:
                shard, _ = _opened(path)
                self.size += path.stat().st_size
            except (RunError, OSError) as error:
                self.faults.append(str(error))
                continue
            self.shards += 1
            for request in shard.sites.keys() | shard.missing.keys():
                self._shard_of.setdefault(request, len(self._paths))
            self._paths.append(path)

    def __contains__(self, request: object) -> bool:
        """Whether states were captured with a request, or it is known to have none."""
        return request in self._shard_of

    def __iter__(self) -> Iterator[str]:
        """Yield the hashes of the requests."""
        return iter(self._shard_of)

    def __len__(self) -> int:
        return len(self._shard_of)

    def note(self, request: str) -> None:
        """Note a request that this process has just captured; only whether it is there is known."""
        self._shard_of.setdefault(request, None)

    def load(self, request: str) -> Captured | None:
        """Return what was captured with a request, None if nothing was.

        Its arrays are read from the disk each time that one is taken.

        Raises
        ------
        RunError
            If the shard, which could be read before, cannot be any more.
        """
        number = self._shard_of.get(request)
        if number is None:
            return None
        shard, handle = self._open.get(number, partial(_opened, self._paths[number]))
        arrays = _Arrays(request, shard.sites.get(request, ()), handle)
        return Captured(request, shard.layers, arrays, dict(shard.missing.get(request, {})))

    def describe(self) -> dict[str, Any]:
        """Return how much there is, JSON-able."""
        return {
            "requests": len(self),
            "shards": self.shards,
            "bytes": self.size,
            "faults": list(self.faults),
        }


@dataclass(frozen=True, eq=False)
class _Arrays(Mapping[str, NDArray[np.float32]]):
    """The arrays of one request by site, each read when it is taken."""

    request: str
    sites: Sequence[str]
    handle: Any = field(repr=False)

    def __getitem__(self, site: str) -> NDArray[np.float32]:
        if site not in self.sites:
            raise KeyError(site)
        array: NDArray[np.float32] = self.handle.get_tensor(f"{self.request}/{site}")
        return array

    def __iter__(self) -> Iterator[str]:
        return iter(self.sites)

    def __len__(self) -> int:
        return len(self.sites)


@dataclass(frozen=True)
class RunStates:
    """The captured states of a run as metrics and analyses read them; see `metrics.table.States`.

    Attributes
    ----------
    index
        What was captured.
    """

    index: CaptureIndex

    def of(self, row: TableRow) -> Captured | None:
        """Return what was captured with a trial, None if nothing, or if the trial failed."""
        return None if row.failed else self.index.load(row.request)


def shard_files(folder: Path) -> list[Path]:
    """Return the shards of a ``captures`` folder, by process and number."""
    return sorted(folder.glob(f"rank-*/*{SUFFIX}"))


def _opened(path: Path) -> tuple[_Shard, Any]:
    """Return what a shard's header says, and what reads its tensors.

    Raises
    ------
    RunError
        If it is no such shard, or damaged.
    """
    from safetensors import SafetensorError, safe_open

    hint = "its requests are asked again by --resume; remove it then"
    try:
        handle: Any = safe_open(path, framework="np")
        found = handle.metadata() or {}
        names = list(handle.keys())
    except (SafetensorError, OSError) as error:
        raise RunError(f"is torn or no shard: {error}", where=str(path), hint=hint) from error
    if found.get("format") != FORMAT:
        what = f"is no shard of captured states: its format is {found.get('format')!r}"
        raise RunError(what, where=str(path), hint=hint)
    try:
        layers, missing = json.loads(found["layers"]), json.loads(found["missing"])
        sites: dict[str, tuple[str, ...]] = {}
        for name in names:
            request, _, site = name.rpartition("/")
            sites[request] = (*sites.get(request, ()), site)
        shard = _Shard(path, tuple(map(str, layers)), sites, {**missing})
    except (KeyError, ValueError, TypeError) as error:
        raise RunError("its metadata are damaged", where=str(path), hint=hint) from error
    return shard, handle
