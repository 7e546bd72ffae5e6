"""What a drawn street shows, in words: reference captions and the classes that are there."""

from __future__ import annotations

from collections.abc import Sequence

BACKDROP = ("building", "road", "sidewalk", "sky")
"""Classes of Cityscapes that every drawn street shows."""

_CLASSES = {"tree": "vegetation"}


def captions(objects: Sequence[str]) -> list[str]:
    """Return reference captions of a street with these objects, in several phrasings.

    >>> captions(["car", "tree"])[0]
    'A city street with a car and a tree.'
    """
    if not objects:
        return ["An empty city street.", "A city street with no objects on it."]
    *first, last = [f"a {name}" for name in objects]
    listed = f"{', '.join(first)} and {last}" if first else last
    return [
        f"A city street with {listed}.",
        f"{listed[0].upper()}{listed[1:]} on a city street.",
        f"There is {listed} on the street.",
    ]


def classes(objects: Sequence[str]) -> list[str]:
    """Return the classes of Cityscapes in a street with these objects, sorted."""
    return sorted({*BACKDROP, *(_CLASSES.get(name, name) for name in objects)})
