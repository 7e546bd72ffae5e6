"""Things that a task file configures: frozen, typed, and closed to unknown keys.

A source, transform, parser or metric is a class decorated with :func:`configurable`. A task file
names it and gives its options, ``{name: paired_difference, factor: rule}``; :func:`build` finds the
class in a registry and constructs it, and says which key is wrong and which was probably meant.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from typing import Any, TypeVar, dataclass_transform

import pydantic
from pydantic.dataclasses import dataclass as pydantic_dataclass

from vlm_eval.core.errors import TaskError, UsageError, VlmEvalError, did_you_mean, nearest
from vlm_eval.core.registry import Registry

T = TypeVar("T")


@dataclass_transform(frozen_default=True, kw_only_default=True)
def configurable(cls: type[T]) -> type[T]:
    """Make a class a frozen, keyword-only dataclass that validates and closes its fields."""
    config = pydantic.ConfigDict(extra="forbid", arbitrary_types_allowed=True)
    made: Any = pydantic_dataclass(cls, frozen=True, kw_only=True, config=config)
    checked: type[T] = made
    return checked


def build(registry: Registry[type[T]], spec: str | Mapping[str, Any], *, where: str | None) -> T:
    """Construct what a task file asks for, ``"accuracy"`` or ``{"name": ..., option: value}``.

    Raises
    ------
    TaskError
        If the name or an option is unknown, or a value does not fit; the message names it.
    """
    options = {"name": spec} if isinstance(spec, str) else dict(spec)
    name = options.pop("name", None)
    if not isinstance(name, str):
        raise TaskError(f"a {registry.kind} needs a name", where=where, hint="write {name: ...}")
    try:
        cls: Any = registry.get(name)
    except UsageError as error:
        raise TaskError(error.what, where=where, hint=error.hint) from error
    try:
        made: T = cls(**options)
    except pydantic.ValidationError as error:
        raise explain(error, what=f"{registry.kind} {name}", known=cls, where=where) from error
    return made


def explain(
    error: pydantic.ValidationError, *, what: str, known: type[Any], where: str | None
) -> VlmEvalError:
    """Turn the most telling of pydantic's errors into one line with the key and the remedy."""
    unknown = {"extra_forbidden", "unexpected_keyword_argument"}
    # A misspelt option is also a missing one; the spelling is what helps.
    first = min(error.errors(), key=lambda fault: fault["type"] not in unknown)
    key = ".".join(str(part) for part in first["loc"])
    if first["type"] in unknown:
        names = [field.name for field in dataclasses.fields(known) if field.init]
        return TaskError(
            f"{what} has no option {key!r}", where=where, hint=did_you_mean(key, names)
        )
    if first["type"] in {"missing", "missing_argument"}:
        return TaskError(f"{what} needs the option {key!r}", where=where)
    message = first["msg"].removeprefix("Value error, ")
    if not key:  # a check of several options together, whose message names them
        return TaskError(f"{what}: {message}", where=where)
    fault = f"{what}, option {key!r}: {message} (got {first['input']!r})"
    return TaskError(fault, where=where, hint=_nearest(first))


def _nearest(fault: Any) -> str | None:
    """Return the nearest of the words that an option takes, None if it does not take words."""
    if fault["type"] != "literal_error":
        return None
    words = re.findall(r"'([^']*)'", fault["ctx"]["expected"])  # the message lists them too
    return nearest(str(fault["input"]), words)
