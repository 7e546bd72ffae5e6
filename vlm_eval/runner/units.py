"""Units of work that several processes draw from one folder, and how they see that one is lost.

Processes (*ranks*) share nothing but the run folder, where a launch has ``work/SESSION/``::

    plan.json           what there is to do; the first file, written by rank 0
    TASK.N.G.claim      unit N of a task was drawn by the rank that it names, as the G-th in turn
    TASK.N.done         its records are on the disk
    TASK.N.json         what came of it, where that is no record
    rank-000.json       the heartbeat of a rank: a number that grows, and what it has done

A claim is made by creating a file that must not exist, which is atomic on local and on network file
systems, and is never removed. A rank whose heartbeat has stood still for the *lease* is lost, and
so is one that has been declared dead: its claims may be claimed in the next turn by one other.
Clocks of different machines are never compared. If a rank that was given up comes back, a unit is
done twice; records have keys, so that nothing counts twice.

All of it is scaffolding: the records decide what is done when a run is continued.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeAlias

from vlm_eval.core.errors import RunError
from vlm_eval.runner.folder import write_atomic

PLAN = "plan.json"
CLOSING = -1  # the number of the unit that computes a task's results
POLL_SECONDS = 0.2
NAME_SECONDS = 10.0  # from a claim to the name in it; a network file system may be slow
State: TypeAlias = Literal["working", "finished", "dead"]


class Unit(NamedTuple):
    """A unit of work: the task's name and the number of its block of samples, or `CLOSING`."""

    task: str
    number: int


@dataclass(frozen=True)
class Beat:
    """A heartbeat: what a rank says of itself.

    Attributes
    ----------
    count
        Grows with every beat.
    done, failed
        Trials that it has recorded, and those of them that failed.
    state
        ``finished`` when nothing is left to do; ``dead`` is said by others.
    pid
        Process id, on its machine.
    model, seconds
        At its end: what the model says of itself, and wall seconds.
    """

    count: int = 0
    done: int = 0
    failed: int = 0
    state: State = "working"
    pid: int | None = None
    model: dict[str, Any] | None = None
    seconds: float | None = None


class Work:
    """The folder ``work/SESSION`` of a run folder.

    Parameters
    ----------
    folder
        The run folder's ``work``.
    session
        The name of this launch.
    """

    def __init__(self, folder: Path, session: str) -> None:
        self.session = session
        self._root, self._folder = folder, folder / session

    def publish(self, plan: Any) -> None:
        """Begin: remove what other launches have left, and say what there is to do."""
        try:
            self.remove()
            self._folder.mkdir(parents=True)
            write_atomic(self._folder / PLAN, json.dumps(plan))
        except OSError as error:
            raise _fault(self._folder, error) from error

    def plan(self) -> Any | None:
        """Return what there is to do, None as long as that is not said."""
        return _read(self._folder / PLAN)

    def remove(self) -> None:
        """Remove everything. What cannot be removed does no harm."""
        shutil.rmtree(self._root, ignore_errors=True)

    def claim(self, unit: Unit, rank: int, turn: int = 0) -> bool:
        """Draw a unit; false if another rank was faster.

        Raises
        ------
        RunError
            If the folder cannot be written, or is gone because the run was continued elsewhere.
        """
        try:
            path = self._folder / f"{unit.task}.{unit.number}.{turn}.claim"
            fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        except FileExistsError:
            return False
        except OSError as error:
            raise _fault(self._folder, error) from error
        with os.fdopen(fd, "w") as file:
            file.write(f"{rank}\n")
        return True

    def owner(self, unit: Unit) -> tuple[int | None, int]:
        """Return who drew a unit last, None if it did not get to say so, and its turn."""
        turn = 0
        while (self._folder / f"{unit.task}.{unit.number}.{turn + 1}.claim").exists():
            turn += 1
        try:
            text = (self._folder / f"{unit.task}.{unit.number}.{turn}.claim").read_text()
        except OSError:
            text = ""
        return (int(text) if text.strip().isdigit() else None), turn

    def finish(self, unit: Unit) -> None:
        """Note that the records of a unit are on the disk. Raises RunError as :meth:`claim`."""
        try:
            (self._folder / f"{unit.task}.{unit.number}.done").touch()
        except OSError as error:
            raise _fault(self._folder, error) from error

    def unfinished(self, units: Sequence[Unit]) -> list[Unit]:
        """Return the units that are not done. Raises RunError if the folder is gone."""
        try:
            names = {path.name for path in self._folder.iterdir()}
        except OSError as error:
            raise _fault(self._folder, error) from error
        return [unit for unit in units if f"{unit.task}.{unit.number}.done" not in names]

    def note(self, unit: Unit, value: Any) -> None:
        """Note what came of a unit. Raises RunError as :meth:`claim`."""
        self._replace(f"{unit.task}.{unit.number}.json", value)

    def noted(self, unit: Unit) -> Any | None:
        """Return what came of a unit, None if nothing is noted."""
        return _read(self._folder / f"{unit.task}.{unit.number}.json")

    def beat(self, rank: int, beat: Beat) -> None:
        """Replace a rank's heartbeat. Raises RunError as :meth:`claim`."""
        self._replace(f"rank-{rank:03d}.json", asdict(beat))

    def _replace(self, name: str, value: Any) -> None:
        path = self._folder / name
        temporary = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            temporary.write_text(json.dumps(value), encoding="utf-8")
            temporary.replace(path)
        except OSError as error:
            raise _fault(path, error) from error

    def last_beat(self, rank: int) -> Beat:
        """Return a rank's heartbeat, one that counts 0 if there is none yet."""
        found = _read(self._folder / f"rank-{rank:03d}.json")
        return Beat() if found is None else Beat(**found)


class Watch:
    """Tells which ranks are lost, by this process's own clock.

    Parameters
    ----------
    work
        Where they beat.
    lease
        Seconds without a heartbeat after which a rank is lost.
    clock
        Returns seconds.
    """

    def __init__(
        self, work: Work, lease: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._work, self._lease, self._clock = work, lease, clock
        self._seen: dict[int | None, tuple[int, float]] = {}

    def lost(self, rank: int | None) -> bool:
        """Whether a rank has died or hangs; None is one that has not written its name."""
        lease = self._lease if rank is not None else min(self._lease, NAME_SECONDS)
        beat = Beat() if rank is None else self._work.last_beat(rank)
        now = self._clock()
        count, since = self._seen.get(rank, (-1, now))
        if beat.count != count:
            since = now
        self._seen[rank] = beat.count, since
        return beat.state == "dead" or now - since > lease


def drawn(
    work: Work, units: Sequence[Unit], rank: int, watch: Watch, idle: Callable[[], None]
) -> Iterator[tuple[Unit, bool]]:
    """Yield what a rank draws, until every unit of all ranks is done.

    Units that nobody has drawn come first, in order; then those of ranks that are lost. The caller
    calls :meth:`Work.finish` before it asks for the next one.

    Parameters
    ----------
    work
        Where units are drawn.
    units
        All of them.
    rank
        Who draws.
    watch
        Tells whose units may be taken over.
    idle
        Called now and then while there is nothing to do but wait for others.

    Yields
    ------
    tuple
        The unit, and whether another rank has begun it, so that part of it may be recorded.
    """
    for unit in units:
        if work.claim(unit, rank):
            yield unit, False
    while left := work.unfinished(units):
        taken = False
        for unit in left:
            owner, turn = work.owner(unit)
            if owner != rank and watch.lost(owner) and work.claim(unit, rank, turn + 1):
                taken = True
                yield unit, True
        if not taken:
            idle()
            time.sleep(POLL_SECONDS)


def _read(path: Path) -> Any | None:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _fault(path: Path, error: OSError) -> RunError:
    gone = isinstance(error, FileNotFoundError)
    what = "is gone: the run was continued by others" if gone else f"cannot be used: {error}"
    return RunError(what, where=str(path), hint="what is recorded is safe; continue with --resume")
