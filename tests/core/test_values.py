"""Values: dataclasses that are frozen to the type checker."""

from __future__ import annotations

import dataclasses

from vlm_eval.core.values import value


@value(frozen=True)
class Plain:
    a: int
    b: str = "b"


@value(frozen=True, slots=True, kw_only=True)
class Slotted:
    a: int


@value(frozen=True, eq=False)
class Alone:
    a: int


def test_a_value_is_a_dataclass_with_the_equality_and_hash_of_a_frozen_one() -> None:
    assert Plain(1) == Plain(1, "b")
    assert Plain(1) != Plain(2)
    assert len({Plain(1), Plain(1), Plain(2)}) == 2
    assert dataclasses.replace(Plain(1), b="c") == Plain(1, "c")
    assert dataclasses.asdict(Plain(1)) == {"a": 1, "b": "b"}
    assert Alone(1) != Alone(1)


def test_options_of_dataclasses_are_kept() -> None:
    assert not hasattr(Slotted(a=1), "__dict__")
    assert Slotted(a=1) == Slotted(a=1)
