"""The examples of docs/metrics.md and docs/scorers.md are run; the pages name everything."""

import doctest
from pathlib import Path

import pytest

from vlm_eval.metrics.table import METRICS
from vlm_eval.scorers.base import SCORERS

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize("page", ["metrics.md", "scorers.md"])
def test_examples(page):
    found = doctest.testfile(str(DOCS / page), module_relative=False)
    assert found.attempted > 5
    assert found.failed == 0


@pytest.mark.parametrize(("page", "names"), [("metrics.md", METRICS), ("scorers.md", SCORERS)])
def test_everything_has_its_place(page, names):
    text = (DOCS / page).read_text()
    assert [name for name in names if f"`{name}`" not in text] == []
