"""The examples of docs/parsers.md are what the parsers return."""

import json
import re
from pathlib import Path

import pytest

from vlm_eval.parsers.base import PARSERS

PAGE = Path(__file__).parents[2] / "docs" / "parsers.md"
SECTION = re.compile(r"^## `(\w+)`$(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)
ROW = re.compile(r'^\| `(".*")` \| `(\S+)` \| (.+) \| `(\w+)` \|$', re.MULTILINE)
EXAMPLES = [
    (parser, *row)
    for parser, body in SECTION.findall(PAGE.read_text())
    for row in ROW.findall(body)
]


def test_every_parser_has_examples():
    assert {parser for parser, *_ in EXAMPLES} == set(PARSERS)
    assert len(EXAMPLES) == PAGE.read_text().count('| `"')


@pytest.mark.parametrize(("parser", "text", "choices", "answer", "rule"), EXAMPLES)
def test_an_example(parser, text, choices, answer, rule):
    found = PARSERS.get(parser)()(json.loads(text), () if choices == "-" else choices.split(","))
    assert (found.answer or "-", found.rule) == (answer, rule)
