"""The records of a run, a task at a time, each line read and parsed once."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from vlm_eval.core.errors import RunError
from vlm_eval.core.lines import lines
from vlm_eval.runner.records import Record, record_files

# How `Record.to_line` begins, where the task's name needs no escapes.
_BEGINNING = re.compile(rb'\{"request_hash":"\w*","task":"([\w.-]+)"')


class _Stretch(NamedTuple):
    """Neighbouring lines of one task: a file, and the bytes from `start` to `end`."""

    path: Path
    start: int
    end: int


class Archive:
    """Finds the lines of each task. Ranks do unit after unit, so that there are few stretches.

    Parameters
    ----------
    folder
        The ``records`` folder; it need not exist.

    Attributes
    ----------
    torn
        Lines that are no records, of the whole folder once every task has been read.

    Raises
    ------
    RunError
        If a file cannot be read.
    """

    def __init__(self, folder: Path) -> None:
        self.torn = 0
        self._stretches: dict[str, list[_Stretch]] = {}
        for path in record_files(folder):
            self._scan(path)

    def _scan(self, path: Path) -> None:
        now, start = "", 0
        for offset, line in lines(path):
            found = _BEGINNING.match(line)
            task = _task_of(line) if found is None else found[1].decode()
            if task != now:
                self._note(now, path, start, offset)
                now, start = task, offset
            self.torn += not task
        self._note(now, path, start, path.stat().st_size)

    def _note(self, task: str, path: Path, start: int, end: int) -> None:
        if task and end > start:
            self._stretches.setdefault(task, []).append(_Stretch(path, start, end))

    def of_task(self, task: str) -> Iterator[Record]:
        """Yield all records of a task in the order of the files, also those that others replace.

        Raises
        ------
        RunError
            If a file cannot be read.
        """
        for stretch in self._stretches.get(task, ()):
            for line in _lines(stretch):
                record = Record.parse(line)
                if record is None or record.task != task:
                    self.torn += 1
                else:
                    yield record


def _task_of(line: bytes) -> str:
    """Return the task of a line that is written in another way; empty if it is no record."""
    record = Record.parse(line)
    return "" if record is None else record.task


def _lines(stretch: _Stretch) -> Iterator[bytes]:
    try:
        with stretch.path.open("rb") as file:
            file.seek(stretch.start)
            left = stretch.end - stretch.start
            while left > 0 and (line := file.readline()):
                left -= len(line)
                yield line
    except OSError as error:
        raise RunError(f"cannot be read: {error.strerror}", where=str(stretch.path)) from error
