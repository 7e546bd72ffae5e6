"""Text for the terminal: what came from elsewhere cannot act on it, and tables fit 100 columns."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

WIDTH = 100
MAX_WORD = 45
# What moves the cursor, hides, reorders or breaks lines: control, format, surrogate, line ends.
_UNSAFE = frozenset(("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"))


def printable(text: object) -> str:
    r"""Return a text with every character that could act on a terminal written as an escape.

    >>> printable("a\x1b[2Jb\u202e")
    'a\\x1b[2Jb\\u202e'
    """
    return "".join(
        c.encode("unicode_escape").decode() if unicodedata.category(c) in _UNSAFE else c
        for c in str(text)
    )


def printable_lines(text: str) -> str:
    """Return a text made printable with its line ends kept."""
    return "\n".join(map(printable, text.split("\n")))


def print_table(rows: Sequence[Mapping[str, Any]], notes: Sequence[str] = ()) -> None:
    """Print mappings as a table, a column for each key of the first, and lines below it.

    Names and ids are never broken, so that they can be copied.
    """
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False, markup=False, emoji=False)
    console.width = min(WIDTH, console.width) if console.is_terminal else WIDTH
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for title in rows[0] if rows else ["nothing"]:
        cells = [_cell(row[title]) for row in rows]
        words = all(" " not in cell and len(cell) <= MAX_WORD for cell in cells)
        table.add_column(title, no_wrap=words, overflow="fold")
    for row in rows:
        table.add_row(*(Text(printable(_cell(item))) for item in row.values()))
    console.print(table)
    for note in notes:
        console.print(Text(printable(note)))


def _cell(item: Any) -> str:
    return ", ".join(map(str, item)) if isinstance(item, list) else str(item)
