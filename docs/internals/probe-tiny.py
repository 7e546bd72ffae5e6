"""Draw probe-tiny.png from what `vlm_eval analyze probe` found in two runs of vlm-fix-layers.

python docs/internals/probe-tiny.py RUN_OF_TINY RUN_OF_TINY_JOINT
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.axes import Axes

HERE = Path(__file__).parent
FOUND = "analysis/probe-vlm-fix-layers/findings.json"
NAMES = ("tiny: saw the standard rule only", "tiny-joint: saw both rules")
READ = {
    "winner": ("who has won on the board", "#0072B2", "o"),
    "rule": ("which rule was told", "#E69F00", "s"),
    "answer": ("the right answer", "#009E73", "D"),
}
SHOWN = {
    "p_gold": ("the right answer", "#009E73", "D"),
    "p_prior": ("the standard rule's answer", "#D55E00", "v"),
}


def curve(ax: Axes, points: list[dict[str, Any]], look: tuple[str, str, str], **line: Any) -> None:
    """Draw estimates along the layers, with their intervals."""
    points = sorted(points, key=lambda e: e["where"]["layer"])
    x = [e["where"]["layer"] for e in points]
    y = [100 * e["value"] for e in points]
    low = [100 * (e["value"] if e["low"] is None else e["low"]) for e in points]
    high = [100 * (e["value"] if e["high"] is None else e["high"]) for e in points]
    name, colour, marker = look
    ax.fill_between(x, low, high, color=colour, alpha=0.15, linewidth=0)
    ax.plot(x, y, color=colour, marker=marker, markersize=5, label=name, **line)


def chosen(found: dict[str, Any], name: str, **where: Any) -> list[dict[str, Any]]:
    """Return the estimates at a place that have no other keys but the layer."""
    place = {"site": "prompt_last", **where}
    return [
        e
        for e in found["estimates"]
        if e["name"] == name and {k: v for k, v in e["where"].items() if k != "layer"} == place
    ]


def draw(runs: list[dict[str, Any]]) -> None:
    """Draw what was found in both runs."""
    figure, axes = plt.subplots(2, 2, figsize=(10, 7.2), sharex=True, sharey="row")
    for column, (found, name) in enumerate(zip(runs, NAMES, strict=True)):
        above, below = axes[:, column]
        above.set_title(name, fontweight="bold", fontsize=12)
        for label, look in READ.items():
            curve(above, chosen(found, "selectivity", label=label, probe="linear"), look)
        for measure, look in SHOWN.items():
            where = {"label": "answer", "probe": "linear", "trained": "agreement"}
            curve(below, chosen(found, measure, **where), look)
        for ax in (above, below):
            ax.spines[["top", "right"]].set_visible(False)
        for level, name in ((0, "no better than guessing"), (50, "always right")):
            above.axhline(level, color="grey", linewidth=1, linestyle=":")
            above.text(4, level + 1, name, color="grey", fontsize=9, ha="right")
        above.set_ylim(-18, 60)
        below.set_ylim(-3, 103)
        below.set_xticks(range(5), ["input", "block 1", "block 2", "block 3", "block 4"])
    axes[0, 0].set_ylabel("probe right beyond chance, points")
    axes[1, 0].set_ylabel("probability of each answer, %")
    axes[0, 1].legend(
        title="What can be read from the state", loc="center right", frameon=False,
        bbox_to_anchor=(1, 0.47),
    )  # fmt: skip
    axes[1, 1].legend(
        title="Inverse questions: whose answer the state shows", loc="upper left", frameon=False
    )
    figure.suptitle(
        "Who wins by the rule I was told? What the last word of the question knows, block by block"
        "\n(two toy models on synthetic boards: no evidence about large models)",
        fontsize=12,
    )
    figure.tight_layout()
    figure.savefig(HERE / "probe-tiny.png", dpi=110)


def main() -> None:
    """Read the findings and draw."""
    runs = [json.loads((Path(run) / FOUND).read_text()) for run in sys.argv[1:3]]
    draw(runs)


if __name__ == "__main__":
    main()
