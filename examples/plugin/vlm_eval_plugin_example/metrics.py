"""A metric."""

from __future__ import annotations

from vlm_eval.core.options import configurable
from vlm_eval.metrics.table import Result, Table
from vlm_eval.stats.clusters import Clusters
from vlm_eval.stats.mean import clustered_mean


@configurable
class LeftShare:
    """Share of parsed answers that are ``left``: 50 % where the right answers are balanced."""

    def __call__(self, table: Table) -> list[Result]:
        """Return one estimate; its interval is clustered, and an empty table's value is unknown."""
        rows = [row for row in table.rows if row.answer is not None]
        clusters = Clusters.of(row.cluster for row in rows)
        mean = clustered_mean([float(row.answer == "left") for row in rows], clusters)
        return [mean.estimate("left_share", {})]
