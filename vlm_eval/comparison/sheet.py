"""CSV that spreadsheets open as data, never as formulas."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from vlm_eval.core.hashing import canonical_json
from vlm_eval.reports.text import visible

FORMULA = ("=", "+", "-", "@", "\t", "\r", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""What a cell that a spreadsheet computes begins with; the last four are full-width."""


def csv_text(columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> str:
    """Return a table as CSV with a header line and a newline at each line's end.

    Numbers are written as they are, None as an empty cell, mappings and lists as JSON. Control
    characters of a text become visible symbols, and a text that would be a formula gets an
    apostrophe before it.
    """
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow([_cell(column) for column in columns])
    for row in rows:
        writer.writerow([_cell(row.get(column)) for column in columns])
    return buffer.getvalue()


def _cell(value: Any) -> str:
    r"""Return a cell's text.

    >>> _cell("=1+1"), _cell(-0.5), _cell(None), _cell({"a": 1})
    ("'=1+1", '-0.5', '', '{"a":1}')
    """
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (int, float)):
        return repr(value)
    text = value if isinstance(value, str) else canonical_json(value)
    seen = visible(text, lines=False)
    # Also where spaces go before: some programs cut them off.
    return f"'{seen}" if (text.lstrip(" ") or text).startswith(FORMULA) else seen
