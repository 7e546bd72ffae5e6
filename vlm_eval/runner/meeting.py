"""How the processes of one launch find each other: they agree on the name of the session.

After that they share nothing but the run folder (:mod:`vlm_eval.runner.units`). No process group is
formed, so none can wait for a peer that has died.
"""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Protocol

from vlm_eval.core.errors import RunError
from vlm_eval.runner.folder import RunFolder
from vlm_eval.runner.units import POLL_SECONDS, Work

PATIENCE = 3600.0  # seconds; rank 0 plans all tasks and loads the model before the others go on
FAREWELL_SECONDS = 10.0
_KEY, _HEARD, _FAILED = "vlm_eval/session", "vlm_eval/heard", "-"


@dataclass(frozen=True, kw_only=True)
class Launch:
    """Which process of a launch this is.

    Attributes
    ----------
    rank, world_size
        Its number, from 0, and how many there are on all machines.
    local_rank, local_world_size
        The same on its machine.
    session
        A name that every process of this launch has, and no other launch; None if they only have an
        address in common.
    address
        ``HOST:PORT`` of rank 0's (or the launcher's) key-value store, where there is no name.
    desk
        A folder where the ranks plan together, see :mod:`vlm_eval.runner.desk`; rank 0 plans alone
        if None.
    """

    rank: int
    world_size: int
    local_rank: int = 0
    local_world_size: int = 1
    session: str | None = None
    address: str | None = None
    desk: str | None = None


class RankZeroError(RunError):
    """Rank 0 could not begin, and has said why."""


class Meeting(Protocol):
    """Where rank 0 tells the others that the run has begun."""

    def begun(self, session: str | None) -> None:
        """Said by rank 0: the session's work is published; None if it could not begin."""
        ...

    def work(self, folder: RunFolder) -> Work | None:
        """Return the published work, None if it has been done already. Waits for rank 0.

        Raises
        ------
        RunError
            If rank 0 could not begin, or does not say anything.
        """
        ...


def meet(launch: Launch) -> tuple[str, Meeting]:
    """Return the session's name, as rank 0 must use it, and the meeting.

    Raises
    ------
    RunError
        If the address cannot be reached.
    """
    if launch.session is not None or launch.address is None:
        session = launch.session or "session"
        return session, _AtFolder(session)
    return secrets.token_hex(6), _AtStore(launch)


class _AtFolder:
    """By name: what rank 0 publishes in the run folder is the sign."""

    def __init__(self, session: str) -> None:
        self._session = session

    def begun(self, session: str | None) -> None:
        """See :class:`Meeting`; publishing the work has said it."""

    def work(self, folder: RunFolder) -> Work | None:
        """See :class:`Meeting`."""
        work = Work(folder.work, self._session)
        end = time.monotonic() + PATIENCE
        while work.plan() is None:
            if _over(folder, self._session):
                return None
            if time.monotonic() > end:
                raise _silent(folder.path)
            time.sleep(POLL_SECONDS)
        return work


class _AtStore:
    """By address: rank 0 writes the name into the launcher's key-value store."""

    def __init__(self, launch: Launch) -> None:
        from torch.distributed.rendezvous import rendezvous

        self._others = launch.world_size - 1
        url = f"tcp://{launch.address}?rank={launch.rank}&world_size={launch.world_size}"
        try:
            self._store: Any = next(iter(rendezvous(url, timeout=timedelta(seconds=PATIENCE))))[0]
        except (RuntimeError, ValueError) as error:
            raise RunError(
                f"the other processes of this launch cannot be met: {error}",
                where=launch.address,
                hint="check MASTER_ADDR and MASTER_PORT",
            ) from error

    def begun(self, session: str | None) -> None:
        """See :class:`Meeting`."""
        self._store.set(_KEY, session or _FAILED)
        end = time.monotonic() + FAREWELL_SECONDS
        while session is None and time.monotonic() < end and self._heard() < self._others:
            time.sleep(POLL_SECONDS)  # the store may end with this process

    def _heard(self, more: int = 0) -> int:
        return int(self._store.add(_HEARD, more))

    def work(self, folder: RunFolder) -> Work | None:
        """See :class:`Meeting`."""
        try:
            session = self._store.get(_KEY).decode()
            self._heard(1)
        except RuntimeError as error:
            if folder.holds_results:  # rank 0 has ended the run while this one was loading
                return None
            raise _silent(folder.path) from error
        if session == _FAILED:
            raise RankZeroError("rank 0 could not begin", where=str(folder.path))
        work = Work(folder.work, session)
        end = time.monotonic() + 60  # a network file system may show it late
        while work.plan() is None:
            if _over(folder, session):
                return None
            if time.monotonic() > end:
                hint = "--output_path must be one folder, on a file system that all machines share"
                raise RunError("rank 0's work is not here", where=str(folder.path), hint=hint)
            time.sleep(POLL_SECONDS)
        return work


def _over(folder: RunFolder, session: str) -> bool:
    """Whether others have done all the work of a session already."""
    if not folder.holds_results:
        return False
    last = folder.manifest()["sessions"][-1]
    return last.get("session") == session and "seconds" in last


def _silent(path: Path) -> RunError:
    hint = "see what it has printed; continue with --resume"
    return RunError("rank 0 does not begin", where=str(path), hint=hint)
