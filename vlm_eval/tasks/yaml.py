"""Safe YAML that remembers where every key stands.

Scalars are read by the YAML 1.2 core schema (``Yes``, ``on`` and ``12:30`` are text, ``1e-5`` is a
number), duplicate keys, tags and cyclic aliases are refused, and size is bounded.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import yaml

from vlm_eval.core.errors import TaskError

PathInFile: TypeAlias = tuple[str | int, ...]

MAX_BYTES = 256 * 1024
MAX_VALUES = 50_000  # an alias counts all it stands for each time, so that none can explode
MAX_DEPTH = 50

# Bounded lengths: a longer number is text, and is refused where a number is due.
_INT = re.compile(r"[-+]?[0-9]{1,18}|0o[0-7]{1,18}|0x[0-9a-fA-F]{1,15}")
_FLOAT = re.compile(r"[-+]?(\.[0-9]{1,18}|[0-9]{1,18}(\.[0-9]{0,18})?)([eE][-+]?[0-9]{1,3})?")
_WORDS = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}


@dataclass(frozen=True)
class Document:
    """A YAML mapping and where its keys stand.

    Attributes
    ----------
    data
        The mapping.
    places
        For the path of each key and list item, ``file:line``. The empty path is the file itself.
    """

    data: dict[str, Any]
    places: Mapping[PathInFile, str]

    def place(self, path: PathInFile) -> str:
        """Return ``file:line`` of the longest known beginning of a path."""
        for end in range(len(path), 0, -1):
            if path[:end] in self.places:
                return self.places[path[:end]]
        return self.places[()]

    def key(self, path: PathInFile) -> str:
        """Return ``file:line: key 'path'``, for messages."""
        return f"{self.place(path)}: key {key_text(path)!r}"


def key_text(path: PathInFile) -> str:
    """Return how a path is written in messages.

    >>> key_text(("prompt", "content", 1, "text"))
    'prompt.content[1].text'
    """
    return "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in path).lstrip(".")


def shown(path: Path) -> str:
    """Return a path as a user would write it: relative where it is below the current folder."""
    resolved, here = path.resolve(), Path.cwd()
    return str(resolved.relative_to(here) if resolved.is_relative_to(here) else resolved)


def read(path: Path) -> Document:
    """Read one YAML file that holds a mapping.

    Raises
    ------
    TaskError
        If the file cannot be read, is too large or is no such mapping; names file and line.
    """
    name = shown(path)
    try:
        raw = path.read_bytes()
        text = raw.decode("utf-8-sig")
    except OSError as error:
        raise TaskError(f"cannot be read: {error.strerror}", where=name) from error
    except UnicodeDecodeError as error:
        raise TaskError("is no UTF-8 text", where=name, hint="save it as UTF-8") from error
    if len(raw) > MAX_BYTES:
        raise TaskError(f"is larger than {MAX_BYTES // 1024} KiB", where=name)
    reader = _Reader(name)
    try:
        data = reader.document(yaml.parse(text, Loader=yaml.CSafeLoader))
    except yaml.YAMLError as error:
        raise _syntax(error, name) from error
    if not isinstance(data, dict):
        raise TaskError("holds no mapping", where=name, hint="write key: value lines")
    return Document(data, {**reader.places, (): name})


def _syntax(error: yaml.YAMLError, name: str) -> TaskError:
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        place = f"{name}:{error.problem_mark.line + 1}"
        problem = error.problem or "syntax error"
        hints = {
            "mapping values": "put text that holds ': ' in quotes",
            "cannot start any token": "indent with spaces; put text that begins so in quotes",
        }
        hint = next((h for part, h in hints.items() if part in problem), None)
        return TaskError(f"YAML: {problem}", where=place, hint=hint)
    return TaskError(f"YAML: {error}", where=name)


class _Reader:
    """Builds plain values from YAML events and notes the line of each.

    Events, because libyaml's own composer recurses without a bound and dies of deep nesting.
    """

    def __init__(self, name: str) -> None:
        self.name, self.places, self._count = name, dict[PathInFile, str](), 0
        self._anchors: dict[str, tuple[Any, int]] = {}
        self._events: Iterator[yaml.Event] = iter(())

    def document(self, events: Iterator[yaml.Event]) -> Any:
        self._events = (e for e in events if not isinstance(e, yaml.StreamStartEvent))
        data: Any = None
        for seen, event in enumerate(self._events):
            if isinstance(event, yaml.StreamEndEvent):
                break
            if seen:
                raise TaskError("a second YAML document", where=self._at(event))
            data = self._value(next(self._events), ())
            next(self._events)
        return data

    def _at(self, event: yaml.Event) -> str:
        line = 0 if event.start_mark is None else event.start_mark.line
        return f"{self.name}:{line + 1}"

    def _value(self, event: yaml.Event, path: PathInFile) -> Any:
        self.places[path] = self._at(event)
        if isinstance(event, yaml.AliasEvent):
            if event.anchor not in self._anchors:
                what = f"the alias *{event.anchor} names nothing that is complete here"
                raise TaskError(what, where=self._at(event))
            made, size = self._anchors[event.anchor]
            self._grow(size)
            return made
        assert isinstance(event, (yaml.ScalarEvent, yaml.CollectionStartEvent))
        if event.tag is not None:
            raise TaskError(
                f"the tag {event.tag} is not allowed",
                where=self._at(event),
                hint="put text in quotes instead",
            )
        if len(path) > MAX_DEPTH:
            raise TaskError(f"nested deeper than {MAX_DEPTH}", where=self._at(event))
        before = self._count
        self._grow(1)
        made = self._build(event, path)
        if event.anchor is not None:
            self._anchors[event.anchor] = made, self._count - before
        return made

    def _grow(self, size: int) -> None:
        self._count += size
        if self._count > MAX_VALUES:
            raise TaskError(f"holds more than {MAX_VALUES} values", where=self.name)

    def _build(self, event: yaml.Event, path: PathInFile) -> Any:
        if isinstance(event, yaml.MappingStartEvent):
            return self._mapping(path)
        if isinstance(event, yaml.ScalarEvent):
            return _plain(event)
        return self._sequence(path)

    def _sequence(self, path: PathInFile) -> list[Any]:
        made: list[Any] = []
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            made.append(self._value(event, (*path, len(made))))
        return made

    def _mapping(self, path: PathInFile) -> dict[str, Any]:
        made: dict[str, Any] = {}
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            place = self._at(event)
            key = _plain(event) if isinstance(event, yaml.ScalarEvent) else None
            if not isinstance(key, str):
                hint = 'put it in quotes, a template too: "{{ ... }}"'
                raise TaskError("a key must be text", where=place, hint=hint)
            if key in made:
                first = self.places[(*path, key)].rpartition(":")[2]
                raise TaskError(f"duplicate key {key!r}, first on line {first}", where=place)
            made[key] = self._value(next(self._events), (*path, key))
            self.places[(*path, key)] = place
        return made


def _plain(event: yaml.ScalarEvent) -> Any:
    """Return a scalar: text as it is where it is quoted, else what YAML 1.2 makes of it."""
    text: str = event.value
    if not event.implicit[0]:
        return text
    if text in _WORDS:
        return _WORDS[text]
    if _INT.fullmatch(text):
        return int(text, 10 if text.lstrip("+-").isdigit() else 0)
    if _FLOAT.fullmatch(text) and math.isfinite(number := float(text)):
        return number
    return text
