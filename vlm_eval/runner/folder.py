"""A run folder: ``run.json`` first, ``records/`` while it runs, ``results.json`` last.

Both JSON files are written whole or not at all. ``run.json`` says what is asked and of whom; a run
may be continued only if it would ask the same of the same model, so ``--resume`` compares it field
by field. What may differ from one session to the next (machine, library versions, batch size) is in
its list of sessions. The absence of ``results.json`` marks a run that is not finished.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from vlm_eval.core.errors import RunError

RUN, RESULTS, RECORDS, WORK = "run.json", "results.json", "records", "work"
CAPTURES = "captures"
SCHEMA = 1  # of run.json


def write_atomic(path: Path, text: str) -> None:
    """Replace a file by a text: readers see the old file or the new one, never a part.

    Parameters and errors are those of :func:`write_bytes`.
    """
    write_bytes(path, text.encode("utf-8"))


def write_bytes(path: Path, content: bytes) -> None:
    """Replace a file: readers see the old one or the new one, never a part.

    The content goes to a new file in the same folder, is brought to the disk, and takes the name in
    one step; then the folder is brought to the disk, so that the name survives a power cut too.

    Raises
    ------
    RunError
        If it cannot be written; the old file, if any, is then untouched.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        try:
            with temporary.open("xb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        _sync_folder(path.parent)
    except OSError as error:
        raise RunError(
            f"cannot be written: {error.strerror or error}",
            where=str(path),
            hint="make room, or choose another --output_path",
        ) from error


def _sync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    except OSError:  # some network file systems cannot; the replacement itself is done
        return
    finally:
        os.close(fd)


def to_json(value: Any) -> str:
    """Return the text of a JSON file that people read too: indented, ended by a newline."""
    return json.dumps(value, indent=1, allow_nan=False) + "\n"


class RunFolder:
    """A folder that holds a run, or will.

    Parameters
    ----------
    path
        The folder. Nothing is created before :meth:`begin`.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)

    @property
    def records(self) -> Path:
        """The folder of the records files."""
        return self.path / RECORDS

    def records_of(self, rank: int) -> Path:
        """Return the records file of a process, by its number."""
        return self.records / f"rank-{rank:03d}.jsonl"

    @property
    def captures(self) -> Path:
        """The folder of the captured states; not there if none were captured."""
        return self.path / CAPTURES

    def captures_of(self, rank: int) -> Path:
        """Return the folder of the shards of a process, by its number."""
        return self.captures / f"rank-{rank:03d}"

    @property
    def work(self) -> Path:
        """The folder where the processes of a run share out work; gone when it is done."""
        return self.path / WORK

    @property
    def holds_results(self) -> bool:
        """Whether the run was finished, at least once."""
        return (self.path / RESULTS).is_file()

    @property
    def holds_run(self) -> bool:
        """Whether a run was begun here."""
        return (self.path / RUN).is_file()

    def check_free(self, *, resume: bool) -> None:
        """Refuse a folder that holds something else, before any work is done.

        Raises
        ------
        RunError
            If the folder holds a run and ``resume`` is false, or other files, or is a file.
        """
        where, other = str(self.path), "choose another --output_path"
        try:
            if self.holds_run:
                if not resume:
                    hint = f"add --resume to continue it, or {other}"
                    raise RunError("holds another run", where=where, hint=hint)
            elif self.path.is_dir() and any(self.path.iterdir()):
                raise RunError("is not empty and holds no run", where=where, hint=other)
            elif self.path.exists() and not self.path.is_dir():
                raise RunError("is a file, not a folder", where=where, hint=other)
        except OSError as error:
            raise RunError(f"cannot be read: {error.strerror}", where=where, hint=other) from error

    def begin(self, manifest: Mapping[str, Any], *, resume: bool) -> None:
        """Write ``run.json``, or check that this continues the run that it describes.

        Parameters
        ----------
        manifest
            What is asked, see :mod:`vlm_eval.runner.provenance`: all of it but ``sessions``,
            ``groups`` and where data lies must be equal for a run to be continued.
        resume
            Whether a run may be there already.

        Raises
        ------
        RunError
            If the folder holds another run (the message names the first field that differs), or
            cannot be written.
        """
        self.check_free(resume=resume)
        full = dict(manifest)
        if self.holds_run:
            before = self.manifest()
            _check_same(before, manifest, where=str(self.path))
            full["sessions"] = [*before.get("sessions", []), *manifest["sessions"]]
        try:
            self.records.mkdir(parents=True, exist_ok=True)
            write_atomic(self.path / RUN, to_json(full))
        except OSError as error:
            raise RunError(
                f"cannot be made: {error.strerror}",
                where=str(self.path),
                hint="choose another --output_path",
            ) from error
        except RunError:
            with contextlib.suppress(OSError):  # leave no empty folder behind; keep a full one
                self.records.rmdir()
                self.path.rmdir()
            raise

    def check_same(self, manifest: Mapping[str, Any]) -> None:
        """Check that another process asks the same. Raises RunError as :meth:`begin`."""
        _check_same(self.manifest(), manifest, where=str(self.path))

    def end_session(self, session: Mapping[str, Any]) -> None:
        """Add what is known at its end to the last session. Raises RunError as :meth:`begin`."""
        manifest = self.manifest()
        manifest["sessions"][-1] |= session
        write_atomic(self.path / RUN, to_json(manifest))

    def manifest(self) -> dict[str, Any]:
        """Return ``run.json``.

        Raises
        ------
        RunError
            If there is none, it is damaged or of another version of the format.
        """
        hint = "is this a run folder?"
        manifest = self._read(RUN, hint)
        if manifest.get("schema") != SCHEMA:
            what = f"has schema {manifest.get('schema')!r}, this version reads {SCHEMA}"
            raise RunError(what, where=str(self.path / RUN), hint=hint)
        return manifest

    def results(self) -> dict[str, Any]:
        """Return ``results.json``. Raises RunError if the run is not finished or it is damaged."""
        return self._read(RESULTS, "the run is not finished: continue it with --resume")

    def write_results(self, results: Mapping[str, Any]) -> None:
        """Write ``results.json``: the run is finished. Raises RunError if it cannot be."""
        write_atomic(self.path / RESULTS, to_json(results))

    def _read(self, name: str, hint: str) -> dict[str, Any]:
        path = self.path / name
        try:
            value = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise RunError("no such file", where=str(path), hint=hint) from error
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or error
            raise RunError(f"cannot be read: {why}", where=str(path), hint=hint) from error
        if not isinstance(value, dict):
            raise RunError("is no JSON object", where=str(path), hint=hint)
        return value


def free_folder(root: Path, name: str) -> Path:
    """Return ``root/name``, or with ``-2``, ``-3``, ... the first that does not exist yet."""
    safe = "".join(c if c.isalnum() or c in "._-" else "-" for c in name).strip(".-") or "run"
    path, number = root / safe, 1
    while path.exists():
        number += 1
        path = root / f"{safe}-{number}"
    return path


def _check_same(before: Mapping[str, Any], now: Mapping[str, Any], *, where: str) -> None:
    for path, old, new in _differences(before, json.loads(to_json(now)), ()):
        if not _may_differ(path):
            raise RunError(
                f"holds another run: {'.'.join(path)} was {_short(old)} and is now {_short(new)}",
                where=where,
                hint="give --resume what the run was begun with, or choose another --output_path",
            )


def _may_differ(path: tuple[str, ...]) -> bool:
    """Say whether a run goes on with another value: of data, its digest says if it is the same."""
    return path[0] in ("sessions", "groups") or (path[0], path[2:]) == ("tasks", ("data", "place"))


def _differences(
    old: Any, new: Any, path: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], Any, Any]]:
    if isinstance(old, dict) and isinstance(new, dict):
        for key in [*new, *(k for k in old if k not in new)]:
            yield from _differences(old.get(key), new.get(key), (*path, str(key)))
    elif old != new:
        yield path, old, new


def _short(value: Any) -> str:
    with contextlib.suppress(TypeError, ValueError):
        text = json.dumps(value)
        return text if len(text) <= 60 else f"{text[:57]}..."
    return repr(value)[:60]
