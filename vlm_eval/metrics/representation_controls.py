"""Control drift: how far apart the clean vectors of different samples are.

For sample i the control drift is the mean of d(u_i, u_j) over K other samples j, drawn at random:

``unrelated``
    Any sample of another cluster (image): another image and another question, as in the paper.
``same_question_other_image``
    A sample that asks the same of another image, so that the image alone differs. This project's.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from vlm_eval.core.hashing import derive_rng
from vlm_eval.metrics.representation import Vector, drift_of
from vlm_eval.metrics.table import TableRow
from vlm_eval.stats.paired import SEED

Control: TypeAlias = Literal["unrelated", "same_question_other_image"]


def control_drifts(
    vectors: Mapping[str, tuple[TableRow, Vector]],
    control: Control,
    *,
    pairs: int,
    question: str,
    task: str,
) -> dict[str, float]:
    """Return the control drift of each sample, by sample id; of those that have a partner.

    Parameters
    ----------
    vectors
        Each sample's clean trial and its vector, by sample id.
    control
        What a partner is.
    pairs
        How many partners, K; fewer where there are not as many.
    question
        The field that holds what is asked.
    task
        The task's name, which seeds the draw together with the sample's id.
    """
    ids = sorted(vectors)
    rows = [vectors[i][0] for i in ids]
    found = {}
    for place, others in enumerate(_partners(rows, control, question)):
        if len(others) == 0:
            continue
        rng = derive_rng(SEED, task, "drift", control, ids[place])
        drawn = rng.choice(others, size=min(pairs, len(others)), replace=False)
        own = vectors[ids[place]][1]
        drifts = [drift_of(own, vectors[ids[other]][1]) for other in drawn]
        known = [drift for drift in drifts if drift is not None]
        if known:
            found[ids[place]] = float(np.mean(known))
    return found


def _partners(
    rows: Sequence[TableRow], control: Control, question: str
) -> Iterator[NDArray[np.intp]]:
    """Yield for each row the places of the rows that it may be compared with."""
    owner = _numbers([row.cluster for row in rows])
    asked = [row.value(question) for row in rows]
    # A row that asks nothing known asks the same as no other.
    text = _numbers([i if value is None else repr(value) for i, value in enumerate(asked)])
    for i in range(len(rows)):
        same = (text == text[i]) | (control == "unrelated")
        yield np.flatnonzero(same & (owner != owner[i]))


def _numbers(names: Sequence[Hashable]) -> NDArray[np.intp]:
    number = {name: place for place, name in enumerate(dict.fromkeys(names))}
    return np.array([number[name] for name in names], dtype=np.intp)
