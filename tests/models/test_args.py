from __future__ import annotations

import pytest

from vlm_eval.core.errors import UsageError
from vlm_eval.core.options import configurable
from vlm_eval.models.args import make_options, parse_args


@configurable
class Options:
    size: int = 1
    label: str | None = None
    loud: bool = False


@pytest.mark.parametrize(
    ("text", "options"),
    [
        (None, {}),
        ("", {}),
        ("a=1", {"a": "1"}),
        (" a = 1 , b=x=y,", {"a": "1", "b": "x=y"}),
        ("echo,fail=0.1", {"echo": "true", "fail": "0.1"}),
        ("a=", {"a": ""}),
        ({"a": 1}, {"a": 1}),
    ],
)
def test_parse(text: object, options: dict[str, object]) -> None:
    assert parse_args(text) == options  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["=1", "a=1,a=2", "a,a"])
def test_a_fault_is_named(text: str) -> None:
    with pytest.raises(UsageError, match=r"has no key|given twice"):
        parse_args(text)


def test_values_are_converted() -> None:
    made = make_options(Options, {"size": "3", "loud": "true"}, what="it")
    assert (made.size, made.label, made.loud) == (3, None, True)


def test_an_unknown_option_is_told_with_the_nearest() -> None:
    with pytest.raises(UsageError, match="it has no option 'sice'; did you mean size"):
        make_options(Options, {"sice": "3"}, what="it")


def test_a_value_that_does_not_fit_is_told() -> None:
    with pytest.raises(UsageError, match=r"option 'size'.*got 'three'"):
        make_options(Options, {"size": "three"}, what="it")
