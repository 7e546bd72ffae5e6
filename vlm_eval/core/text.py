"""What both parsers and metrics must agree on about a model's text."""

from __future__ import annotations

import re

_THINK = re.compile(r"<(/?)think(?:ing)?>", re.IGNORECASE)


def without_reasoning(text: str) -> str:
    """Return the text without what stands between ``<think>`` tags.

    All of the rest, where a tag is not closed; all before it, where it was not opened.
    """
    return "\n".join(text[start:end] for start, end in spans_without_reasoning(text))


def spans_without_reasoning(text: str) -> list[tuple[int, int]]:
    """Return start and end of each stretch that :func:`without_reasoning` keeps, in order."""
    kept: list[tuple[int, int]] = []
    start, inside = 0, False
    for tag in _THINK.finditer(text):
        if tag[1]:
            if not inside:  # the prompt itself opened the block
                kept.clear()
            start, inside = tag.end(), False
        elif not inside:
            kept.append((start, tag.start()))
            inside = True
    if not inside:
        kept.append((start, len(text)))
    return kept
