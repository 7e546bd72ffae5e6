"""How far a run is: a bar on a terminal, a line every ten seconds elsewhere, or nothing."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self, TextIO

if TYPE_CHECKING:
    from rich.progress import TaskID

LINE_SECONDS = 10.0


class Progress(Protocol):
    """A context manager that is told of every trial."""

    def start(self, total: int, done: int) -> None:
        """Trials in all, and those that were recorded before."""
        ...

    def advance(self, *, failed: bool) -> None:
        """One more trial is recorded."""
        ...

    def tick(self) -> None:
        """The work goes on, whether or not a trial was recorded."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...


class Silence:
    """Shows nothing."""

    def start(self, total: int, done: int) -> None:
        """See :class:`Progress`."""

    def advance(self, *, failed: bool) -> None:
        """See :class:`Progress`."""

    def tick(self) -> None:
        """See :class:`Progress`."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        return None


class Lines(Silence):
    """Writes a line at the start, every ten seconds, and at the end.

    Parameters
    ----------
    file
        Where to.
    clock
        Returns seconds.
    """

    def __init__(self, file: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self._file, self._clock = file, clock
        self._total = self._before = self._done = self._failed = 0
        self._began = self._said = 0.0

    def start(self, total: int, done: int) -> None:
        """See :class:`Progress`."""
        self._total, self._before, self._done = total, done, done
        self._began = self._clock()
        self._say(self._began)

    def advance(self, *, failed: bool) -> None:
        """See :class:`Progress`."""
        self._done += 1
        self._failed += failed
        now = self._clock()
        if now - self._said >= LINE_SECONDS or self._done == self._total:
            self._say(now)

    def _say(self, now: float) -> None:
        self._said = now
        share = 100 * self._done / max(1, self._total)
        parts = [f"{self._done:,} of {self._total:,} trials ({share:.0f} %)"]
        asked, seconds = self._done - self._before, now - self._began
        if asked and seconds > 0:
            parts.append(f"{asked / seconds:.1f}/s")
            if self._done < self._total:
                parts.append(f"{duration((self._total - self._done) * seconds / asked)} left")
        elif self._before:
            parts.append(f"{self._before:,} recorded before")
        if self._failed:
            parts.append(f"{self._failed:,} failed")
        print("vlm_eval:", ", ".join(parts), file=self._file, flush=True)


class Bar(Silence):
    """Draws a bar with rate and time left."""

    def __init__(self, file: TextIO) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as RichProgress

        self._bar = RichProgress(
            TextColumn("trials"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[failures]}", style="red"),
            console=Console(file=file),
        )
        self._task: TaskID | None = None
        self._asked = self._failed = 0
        self._began = 0.0

    def start(self, total: int, done: int) -> None:
        """See :class:`Progress`."""
        self._began = time.monotonic()
        self._task = self._bar.add_task("", total=total, completed=done, rate="", failures="")

    def advance(self, *, failed: bool) -> None:
        """See :class:`Progress`."""
        if self._task is None:
            return
        self._asked += 1
        self._failed += failed
        rate = self._asked / max(1e-9, time.monotonic() - self._began)
        failures = f"{self._failed:,} failed" if self._failed else ""
        self._bar.update(self._task, advance=1, rate=f"{rate:.1f}/s", failures=failures)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.stop()


def make_progress(*, quiet: bool, file: TextIO | None = None) -> Progress:
    """Return what suits a stream: standard error if None."""
    stream = sys.stderr if file is None else file
    if quiet:
        return Silence()
    return Bar(stream) if stream.isatty() else Lines(stream)


def duration(seconds: float) -> str:
    """Return a rough duration.

    >>> duration(59), duration(150), duration(7500)
    ('59 s', '3 min', '2.1 h')
    """
    if seconds < 60:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
