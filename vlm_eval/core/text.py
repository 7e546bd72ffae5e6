"""What both parsers and metrics must agree on about a model's text."""

from __future__ import annotations

import re

_THINK = re.compile(r"<(/?)think(?:ing)?>", re.IGNORECASE)


def without_reasoning(text: str) -> str:
    """Return the text without what stands between ``<think>`` tags.

    All of the rest, where a tag is not closed; all before it, where it was not opened.
    """
    kept: list[str] = []
    start, inside = 0, False
    for tag in _THINK.finditer(text):
        if tag[1]:
            if not inside:  # the prompt itself opened the block
                kept.clear()
            start, inside = tag.end(), False
        elif not inside:
            kept.append(text[start : tag.start()])
            inside = True
    if not inside:
        kept.append(text[start:])
    return "\n".join(kept)
