"""Dataclasses of which several are made for every trial."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__all__ = ["value"]

if TYPE_CHECKING:
    from dataclasses import dataclass as value
else:
    from dataclasses import dataclass

    def value(
        cls: type | None = None,
        /,
        *,
        frozen: bool,  # noqa: ARG001 - said to the type checker
        eq: bool = True,
        **options: Any,
    ) -> Any:
        """Make a class what ``@dataclass(frozen=True)`` does, frozen to the type checker alone.

        The interpreter's own way to freeze makes an object five times as slow to construct, field
        by field, and a run constructs a dozen for every trial: a tenth of what it costs beside the
        model. Equality and hash are those of a frozen dataclass.
        """
        make = dataclass(eq=eq, unsafe_hash=eq, **options)
        return make if cls is None else make(cls)
