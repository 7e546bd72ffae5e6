"""Answers in the form of a dictionary, read as one before any word of them is.

``{"car": false, "bus": true, "note": "a tram waits"}`` mentions a bus and a tram, and no car.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

_FALSE = frozenset({
    "false", "no", "none", "null", "absent", "0", "not visible", "not present", "n/a", "",
})  # fmt: skip
_TRUE = frozenset({"true", "yes", "present", "visible", "1"})
_ITEM = re.compile(r"[,;\n{}\[\]]")
_KEY = re.compile(r"[:=]")
_TRIM = " \t\r\"'`*-"

Known: TypeAlias = Callable[[str], bool]


def segments(text: str, known: Known) -> Iterator[str]:
    """Yield the pieces of a text that are to be read as words.

    Outside of braces that is the text itself. Inside, a key that is a class (``known``) is a piece
    if its value affirms it, and no piece if its value denies it; every other value that is text is
    a piece of its own. What is in braces and is no JSON (single quotes, a cut end) is read item by
    item.
    """
    at = 0
    for start, end in _blocks(text):
        if start > at:
            yield text[at:start]
        try:
            content = json.loads(text[start:end])
        except (ValueError, RecursionError):
            yield from _items(text[start:end], known)
        else:
            yield from _walk(content, known)
        at = end
    yield text[at:]


def _blocks(text: str) -> Iterator[tuple[int, int]]:
    """Yield start and end of each outermost pair of braces; the last may lack its end."""
    depth, start = 0, 0
    for match in re.finditer(r"[{}]", text):
        if match[0] == "{":
            start = match.start() if depth == 0 else start
            depth += 1
        elif depth:
            depth -= 1
            if depth == 0:
                yield start, match.end()
    if depth:
        yield start, len(text)


def _walk(content: Any, known: Known) -> Iterator[str]:
    """Yield the pieces of a JSON value, without recursion: it may be deeply nested."""
    todo = [content]
    while todo:
        value = todo.pop()
        if isinstance(value, dict):
            for key, item in value.items():
                if isinstance(item, dict | list) and not known(key):
                    todo.append(item)
                else:
                    yield from _pair(key, item, known)
        elif isinstance(value, list):
            todo += value
        elif isinstance(value, str):
            yield value


def _pair(key: str, value: Any, known: Known) -> Iterator[str]:
    if not known(key):
        if isinstance(value, str):
            yield value
        return
    if isinstance(value, str):
        word = value.strip(_TRIM + ".").lower()
        if word in _TRUE:
            yield key
        elif word not in _FALSE:
            yield f"{key}: {value}"
    elif value:  # true, a count above 0, a list or mapping of what there is
        yield key


def _items(block: str, known: Known) -> Iterator[str]:
    items = [item for item in _ITEM.split(block) if item.strip()]
    for number, item in enumerate(items, start=1):
        sign = _KEY.search(item)
        if sign is None:
            yield item
            continue
        key, value = item[: sign.start()].strip(_TRIM), item[sign.end() :].strip(_TRIM)
        cut = number == len(items) and not block.endswith("}")
        # Where the answer was cut short, "tr" may be the beginning of anything.
        if not cut or value.lower() in _TRUE | _FALSE:
            yield from _pair(key, value, known)
