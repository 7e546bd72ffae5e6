"""A named set of functions or classes that other packages can add to.

Sources, transforms, parsers, metrics and models are all looked up here by the name that a task file
or the command line gives. Built-in entries are named, not imported: ``"module:object"`` is resolved
on first use, so that listing what exists imports nothing heavy. Other packages register through an
entry-point group; a broken one is reported when it is asked for, and never stops the rest.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from importlib.metadata import entry_points
from typing import Any, Generic, TypeVar

from vlm_eval.core.errors import UsageError, did_you_mean

T = TypeVar("T")
BUILT_IN = "vlm_eval"


class Registry(Generic[T]):
    """Names of one kind of thing.

    Parameters
    ----------
    kind
        What the entries are, for messages: "parser", "metric".
    builtin
        Name to ``"module:object"``.
    group
        Entry-point group in which other packages declare theirs.
    """

    def __init__(self, kind: str, builtin: Mapping[str, str], group: str) -> None:
        self.kind, self._builtin, self._group = kind, dict(builtin), group

    def _targets(self) -> dict[str, str]:
        found = {point.name: point.value for point in entry_points(group=self._group)}
        return {**found, **self._builtin}

    def origin(self, name: str) -> str:
        """Return the distribution that declares a name; :data:`BUILT_IN` for this package's own.

        Raises UsageError as `get` if the name is unknown.
        """
        if name in self._builtin:
            return BUILT_IN
        for point in entry_points(group=self._group, name=name):
            return point.value if point.dist is None else f"{point.dist.name} {point.dist.version}"
        raise self._unknown(name)

    def names(self) -> list[str]:
        """Return all names, sorted."""
        return sorted(self._targets())

    def __iter__(self) -> Iterator[str]:
        return iter(self.names())

    def __contains__(self, name: object) -> bool:
        return name in self._builtin or name in self._targets()

    def get(self, name: str) -> T:
        """Return the entry of a name.

        Raises
        ------
        UsageError
            If the name is unknown (with the nearest ones), or its package does not import.
        """
        # Built-in first: reading the entry points of every installed package takes milliseconds.
        target = self._builtin.get(name) or self._targets().get(name)
        if target is None:
            raise self._unknown(name)
        module, _, attribute = target.partition(":")
        try:
            value: Any = importlib.import_module(module)
            for part in attribute.split("."):
                value = getattr(value, part)
        except (ImportError, AttributeError) as error:
            raise UsageError(
                f"{self.kind} {name!r} ({target}) does not load: {error}",
                hint="install or mend the package that declares it",
            ) from error
        entry: T = value
        return entry

    def _unknown(self, name: str) -> UsageError:
        return UsageError(f"unknown {self.kind} {name!r}", hint=did_you_mean(name, self.names()))
