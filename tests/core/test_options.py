import dataclasses
from typing import Literal

import pytest

from vlm_eval.core.errors import TaskError
from vlm_eval.core.options import build, configurable
from vlm_eval.core.registry import Registry


@configurable
class Blur:
    kernel: int
    mode: str = "native"
    edge: Literal["reflect", "wrap"] = "wrap"


REGISTRY = Registry("transform", {"blur": f"{__name__}:Blur"}, "vlm_eval.test_nothing")


def test_a_name_alone_or_with_options_is_built():
    assert build(REGISTRY, {"name": "blur", "kernel": 5}, where=None) == Blur(kernel=5)


def test_it_is_frozen_and_keyword_only():
    made = Blur(kernel=3)
    with pytest.raises(dataclasses.FrozenInstanceError):
        made.kernel = 4
    with pytest.raises(Exception, match="positional"):
        Blur(3)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"name": "blurr", "kernel": 5}, "unknown transform 'blurr'; did you mean blur?"),
        ({"name": "blur", "kernal": 5}, "kernal.*did you mean kernel"),
        ("blur", "kernel"),
        ({"name": "blur", "kernel": "wide"}, "kernel.*'wide'"),
        ({"name": "blur", "kernel": 5, "edge": "reflct"}, "edge.*'reflct'.*did you mean reflect"),
        ({"name": "blur", "kernel": 5, "edge": "zzz"}, r"'reflect' or 'wrap' \(got 'zzz'\)$"),
        ({"kernel": 5}, "needs a name"),
    ],
)
def test_a_fault_names_place_key_and_remedy(spec, message):
    with pytest.raises(TaskError, match=message) as caught:
        build(REGISTRY, spec, where="t.yaml:7")
    assert str(caught.value).startswith("t.yaml:7: ")
    assert "\n" not in str(caught.value)
