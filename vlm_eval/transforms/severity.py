"""Options that several transforms share: an odd kernel, and a severity in place of parameters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field
from pydantic_core import ArgsKwargs


def _odd(kernel: int) -> int:
    if kernel % 2 == 0:
        raise ValueError("the kernel must be odd, so that it has a middle")
    return kernel


Kernel = Annotated[int, Field(ge=1, le=1023), AfterValidator(_odd)]


def _resolved(severity: int | None) -> None:
    if severity is not None:
        raise ValueError("a severity stands for the parameters: give it or them, not both")


Severity = Annotated[Literal[1, 2, 3] | None, AfterValidator(_resolved)]
"""Shorthand for a row of a paper's table; None in a transform, which holds the row itself."""


def resolve(given: Any, table: Mapping[int, Mapping[str, Any]]) -> Any:
    """Replace a severity among a transform's arguments by the parameters that it stands for.

    So two transforms of equal parameters are equal, however they were written. A severity outside
    the table, or one beside its own parameters, is left where the field's validator refuses it.
    """
    if not isinstance(given, ArgsKwargs) or not given.kwargs:
        return given
    others = {name: value for name, value in given.kwargs.items() if name != "severity"}
    severity = given.kwargs.get("severity")
    if type(severity) is not int or severity not in table or others.keys() & table[severity]:
        return given
    return ArgsKwargs(given.args, {**others, **table[severity]})
