"""Records on disk: one JSON line a trial, appended the moment it is answered.

A run folder holds ``records/rank-000.jsonl``, one file a process. A file is only ever appended to,
by one process, with one ``write`` a record; so a killed process loses at most the line it was
writing. A torn last line is not a record: readers skip and count it, and the writer cuts it off
before it appends, because the next record would otherwise be glued to it. ``write`` hands each line
to the operating system at once (nothing is lost when the process dies); ``fsync`` runs every two
seconds and at the end (what a power cut can lose).

A record's key is what was asked and why: task, sample, condition and request hash. The last record
of a key wins, except that an answer is never replaced by a failure. Keys do not depend on the file,
so any number of processes can continue what any other number began.
"""

from __future__ import annotations

import json
import os
import time
from array import array
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import field, fields
from operator import attrgetter
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, NamedTuple, Self

from pydantic import TypeAdapter
from pydantic_core import PydanticSerializationError, to_json

from vlm_eval.core.errors import RunError
from vlm_eval.core.hashing import record_key, short_digest
from vlm_eval.core.lines import cut_torn_tail, lines, lines_at, lock
from vlm_eval.core.types import Level
from vlm_eval.core.values import value
from vlm_eval.runner.winners import Keys, Winners
from vlm_eval.tasks.rendering import FIRST_ANSWER

FSYNC_SECONDS = 2.0
_MANY = 1 << 12


@value(frozen=True, slots=True, kw_only=True)
class Record:
    """One trial's line. ``docs/run-folder.md`` says the same for readers of the file.

    Attributes
    ----------
    request_hash
        Digest of what the model was asked. Trials that ask the same thing share it. Empty where
        nothing could be asked, because the trial follows another that has no answer.
    task, sample_id, cluster, condition
        Which trial this is, and what it shares randomness with.
    fields
        JSON-able fields of the sample under the condition; of a trial that follows another also
        ``first_answer``, what that was answered.
    gold
        The right answer.
    prompt
        The conversation as text, ``<image>`` where an image stands.
    images
        Digests of the images' pixels, in order.
    choices
        The options, where there are any.
    outcome
        ``answer`` or ``failure``.
    failure
        ``{"kind", "message", "attempts"}``; None for an answer.
    raw, finish
        Generated text and why it ended (``stop``, ``length``); ``scored`` for options.
    logprobs, token_counts
        For each option, the sum of its tokens' natural log-probabilities, and their number.
    tokens
        ``{"prompt", "image"}``: tokens of the conversation, and how many are its images', as far as
        the backend can tell; None if it cannot.
    image_sizes
        For each image, (width, height) in pixels at which the model reads it, None where that is
        not one size; None if the backend cannot tell.
    answer, parser_rule
        What the task's parser found, and by which rule; None and ``none`` if nothing.
    literal_answer, literal_rule
        The same by the paper's own parser; None where the task names none.
    also
        What the task's other parsers found, by name; None where one found nothing.
    scores
        Scores of this trial by name; empty for a failure.
    seconds
        Wall seconds of the request's share of its batch; 0 where another trial had asked it.
    """

    request_hash: str
    task: str
    sample_id: str
    cluster: str
    condition: Mapping[str, Level]
    fields: Mapping[str, Any]
    gold: str
    prompt: str
    images: tuple[str, ...]
    choices: tuple[str, ...] | None
    outcome: Literal["answer", "failure"]
    failure: Mapping[str, Any] | None = None
    raw: str | None = None
    finish: str | None = None
    logprobs: tuple[float, ...] | None = None
    token_counts: tuple[int, ...] | None = None
    tokens: Mapping[str, int] | None = None
    image_sizes: tuple[tuple[int, int] | None, ...] | None = None
    answer: str | None = None
    parser_rule: str | None = None
    literal_answer: str | None = None
    literal_rule: str | None = None
    also: Mapping[str, str | None] = field(default_factory=dict)
    scores: Mapping[str, float] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def key(self) -> bytes:
        """What the record is the record of, see :func:`vlm_eval.core.hashing.record_key`."""
        return record_key(self.task, self.sample_id, self.condition, self.request_hash)

    @property
    def unasked_key(self) -> bytes:
        """The key of the same trial as long as it could not be asked."""
        return record_key(self.task, self.sample_id, self.condition, "")

    def to_line(self) -> bytes:
        """Return the record as one line of JSON with its newline."""
        values = dict(zip(_NAMES, _VALUES(self), strict=True))
        try:
            return to_json(values) + b"\n"
        except PydanticSerializationError:  # a model can emit half of a surrogate pair
            return json.dumps(values, separators=(",", ":"), allow_nan=False).encode() + b"\n"

    @classmethod
    def from_line(cls, line: bytes) -> Record:
        """Parse a line.

        Raises
        ------
        ValueError
            If the line is no JSON object that holds a record's fields, each of its kind.
        """
        try:
            record = _SCHEMA.validate_json(line, strict=True)
        except ValueError:
            if rb"\u" not in line:
                raise
            # Half of a surrogate pair, see `to_line`, can only be read by Python's own parser.
            record = _SCHEMA.validate_python(json.loads(line))
        if (record.outcome == "failure") != (record.failure is not None):
            raise ValueError("neither an answer nor a failure")
        if record.failure is not None and record.failure.keys() != _FAILURE:
            raise ValueError("not a failure")
        return record

    @classmethod
    def parse(cls, line: bytes) -> Record | None:
        """Return the record of a line of a file, None if it is torn or damaged."""
        try:
            return cls.from_line(line) if line.endswith(b"\n") else None
        except ValueError:
            return None


_NAMES = tuple(f.name for f in fields(Record))
_VALUES = attrgetter(*_NAMES)
_SCHEMA = TypeAdapter(Record)
_FAILURE = {"kind", "message", "attempts"}


class Place(NamedTuple):
    """Where a record begins, in bytes."""

    path: Path
    offset: int


class RecordWriter:
    """Appends records to one file. One process, one file; a context manager.

    Raises
    ------
    RunError
        If the file cannot be opened or written (a full disk), or another process holds it. What
        was recorded before stays whole and readable.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        except OSError as error:
            raise _cannot_write(path, error) from error
        try:
            lock(self._fd, path)
            self._size = cut_torn_tail(self._fd)
        except BaseException:
            os.close(self._fd)
            raise
        self._synced = time.monotonic()

    def append(self, record: Record) -> Place:
        """Write one record with one system call; it is on disk whole or not at all."""
        line, place = record.to_line(), Place(self._path, self._size)
        try:
            written = os.write(self._fd, line)
            if written < len(line):
                os.ftruncate(self._fd, self._size)
                raise OSError(f"only {written} of {len(line)} bytes could be written")
            self._size += written
        except OSError as error:
            raise _cannot_write(self._path, error) from error
        if time.monotonic() - self._synced > FSYNC_SECONDS:
            self.sync()
        return place

    def sync(self) -> None:
        """Bring everything to the disk."""
        try:
            os.fsync(self._fd)
        except OSError as error:
            raise _cannot_write(self._path, error) from error
        self._synced = time.monotonic()

    def close(self) -> None:
        """Bring everything to the disk and release the file."""
        try:
            self.sync()
        finally:
            os.close(self._fd)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _cannot_write(path: Path, error: OSError) -> RunError:
    return RunError(
        f"cannot be written: {error.strerror or error}",
        where=str(path),
        hint="what is recorded is safe; make room and run the same command with --resume",
    )


class RecordIndex:
    """What a run folder's records hold, without holding the records: keys and places in files.

    Parameters
    ----------
    folder
        The ``records`` folder; it need not exist yet.

    Attributes
    ----------
    torn
        Lines that are no records: torn last lines, and damaged ones.

    Raises
    ------
    RunError
        If a file cannot be read.
    """

    def __init__(self, folder: Path) -> None:
        self.torn = 0
        self._files: dict[Path, int] = {}
        self._tasks: dict[str, int] = {}
        self._recent: list[tuple[bytes, str]] = []
        trials, places = Keys(), array("Q")
        requests, asked_at = Keys(), array("Q")
        for path in record_files(folder):
            for offset, line in lines(path):
                record = Record.parse(line)
                if record is None:
                    self.torn += 1
                    continue
                number = self._pack(Place(path, offset), record.task)
                trials.add(record)
                places.append(number)
                if record.request_hash:
                    answered = record.failure is None
                    requests.note(short_digest(record.request_hash), answered=answered)
                    asked_at.append(number)
        self._trials, self._requests = (
            Winners(keys.found(numbers))
            for keys, numbers in ((trials, places), (requests, asked_at))
        )

    def add(self, record: Record, place: Place, key: bytes | None = None) -> None:
        """Note a record that has just been written; its key, where it is known."""
        key, number = key or record.key, self._pack(place, record.task)
        self._trials.add(record, number, key)
        if record.request_hash:
            request = short_digest(record.request_hash)
            self._requests.keep(request, number, answered=record.failure is None)
        self._recent.append((key, record.request_hash))
        if FIRST_ANSWER in record.fields:
            self._recent.append((record.unasked_key, ""))

    def forget(self, kept: Container[str]) -> None:
        """Forget what was added, but for the requests ``kept``, which other units may ask too.

        A unit that is done is not asked again. So what a run holds in memory does not grow with
        what it records, only with what it found recorded.
        """
        for key, request in self._recent:
            self._trials.drop(key)
            if request not in kept:
                self._requests.drop(short_digest(request))
        self._recent.clear()

    def count(self, *, answered: bool = False) -> int:
        """Return how many trials are recorded, or (with ``answered``) recorded with an answer."""
        return self._trials.count(answered=answered)

    def has(self, key: bytes, *, answered: bool = False) -> bool:
        """Whether a trial is recorded, or (with ``answered``) recorded with an answer."""
        return self._trials.get(key, answered=answered) is not None

    def asked(self, request_hash: str, *, answered: bool = False) -> Record | None:
        """Return a record of this request by any trial, None if there is none."""
        return self._at(self._requests.get(short_digest(request_hash), answered=answered))

    def find(self, key: bytes) -> Record | None:
        """Return the winning record of a key, None if there is none."""
        return self._at(self._trials.get(key))

    def __iter__(self) -> Iterator[Record]:
        """Yield the winning record of every key, in the order of the files."""
        return self._read(self._trials)

    def of_task(self, task: str) -> Iterator[Record]:
        """Yield a task's records as :meth:`__iter__` does, and read no others."""
        wanted = self._tasks.get(task)
        return self._read(number for number in self._trials if number % _MANY == wanted)

    # There are many places, so each is one number of 64 bits: offset, file and task.

    def _pack(self, place: Place, task: str) -> int:
        file = self._files.setdefault(place.path, len(self._files))
        number = self._tasks.setdefault(task, len(self._tasks))
        assert max(file, number) < _MANY, "a run has fewer ranks and tasks"
        return (place.offset * _MANY + file) * _MANY + number

    def _read(self, numbers: Iterable[int]) -> Iterator[Record]:
        offsets: dict[int, array[int]] = {}
        for number in numbers:
            offset, file = divmod(number // _MANY, _MANY)
            offsets.setdefault(file, array("Q")).append(offset)
        for path in sorted(self._files):
            for line in lines_at(path, sorted(offsets.get(self._files[path], ()))):
                yield Record.from_line(line)

    def _at(self, number: int | None) -> Record | None:
        return None if number is None else next(self._read([number]))


def record_files(folder: Path) -> list[Path]:
    """Return the records files of a folder, by rank."""
    return sorted(folder.glob("rank-*.jsonl"))
