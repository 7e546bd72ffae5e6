"""What CHAIR's released code adds to its list of synonyms: pairs of words that are read as one.

Rohrbach et al. 2018 (arXiv 1809.02156), ``utils/chair.py`` of LisaAnne/Hallucination. A baby
elephant is no baby, a toilet seat no seat, and a train track no train.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

_ANIMALS = (
    "bird", "cat", "dog", "horse", "sheep", "cow", "elephant", "bear", "zebra", "giraffe",
    "animal", "cub",
)  # fmt: skip
_PAIRS: Mapping[str, str] = {
    **{f"{age} {animal}": animal for age in ("baby", "adult") for animal in _ANIMALS},
    **{f"passenger {vehicle}": vehicle for vehicle in ("jet", "train")},
    "toilet seat": "toilet",
    "bow tie": "tie",
    "train track": "",
    "home plate": "",
}
"""What each pair is read as; nothing where that is empty."""


def read_as_one(classes: Mapping[str, tuple[str, ...]]) -> Iterator[tuple[str, str | None]]:
    """Yield each pair that is no term yet, with its class; None if it mentions none of them."""
    owners = {term: name for name, terms in classes.items() for term in terms}
    for pair, word in _PAIRS.items():
        if pair not in owners:
            yield pair, owners.get(word)
