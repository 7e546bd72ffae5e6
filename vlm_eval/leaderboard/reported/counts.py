"""The counts in VLM-Fix's released code: the slice that all its models were asked."""

from __future__ import annotations

from collections.abc import Iterator

from vlm_eval.leaderboard.reported.number import Reported
from vlm_eval.published import vlm_fix, vlm_fix_counts

SLICE = {"target": "winner", "order": "image_first"}


def numbers() -> Iterator[Reported]:
    """Yield accuracy by prompt and rule: winner asked, image first, 1,200 boards of four games."""
    source = vlm_fix()[0]
    for prompt, rule, model, right, asked in vlm_fix_counts():
        where = {"prompt_variant": prompt, **SLICE, "rule": rule}
        yield Reported(
            "vlm-fix-prompts", model, "accuracy", where, right / asked, source,
            "counts in the released code", f"{right:,} of {asked:,}",
        )  # fmt: skip
