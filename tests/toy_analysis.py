"""An analysis for tests, known as ``counting``: it counts the trials and keeps its study."""

from __future__ import annotations

from vlm_eval.core.options import configurable
from vlm_eval.internals.base import Study
from vlm_eval.internals.findings import Findings, Panel
from vlm_eval.stats.results import Estimate

SEEN: list[Study] = []


@configurable
class Counting:
    """Counts the trials at each level of blur, ``times`` over, and those of the base."""

    times: int = 1

    def __call__(self, study: Study) -> Findings:
        SEEN.append(study)
        counts: dict[str | int, int] = {}
        for _, row in study.trials():
            blur = row.condition["blur"]
            counts[blur] = counts.get(blur, 0) + 1
        return study.findings(
            "counting",
            {"times": self.times},
            estimates=tuple(self._estimate(blur, n) for blur, n in counts.items()),
            panels=(Panel(title="Trials by blur", axis="blur", names=("count",)),),
            facts={"base": 0 if study.base is None else len(study.base.table.rows)},
        )

    def _estimate(self, blur: str | int, n: int) -> Estimate:
        value = float(self.times * n)
        return Estimate(
            "count", {"blur": blur}, value, 1.0, value - 2, value + 2, n, 2, "student_t",
            unit="trials",
        )  # fmt: skip
