"""VLM-Fix's steering of late layers: the figures of its App. D."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from vlm_eval.core.types import Level
from vlm_eval.leaderboard.reported.number import Reported
from vlm_eval.published import vlm_fix, vlm_fix_steering

TASK = "vlm-fix-steering"
NAMES = {
    "patched_acc": "patched_accuracy",
    "routing_rule_acc": "router_rule_accuracy",
    "routing_answer_acc": "router_answer_accuracy",
}
"""What ``vlm_eval analyze steer`` calls them."""
TESTED = "over the test boards of three splits, 30 % each"
BY_ANALYSIS = f"{TESTED}; measured by vlm_eval analyze steer, layers counted from 1"


def numbers() -> Iterator[Reported]:
    """Yield the unsteered accuracy of each game, once, and each curve's points by layer.

    The curves of VLMBias are left out: they need a model that was trained on drawn legs, and pairs
    of pictures with two and three legs, which no task here asks.
    """
    source, table = vlm_fix()[0], "App. D (digitised)"
    seen = set()
    for point in vlm_fix_steering():
        if point.task != "vlm_fix" or point.layer is None:
            continue
        value, where = point.value / 100, {"game": point.group}
        if point.metric in NAMES:
            at: Mapping[str, Level] = {**where, "layer": point.layer}
            name = NAMES[point.metric]
            yield Reported(TASK, point.model, name, at, value, source, table, BY_ANALYSIS)
        elif (point.model, point.group) not in seen:
            seen.add((point.model, point.group))
            yield Reported(TASK, point.model, "accuracy", where, value, source, table, TESTED)
