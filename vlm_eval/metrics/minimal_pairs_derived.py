"""Choices derived from the yes/no questions, for models that take one image at a time.

The score of image k and caption j is how much likelier the model finds "yes" than "no" when asked
whether they match: s(k, j) = log P(yes) - log P(no), which orders pairings as P(yes) of the two
options does (VQAScore, Lin et al. 2024, arXiv 2404.01291). Confirm and reject ask for all four::

    s(k, k)      confirm of side k                s(k, 1 - k)  reject of side k

An image's caption, or a caption's image, is the one whose score is higher; a tie is wrong. These
are other questions than i2c and c2i, so that the scores have names of their own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from vlm_eval.core.types import Level
from vlm_eval.metrics.minimal_pairs_units import CONFIRM, REJECT, SIDES, Sample
from vlm_eval.metrics.table import TableRow
from vlm_eval.stats.clusters import Clusters
from vlm_eval.stats.mean import clustered_mean
from vlm_eval.stats.results import Estimate

Pairing: TypeAlias = tuple[int, int]
"""An image and a caption, by side."""

Above: TypeAlias = tuple[Pairing, Pairing]
"""The first pairing must score higher than the second."""


@dataclass(frozen=True)
class Derived:
    """A score: units of comparisons that must all hold, and its chance for continuous scores."""

    name: str
    units: tuple[tuple[Above, ...], ...]
    chance: float


_TEXT: tuple[Above, ...] = tuple(((k, k), (k, 1 - k)) for k in SIDES)
_IMAGE: tuple[Above, ...] = tuple(((k, k), (1 - k, k)) for k in SIDES)
DERIVED = (
    Derived("i2c_derived_acc", tuple((above,) for above in _TEXT), 1 / 2),
    Derived("c2i_derived_acc", tuple((above,) for above in _IMAGE), 1 / 2),
    Derived("derived_text", (_TEXT,), 1 / 4),
    Derived("derived_image", (_IMAGE,), 1 / 4),
    Derived("derived_group", (_TEXT + _IMAGE,), 1 / 6),
)


def derived(
    samples: Sequence[Sample], order: Level, where: Mapping[str, Level]
) -> Iterator[Estimate]:
    """Yield the derived scores; none where no yes/no question has log-likelihoods.

    Parameters
    ----------
    samples
        Each sample's trials by key.
    order
        The option order in the keys of the yes/no questions.
    where
        The slice.
    """
    matrices = [_matrix(sample, order) for sample in samples]
    for score in DERIVED:
        asked = [
            (cluster, [s[one] > s[other] for one, other in unit])
            for cluster, s in matrices
            for unit in score.units
            if all(pairing in s for above in unit for pairing in above)
        ]
        if samples and not asked:
            continue
        values = [float(all(held)) for _, held in asked]
        mean = clustered_mean(values, Clusters.of(cluster for cluster, _ in asked))
        yield replace(mean.estimate(score.name, where), chance=score.chance)


def _matrix(sample: Sample, order: Level) -> tuple[str, dict[Pairing, float]]:
    """Return the sample's cluster and its known scores by image and caption."""
    found: dict[Pairing, float] = {}
    for question in (CONFIRM, REJECT):
        for k in SIDES:
            row = sample.get((question, k, order))
            score = None if row is None else _yes_over_no(row, question)
            if score is not None:
                found[k, k if question == CONFIRM else 1 - k] = score
    return next(iter(sample.values())).cluster, found


def _yes_over_no(row: TableRow, question: str) -> float | None:
    if row.failed or row.logprobs is None or row.choices is None or len(row.choices) != 2:
        return None
    right = row.choices.index(row.gold)
    margin = row.logprobs[right] - row.logprobs[1 - right]
    return margin if question == CONFIRM else -margin
