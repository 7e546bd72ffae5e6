"""Results of an analysis that are on disk the moment they are there, so that it can be continued.

A ledger is a file of JSON lines, each a key and a value, only ever appended to by one process. The
last line of a key wins; a torn last line is cut off.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from vlm_eval.core.errors import RunError
from vlm_eval.core.hashing import digest
from vlm_eval.core.lines import cut_torn_tail, lines, lock


class Ledger:
    """Values by key, on disk. A context manager.

    Parameters
    ----------
    path
        The file; its folder exists.
    asks
        What determines the values besides the key, JSON-able: options, model, data. A ledger of
        something else is begun anew.

    Raises
    ------
    RunError
        If the file cannot be read or written, or another process holds it.
    """

    def __init__(self, path: Path, asks: Any) -> None:
        self._path, self._asks = path, digest(asks)
        self._values: dict[str, Any] = {}
        try:
            self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        except OSError as error:
            raise self._fault(error) from error
        try:
            lock(self._fd, path)
            cut_torn_tail(self._fd)
            self._read()
        except BaseException:
            os.close(self._fd)
            raise

    def _read(self) -> None:
        found = [json.loads(line) for _, line in lines(self._path)]
        if found and found[0] != {"asks": self._asks}:
            os.ftruncate(self._fd, 0)
            found = []
        if not found:
            self._append({"asks": self._asks})
        self._values = {entry["key"]: entry["value"] for entry in found[1:]}

    def _append(self, entry: dict[str, Any]) -> None:
        line = json.dumps(entry, separators=(",", ":"), allow_nan=False).encode() + b"\n"
        try:
            written = os.write(self._fd, line)
            if written < len(line):
                raise OSError(f"only {written} of {len(line)} bytes could be written")
        except OSError as error:
            raise self._fault(error) from error

    def _fault(self, error: OSError) -> RunError:
        hint = "make room; what is there is safe, and the same command continues it"
        return RunError(
            f"cannot be written: {error.strerror or error}", where=str(self._path), hint=hint
        )

    def __contains__(self, key: object) -> bool:
        return key in self._values

    def __getitem__(self, key: str) -> Any:
        return self._values[key]

    def __setitem__(self, key: str, value: Any) -> None:
        self._append({"key": key, "value": value})
        self._values[key] = value

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        os.close(self._fd)
