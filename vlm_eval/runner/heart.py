"""Signs of life: each rank says how far it is, and one process shows it for all."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from typing import Any

from vlm_eval.runner.progress import Progress, Silence
from vlm_eval.runner.units import Beat, Work

BEAT_SECONDS = 2.0


class Overview:
    """Shows the progress of all ranks together.

    Parameters
    ----------
    progress
        Where it is shown.
    work
        Where the ranks beat.
    world_size
        How many there are.
    """

    def __init__(self, progress: Progress, work: Work, world_size: int) -> None:
        self._progress, self._work, self._size = progress, work, world_size
        self._left: int | None = None
        self._shown = self._failed = 0

    def refresh(self) -> None:
        """Show what the ranks have done since the last time."""
        if self._left is None:
            plan = self._work.plan()
            if plan is None:
                return
            self._progress.start(plan["trials"], plan["recorded"])
            self._left = plan["trials"] - plan["recorded"]
        beats = [self._work.last_beat(rank) for rank in range(self._size)]
        done = min(self._left, sum(beat.done for beat in beats))
        failed = sum(beat.failed for beat in beats)
        for _ in range(self._shown, done):
            self._progress.advance(failed=self._failed < failed)
            self._failed = min(failed, self._failed + 1)
        self._shown = max(self._shown, done)


class Heart(Silence):
    """Beats while records come in, so that a process that hangs falls silent.

    Parameters
    ----------
    work, rank
        Where to beat, and as whom.
    overview
        What to refresh at every beat, in the process that shows the progress of all.
    """

    def __init__(self, work: Work, rank: int, overview: Overview | None) -> None:
        self._work, self._rank, self._overview = work, rank, overview
        self._last = Beat(pid=os.getpid())
        self._began = self._at = time.monotonic()
        self._done = self._failed = 0
        self.beat()

    def advance(self, *, failed: bool) -> None:
        """See :class:`~vlm_eval.runner.progress.Progress`."""
        self._done += 1
        self._failed += failed
        self.tick()

    def tick(self) -> None:
        """Beat if it is time to."""
        if time.monotonic() - self._at >= BEAT_SECONDS:
            self.beat()

    def beat(self, **more: Any) -> None:
        """Beat."""
        self._at = time.monotonic()
        self._last = replace(
            self._last, count=self._last.count + 1, done=self._done, failed=self._failed, **more
        )
        self._work.beat(self._rank, self._last)
        if self._overview is not None:
            self._overview.refresh()

    def stop(self, model: dict[str, Any]) -> None:
        """Beat for the last time."""
        self.beat(state="finished", model=model, seconds=time.monotonic() - self._began)
