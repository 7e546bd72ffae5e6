"""The examples in the docstrings are true."""

import doctest
import importlib

import pytest

MODULES = [
    "vlm_eval.data.answers.forms",
    "vlm_eval.data.answers.mmmu",
    "vlm_eval.data.answers.numbers",
    "vlm_eval.data.answers.vqa",
    "vlm_eval.data.scenes.captions",
    "vlm_eval.metrics.modules",
    "vlm_eval.metrics.pairing",
    "vlm_eval.scorers.anls",
    "vlm_eval.scorers.relaxed",
    "vlm_eval.scorers.vqa",
]


@pytest.mark.parametrize("name", MODULES)
def test_examples(name):
    found = doctest.testmod(importlib.import_module(name))
    assert found.attempted > 0
    assert found.failed == 0
