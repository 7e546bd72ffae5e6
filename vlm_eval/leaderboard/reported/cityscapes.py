"""The error rates of "Semantic Misalignment ... under Perceptual Degradation"."""

from __future__ import annotations

from collections.abc import Iterator

from vlm_eval.leaderboard.reported.number import Reported
from vlm_eval.published import cityscapes


def numbers() -> Iterator[Reported]:
    """Yield every cell of Tables 4 to 6, a share for each condition."""
    tables = cityscapes()
    for model, measures in tables["tables456_vlm"].items():
        for name, values in measures.items():
            for condition, value in zip(tables["conditions"], values, strict=True):
                yield Reported(
                    "cityscapes-degraded", model, name, {"degradation": condition.lower()},
                    float(value), "arXiv:2601.08355v1", "Tables 4 to 6",
                )  # fmt: skip
