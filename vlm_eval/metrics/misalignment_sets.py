"""Sets of classes: what a model mentions, what is there, and what is critical."""

from __future__ import annotations

from collections.abc import Collection, Set

EPSILON = 1e-8
_PEOPLE = frozenset({"person", "rider"})


def supported(present: Collection[str], *, strict: bool) -> frozenset[str]:
    """Return the classes whose mention the scene supports.

    Unless ``strict``, person and rider stand for each other: who mentions a person where the label
    says rider has seen somebody.
    """
    there = frozenset(present)
    return there | _PEOPLE if there & _PEOPLE and not strict else there


def hallucination_rate(mentioned: Set[str], there: Set[str], epsilon: float = EPSILON) -> float:
    """Return |mentioned - there| / (|mentioned| + epsilon), 0 of no mentions.

    The mean over images is HR of arXiv 2601.08355, section 3.4.
    """
    return len(mentioned - there) / (len(mentioned) + epsilon)


def omits(mentioned: Set[str], critical: Set[str]) -> float:
    """Return 1 if some critical class that is there is not mentioned, else 0.

    The mean over images is COR; an image without critical classes never fires.
    """
    return float(not critical <= mentioned)


def recall(mentioned: Set[str], there: Set[str]) -> float:
    """Return the share of the classes there that are mentioned; ``there`` is not empty."""
    return len(mentioned & there) / len(there)
