"""The ratio of two totals, such as hallucinated mentions to all mentions of a set of texts."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from vlm_eval.stats.clusters import Clusters
from vlm_eval.stats.intervals import UNKNOWN, student_t
from vlm_eval.stats.mean import Mean, as_scores


def clustered_ratio(
    numerators: Sequence[float], denominators: Sequence[float], clusters: Clusters
) -> Mean:
    """Return Σ y / Σ x over rows, with a linearised clustered standard error.

    The error is that of the residuals y - r x summed by cluster: sqrt(C / (C - 1)) / Σ x ·
    sqrt(Σ_c (Σ_{i in c} (y_i - r x_i))²) (Cochran 1977, *Sampling Techniques*, section 6.4); the
    interval is Student's t with C - 1 degrees of freedom.

    Parameters
    ----------
    numerators, denominators
        y and x of each row; x is 0 or more.
    clusters
        The partition of the rows.

    Returns
    -------
    Mean
        ``n`` is the number of rows. The value is None where Σ x is 0; the interval is unknown with
        fewer than two clusters or no spread.
    """
    y, x = as_scores(numerators, clusters), as_scores(denominators, clusters)
    n, count = clusters.rows, clusters.count
    total = float(x.sum())
    if total == 0:
        return Mean(None, None, *UNKNOWN, n=n, clusters=count)
    ratio = float(y.sum()) / total
    if count < 2:
        return Mean(ratio, None, *UNKNOWN, n=n, clusters=count)
    residuals = clusters.totals(y - ratio * x)
    if np.abs(residuals).max() <= 1e-12 * total:
        return Mean(ratio, 0.0, *UNKNOWN, n=n, clusters=count)
    se = math.sqrt(count / (count - 1) * float(residuals @ residuals)) / total
    return Mean(ratio, se, *student_t(ratio, se, count - 1), n=n, clusters=count)
