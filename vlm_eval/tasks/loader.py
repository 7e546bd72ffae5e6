"""From task files to specs: includes, validation, and faults that say where and what to write.

A file may ``include`` another of its folder. Mappings are merged at every depth, anything else
(lists too) is replaced, and a key that is set to null drops what was included.
"""

from __future__ import annotations

import difflib
import re
import typing
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from vlm_eval.core.errors import TaskError, did_you_mean
from vlm_eval.tasks.question import Spec
from vlm_eval.tasks.spec import GroupSpec, TaskSpec
from vlm_eval.tasks.yaml import Document, PathInFile, key_text, read, shown

S = TypeVar("S", bound=Spec)


def load(path: Path) -> Document:
    """Read a file and all that it includes, merged.

    Raises
    ------
    TaskError
        If a file cannot be read, an include leaves the folder, or files include each other.
    """
    merged = _load(path, ())
    return Document(_without_nulls(merged.data), merged.places)


def _load(path: Path, above: tuple[Path, ...]) -> Document:
    if path in above:
        chain = " includes ".join(p.name for p in (*above[above.index(path) :], path))
        raise TaskError(f"an include goes in a circle: {chain}", where=shown(above[-1]))
    document = read(path)
    if "include" not in document.data:
        return document
    name = document.data.pop("include")
    where = document.place(("include",))
    if not isinstance(name, str) or Path(name).name != name or name in {"", ".", ".."}:
        raise TaskError(
            f"key 'include' is {name!r}", where=where, hint="give the name of a file in this folder"
        )
    target = path.parent / name
    if not target.is_file():
        near = did_you_mean(name, (p.name for p in path.parent.glob("*.y*ml") if p != path))
        raise TaskError(f"key 'include': there is no file {name!r} here", where=where, hint=near)
    base = _load(target, (*above, path))
    places = {**base.places, **document.places}
    return Document(_merge(base.data, document.data), places)


def _merge(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, item in over.items():
        below = merged.get(key)
        if isinstance(below, dict) and isinstance(item, dict):
            item = _merge(below, item)
        merged[key] = item
    return merged


def _without_nulls(data: Any) -> Any:
    if isinstance(data, dict):
        return {key: _without_nulls(item) for key, item in data.items() if item is not None}
    return data


def task_spec(document: Document) -> TaskSpec:
    """Return the spec of a task file. Raises TaskError, the first of `spec_faults`."""
    return _parse(TaskSpec, document)


def group_spec(document: Document) -> GroupSpec:
    """Return the spec of a group file. Raises TaskError as `task_spec`."""
    return _parse(GroupSpec, document)


def _parse(kind: type[S], document: Document) -> S:
    try:
        return kind.model_validate(document.data)
    except ValidationError as error:
        raise min(_faults(kind, error, document), key=_order) from error


def spec_faults(document: Document) -> list[TaskError]:
    """Return every fault of a task or group file's keys: unknown keys, then the rest, by line."""
    kind: type[Spec] = GroupSpec if "group" in document.data else TaskSpec
    try:
        kind.model_validate(document.data)
    except ValidationError as error:
        return sorted(_faults(kind, error, document), key=_order)
    return []


def _order(fault: TaskError) -> tuple[bool, int]:
    """Put unknown keys first: a misspelt key is missing too, and its spelling is what helps."""
    number = (fault.where or "").rpartition(":")[2]
    return not fault.what.startswith("unknown key"), int(number) if number.isdigit() else 0


def _faults(kind: type[Spec], error: ValidationError, document: Document) -> Iterator[TaskError]:
    told: set[PathInFile] = set()  # a value that fits no member of a union is wrong once
    errors = error.errors(include_url=False)
    unknown = {fault["loc"] for fault in errors if fault["type"] == "extra_forbidden"}
    for fault in errors:
        path = _path_in_file(fault["loc"], document.data)
        if path in told:
            continue
        told.add(path)
        where, key = document.place(path), key_text(path)
        if fault["type"] == "extra_forbidden":
            hint = did_you_mean(str(path[-1]), _keys_at(kind, path[:-1]))
            yield TaskError(f"unknown key {key!r}", where=where, hint=hint)
        elif fault["type"] == "missing":
            known = _keys_at(kind, path[:-1])
            # Where any key is allowed, nothing else tells of the one that is misspelt.
            taken = {*known, *(loc[-1] for loc in unknown if loc[:-1] == fault["loc"][:-1])}
            others = [str(name) for name in fault["input"] if name not in taken]
            near = difflib.get_close_matches(str(path[-1]), others, n=1)
            remedy = f"is {near[0]!r} meant to be it?" if near else None
            yield TaskError(f"the key {key!r} is missing", where=where, hint=remedy)
        else:
            message = _MESSAGES.get(fault["type"], fault["msg"]).removeprefix("Value error, ")
            given = fault["input"]
            got = "" if isinstance(given, (dict, list)) else f" (got {given!r})"
            yield TaskError(f"key {key!r}: {message}{got}", where=where, hint=_remedy(fault))


def _remedy(fault: Mapping[str, Any]) -> str | None:
    given = fault["input"]
    if fault["type"] == "string_type" and isinstance(given, (bool, int, float)):
        return "put it in quotes"
    if fault["type"] == "literal_error":
        words = re.findall(r"'([^']+)'", fault["ctx"]["expected"])
        near = difflib.get_close_matches(str(given), words, n=1)
        return f"did you mean {near[0]}?" if near else None
    return None


# Where pydantic speaks of Python's types, say what to write.
_MESSAGES = {
    "tuple_type": "must be a list",
    "dict_type": "must be a mapping",
    "model_type": "must be a mapping",
}


def _path_in_file(loc: tuple[str | int, ...], data: Any) -> PathInFile:
    """Drop from pydantic's location what is no key of the file (names of a union's members)."""
    path: list[str | int] = []
    for i, part in enumerate(loc):
        inside = (isinstance(data, dict) and part in data) or (
            isinstance(data, list) and isinstance(part, int) and part < len(data)
        )
        if inside:
            data = data[part]
            path.append(part)
        elif i == len(loc) - 1 and isinstance(data, dict):
            path.append(part)  # a missing key
    return tuple(path)


def _keys_at(kind: type[BaseModel], path: PathInFile) -> list[str]:
    """Return the keys that the mapping at a path of a file may have."""
    for part in path:
        if isinstance(part, int):
            continue
        field = kind.model_fields.get(part)
        below = _model_in(field.annotation) if field else None
        if below is None:
            return []
        kind = below
    top = ["include"] if kind in {TaskSpec, GroupSpec} else []
    return [*kind.model_fields, *top]


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for argument in typing.get_args(annotation):
        if (found := _model_in(argument)) is not None:
            return found
    return None
