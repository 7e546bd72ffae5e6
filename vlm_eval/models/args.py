"""Options of a model backend as they are typed on a command line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import pydantic

from vlm_eval.core.errors import UsageError
from vlm_eval.core.options import explain

T = TypeVar("T")


def parse_args(text: str | Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the options in ``key=value,key=value``; a bare ``key`` is true.

    >>> parse_args("dtype=float32,echo")
    {'dtype': 'float32', 'echo': 'true'}

    Raises
    ------
    UsageError
        If a key is empty or given twice.
    """
    if text is None or isinstance(text, Mapping):
        return dict(text or {})
    options: dict[str, Any] = {}
    for item in text.split(","):
        key, equals, value = (part.strip() for part in item.partition("="))
        if not key and not equals:
            continue
        if not key:
            raise UsageError(
                f"model option {item.strip()!r} has no key", hint="write key=value,key=value"
            )
        if key in options:
            raise UsageError(f"model option {key!r} is given twice")
        options[key] = value if equals else "true"
    return options


def make_options(kind: type[T], values: Mapping[str, Any], *, what: str) -> T:
    """Construct a ``configurable`` class from options, values converted to the fields' types.

    Raises
    ------
    UsageError
        If an option is unknown (with the nearest name) or its value does not fit.
    """
    try:
        return kind(**values)
    except pydantic.ValidationError as error:
        fault = explain(error, what=what, known=kind, where=None)
        raise UsageError(fault.what, hint=fault.hint) from error
