"""Which groups a probe is trained on, and the random labels of its control task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from vlm_eval.core.hashing import derive_rng, derive_seed

Part: TypeAlias = Literal["train", "val", "test"]
SHARES = 0.6, 0.2, 0.2
"""Of the groups, for training, validation and test (our default: spec A4)."""


def split_groups(groups: Sequence[str], seed: int) -> dict[str, Part]:
    """Return the part of each group: 60, 20 and 20 % of them, each at least one.

    Groups are ordered by a digest of seed and name, and the order is cut: so the parts depend on
    which groups there are, and not on their order or on how often one is named.

    Parameters
    ----------
    groups
        Names of groups, three or more distinct ones.
    seed
        Another seed gives another split.

    Raises
    ------
    ValueError
        If there are fewer than three groups.
    """
    order = sorted(set(groups), key=lambda group: (derive_seed(seed, "split", group), group))
    if len(order) < len(SHARES):
        raise ValueError(f"{len(order)} groups cannot be split into three parts")
    test = max(1, round(SHARES[2] * len(order)))
    val = max(1, round(SHARES[1] * len(order)))
    train = len(order) - val - test
    return {
        group: "train" if i < train else "val" if i < train + val else "test"
        for i, group in enumerate(order)
    }


def control_labels(
    labels: NDArray[np.intp], types: Sequence[str], strata: Sequence[str], seed: int
) -> NDArray[np.intp]:
    """Return random labels that are the same for all rows of a type.

    The control task of Hewitt and Liang (2019, section 2): what a probe reaches on it, it reaches
    without what the true labels have to do with the states.

    Parameters
    ----------
    labels
        True labels, shape (rows,).
    types
        The type of each row.
    strata
        What is known of each row without the states: a label is drawn as often as it occurs among
        the rows of the first stratum, in sorted order, that the type has rows in.
    seed
        Another seed gives other labels.
    """
    found = label_shares(labels, strata)
    home: dict[str, str] = {}
    for kind, stratum in sorted(set(zip(types, strata, strict=True))):
        home.setdefault(kind, stratum)
    drawn = {
        kind: int(derive_rng(seed, "control", kind).choice(len(found[stratum]), p=found[stratum]))
        for kind, stratum in home.items()
    }
    return np.array([drawn[kind] for kind in types], dtype=np.intp)


def label_shares(
    labels: NDArray[np.intp], strata: Sequence[str]
) -> Mapping[str, NDArray[np.float64]]:
    """Return the share of each label among the rows of each stratum, shape (labels,)."""
    names, count = np.asarray(strata, dtype=object), int(labels.max(initial=-1)) + 1
    return {
        stratum: np.bincount(labels[names == stratum], minlength=count) / (names == stratum).sum()
        for stratum in sorted(set(strata))
    }
