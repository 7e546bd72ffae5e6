"""The numbers that ship are those of the reference data; so are the goldens of the tests."""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path

import pytest

from vlm_eval.published import vlm_fix_counts

SHIPPED = resources.files("vlm_eval.published")
GOLDEN = Path(__file__).parents[1] / "published"
PLACES = {
    "cityscapes.json": SHIPPED,
    "cityscapes-correlations.json": GOLDEN,
    "vlm-fix-steering.csv": SHIPPED,
    "vlm-fix.csv": SHIPPED,
}
COUNTS = "vlm-fix-demo-summary.json"  # a file of the paper's code, of which only the counts ship


def test_no_file_is_forgotten(shared) -> None:
    assert {path.name for path in (shared / "published").iterdir()} == {*PLACES, COUNTS}


def test_same_counts(shared) -> None:
    theirs = json.loads((shared / "published" / COUNTS).read_text(encoding="utf-8"))
    counts = {
        (cell["prompt_family"].casefold(), cell["rule_variant"], _letters(model)): tuple(
            said.values()
        )[:2]
        for cell in theirs["accuracy_breakdown"]
        for model, said in cell["models"].items()
    }
    ours = {
        (one.prompt, one.rule, _letters(one.model)): (one.right, one.asked)
        for one in vlm_fix_counts()
    }
    assert ours == counts


def _letters(model: str) -> str:
    return "".join(filter(str.isalnum, model))


@pytest.mark.parametrize(("name", "place"), PLACES.items(), ids=list(PLACES))
def test_same_content(shared, name, place) -> None:
    ours = place.joinpath(name).read_text(encoding="utf-8")
    theirs = (shared / "published" / name).read_text(encoding="utf-8")
    if name.endswith(".json"):
        assert json.loads(ours) == json.loads(theirs)
    else:
        assert ours == theirs
