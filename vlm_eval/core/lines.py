"""Files of lines that are only ever appended to."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from vlm_eval.core.errors import RunError


def lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Yield the lines with where each begins. Raises RunError if the file cannot be read."""
    offset = 0
    try:
        with path.open("rb") as file:
            for line in file:
                yield offset, line
                offset += len(line)
    except OSError as error:
        raise RunError(f"cannot be read: {error.strerror}", where=str(path)) from error


def lines_at(path: Path, offsets: Iterable[int]) -> Iterator[bytes]:
    """Yield the lines that begin at these offsets, which ascend. Raises RunError as `lines`."""
    try:
        with path.open("rb") as file:
            position = 0
            for offset in offsets:
                if offset != position:
                    file.seek(offset)
                line = file.readline()
                position = offset + len(line)
                yield line
    except OSError as error:
        raise RunError(f"cannot be read: {error.strerror}", where=str(path)) from error


def cut_torn_tail(fd: int) -> int:
    """Cut what follows the last newline; return the size that is left."""
    end = os.fstat(fd).st_size
    position = end
    while position > 0:
        start = max(0, position - 65536)
        newline = os.pread(fd, position - start, start).rfind(b"\n")
        if newline >= 0:
            position = start + newline + 1
            break
        position = start
    if position < end:
        os.ftruncate(fd, position)
    return position


def lock(fd: int, path: Path) -> None:
    """Keep other processes from writing. Raises RunError if one does already."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise RunError(
            "another process is writing to this run",
            where=str(path),
            hint="wait for it or stop it, or choose another --output_path",
        ) from error
    except OSError:  # a file system without locks: the guard is lost, nothing else
        return
