"""Ranks on this machine, started and watched by one parent: ``--num_processes``.

The parent loads no model. It shows one progress for all, notices a rank that dies and lets the
others have its units, and ends the run. Ranks end with their parent, however that ends.
"""

from __future__ import annotations

import contextlib
import json
import secrets
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from vlm_eval.core import errors
from vlm_eval.core.errors import RunError, UsageError, VlmEvalError
from vlm_eval.runner.desk import Desk
from vlm_eval.runner.heart import Overview
from vlm_eval.runner.job import Job
from vlm_eval.runner.meeting import Launch
from vlm_eval.runner.part import (
    FAREWELL_SECONDS,
    check_several,
    complete,
    published_plans,
    units_of,
)
from vlm_eval.runner.progress import make_progress
from vlm_eval.runner.rank import FAULT_MARK
from vlm_eval.runner.units import POLL_SECONDS, Unit, Watch, Work

if TYPE_CHECKING:
    from vlm_eval.runner.results import Results

# The rank's Python finds packages where this one does, wherever that was told.
_START = (
    "import json, sys; order = json.loads(sys.stdin.readline()); sys.path[:] = order['path']; "
    "from vlm_eval.runner.rank import main; sys.exit(main(order))"
)


def run_local(job: Job, count: int) -> Results:
    """Do a run with several ranks on this machine.

    Parameters
    ----------
    job
        What to do.
    count
        How many ranks, 2 or more.

    Raises
    ------
    VlmEvalError
        As :func:`vlm_eval.evaluate`; the first fault of any rank; RunError if all have died.
    """
    from vlm_eval.models.registry import resolve

    check_several(job, Launch(rank=0, world_size=count, local_world_size=count))
    assert isinstance(job.model, str)
    folder = job.run_folder(resolve(job.model).name)
    folder.check_free(resume=job.resume)
    tasks = job.load_tasks()
    work = Work(folder.work, secrets.token_hex(6))
    order = replace(job, output_path=str(folder.path), progress=False)
    with (
        make_progress(quiet=not job.progress) as progress,
        tempfile.TemporaryDirectory() as desk,
    ):
        crew = _Crew(order, count, work, desk)
        try:
            crew.supervise(
                Overview(progress, work, count),
                lambda: units_of(published_plans(job, tasks, work)),
            )
        finally:
            crew.end()
    return complete(job, folder, tasks, work, count)


class _Crew:
    """The ranks."""

    def __init__(self, job: Job, count: int, work: Work, desk: str) -> None:
        self._work, self._lease = work, job.lease
        self._desk = Desk(desk).work
        self._desk.publish({})
        self._said: set[str] = set()
        self._dead: dict[int, str] = {}
        self._children: list[_Child] = []
        try:
            for rank in range(count):
                launch = Launch(
                    rank=rank, world_size=count, local_rank=rank, local_world_size=count,
                    session=work.session, desk=desk,
                )  # fmt: skip
                self._children.append(_Child(job, launch, self._say))
        except BaseException:
            self.end()
            raise

    def supervise(self, overview: Overview, units: Callable[[], Sequence[Unit]]) -> None:
        """Return when all units are done and all ranks have ended. Raises as `run_local`."""
        watch = Watch(self._work, self._lease)
        known: Sequence[Unit] | None = None
        deadline: float | None = None
        while any(child.runs for child in self._children):
            time.sleep(POLL_SECONDS)
            if known is None and self._work.plan() is not None:
                known = units()
            overview.refresh()
            self._notice_ends()
            if known is None and 0 in self._dead:
                raise RunError(f"rank 0 {self._dead[0]} before the run began")
            self._bury(self._desk if known is None else self._work)
            if known is not None and not self._work.unfinished(known):
                deadline = deadline or time.monotonic() + FAREWELL_SECONDS
                self._dismiss(watch, late=time.monotonic() > deadline)
        overview.refresh()
        if known is None or self._work.unfinished(known):
            how = "; ".join(f"rank {rank} {how}" for rank, how in sorted(self._dead.items()))
            raise RunError(
                f"no process is left: {how}",
                hint="what is recorded is safe; continue with --resume",
            )

    def _notice_ends(self) -> None:
        for rank, child in enumerate(self._children):
            if child.runs or rank in self._dead or not child.status():
                continue
            if child.fault is not None:
                raise child.fault
            self._dead[rank] = _how(child.status())
            if any(other.runs for other in self._children):
                self._say(f"vlm_eval: warning: rank {rank} {self._dead[rank]}; the others go on")

    def _bury(self, work: Work) -> None:
        """Let the others have the units of the dead."""
        for rank in self._dead:
            last = work.last_beat(rank)
            if last.state != "dead":
                work.beat(rank, replace(last, state="dead", count=last.count + 1))

    def _dismiss(self, watch: Watch, *, late: bool) -> None:
        """End the ranks that hang though all work is done."""
        for rank, child in enumerate(self._children):
            hangs = child.runs and watch.lost(rank)
            if hangs and rank not in self._dead:
                self._dead[rank] = "hung"
                self._say(f"vlm_eval: warning: rank {rank} hangs and is ended; its work is done")
            if hangs or late:
                child.end()

    def _say(self, line: str, rank: int = 0) -> None:
        """Print what a rank says; not what others have said before it."""
        if rank == 0 or line not in self._said:
            self._said.add(line)
            print(line, file=sys.stderr, flush=True)

    def end(self) -> None:
        """End all ranks. What they have recorded stays."""
        for child in self._children:
            child.end()


class _Child:
    """A rank in a process of its own."""

    def __init__(self, job: Job, launch: Launch, say: Callable[[str, int], None]) -> None:
        self.fault: VlmEvalError | None = None
        self._say, self._rank = say, launch.rank
        order = {"path": sys.path, "job": job.to_json(), "launch": asdict(launch)}
        try:
            text = json.dumps(order)
        except TypeError as error:
            raise UsageError(f"an argument cannot go to other processes: {error}") from error
        with _deaf_to_interrupts():
            self._process = subprocess.Popen(
                [sys.executable, "-c", _START],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            )  # fmt: skip
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        with contextlib.suppress(BrokenPipeError):  # its end will be noticed
            assert self._process.stdin is not None
            self._process.stdin.write(text.encode() + b"\n")
            self._process.stdin.flush()  # and left open: when it closes, the rank ends

    @property
    def runs(self) -> bool:
        """Whether it has not ended."""
        return self._process.poll() is None

    def status(self) -> int:
        """Return its exit status, when it has ended and all that it said is read."""
        status = self._process.wait()
        self._reader.join(timeout=5)
        return status

    def end(self) -> None:
        """End it if it runs."""
        if self.runs:
            self._process.kill()
        self._process.wait()
        self._reader.join(timeout=5)
        with contextlib.suppress(OSError):
            assert self._process.stdin is not None
            self._process.stdin.close()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for raw in self._process.stdout:
            line = raw.decode(errors="replace").rstrip().rpartition("\r")[2]
            if line.startswith(FAULT_MARK):
                self.fault = _fault(json.loads(line.removeprefix(FAULT_MARK)))
            elif line:
                self._say(line, self._rank)


@contextlib.contextmanager
def _deaf_to_interrupts() -> Iterator[None]:
    """What is started here never sees Ctrl-C, which a terminal sends to all: the parent ends it.

    It would hit a rank in the middle of its imports, and be told with a traceback.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # inherited
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _fault(said: dict[str, Any]) -> VlmEvalError:
    kind = getattr(errors, said["kind"], RunError)
    error: VlmEvalError = kind(said["what"], where=said["where"], hint=said["hint"])
    return error


def _how(status: int) -> str:
    if status < 0:
        with contextlib.suppress(ValueError):
            return f"was ended by {signal.Signals(-status).name}"
    return f"ended with status {status}"
