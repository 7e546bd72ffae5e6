"""Draw steer.png, patch.png and replace.png from the findings of run folders.

python docs/internals/figures.py steer TINY TINY_BY_JOINT JOINT
python docs/internals/figures.py patch JOINT_OTHER JOINT_RULE
python docs/internals/figures.py replace JOINT D2

Which commands make the runs stands under each figure. ``--out FILE`` draws elsewhere.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

HERE = Path(__file__).parent
GREY, RED, BLUE, GREEN, ORANGE = "#777777", "#B2182B", "#2166AC", "#1B7837", "#D95F02"
VIOLET, LIGHT = "#9467BD", "#92C5DE"
# Qwen2.5-VL-7B, Reversi, arXiv 2604.12119, App. D, read from the figure: layers 17 to 28, per cent.
PUBLISHED = {
    "not steered": ([54.3] * 12, GREY, ":"),
    "state of the routed answer": (
        [53.9, 54.0, 56.7, 60.7, 71.7, 94.3, 95.3, 94.6, 94.7, 94.9, 94.9, 64.4], BLUE, "-",
    ),
    "what the router reads in it": (
        [78.3, 89.0, 93.6, 94.7, 95.3, 95.6, 95.6, 95.0, 95.4, 95.3, 94.9, 94.2], GREEN, "--",
    ),
}  # fmt: skip
TOY = "toy models of 2.7 M parameters on generated boards: no evidence about large models"


def findings(run: str, analysis: str) -> list[dict[str, Any]]:
    """Return the estimates of the one analysis of this name in a run."""
    (path,) = Path(run).glob(f"analysis/{analysis}-*/findings.json")
    found: list[dict[str, Any]] = json.loads(path.read_text())["estimates"]
    return found


def points(found: Sequence[dict[str, Any]], name: str, axis: str, **where: Any) -> dict[Any, list]:
    """Return the estimates at a place by their value on the axis."""
    chosen: dict[Any, list[dict[str, Any]]] = {}
    for e in found:
        rest = {key: value for key, value in e["where"].items() if key != axis}
        if e["name"] == name and axis in e["where"] and where.items() <= rest.items():
            chosen.setdefault(e["where"][axis], []).append(e)
    return dict(sorted(chosen.items()))


def curve(ax: Axes, chosen: dict[Any, list], label: str, colour: str, style: str = "-") -> None:
    """Draw the mean of the estimates at each point; of one alone, its interval too."""
    x, y = list(chosen), [100 * fmean(e["value"] for e in several) for several in chosen.values()]
    if all(len(several) == 1 for several in chosen.values()):
        low, high = ([100 * end_of(s[0], end) for s in chosen.values()] for end in ("low", "high"))
        ax.fill_between(x, low, high, color=colour, alpha=0.15, linewidth=0)
    ax.plot(x, y, style, color=colour, marker="o", markersize=5, linewidth=2, label=label)


def end_of(e: dict[str, Any], end: str) -> float:
    """Return an end of an interval; the value itself if the interval is unknown."""
    found: float = e["value"] if e[end] is None else e[end]
    return found


def tidy(ax: Axes, title: str, x: str, y: str = "") -> None:
    """Give an axis its words."""
    ax.set(title=title, xlabel=x, ylim=(-6, 118))
    ax.set_ylabel(y)
    ax.spines[["top", "right"]].set_visible(False)
    ax.legend(frameon=False, fontsize=8)


def steer(runs: Sequence[str]) -> Figure:
    """Draw the means of four games, and a published curve."""
    own, lent, joint = (findings(run, "steer") for run in runs)
    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(15, 5))
    for found, name, rule, label, colour, style in (
        (own, "base", "inverse", "not steered", GREY, ":"),
        (own, "patched", "inverse", "steered by its own states", RED, "-"),
        (lent, "patched", "inverse", "steered by tiny-joint's states", BLUE, "-"),
        (lent, "router_answer", "inverse", "what the router reads in it", GREEN, "--"),
        (lent, "patched", "standard", "tiny-joint's states, standard rule", LIGHT, "-"),
    ):
        chosen = points(found, f"{name}_accuracy_by_rule", "layer", rule=rule)
        curve(left, chosen, label, colour, style)
    for name, label, colour, style in (
        ("base", "not steered", GREY, ":"),
        ("patched", "state of the routed answer", BLUE, "-"),
        ("wrong_label", "state of the other answer", RED, "-"),
        ("random", "random vector", ORANGE, "-"),
        ("router_answer", "what the router reads in it", GREEN, "--"),
    ):
        curve(middle, points(joint, f"{name}_accuracy", "layer"), label, colour, style)
    for label, (values, colour, style) in PUBLISHED.items():
        look = {"marker": "o", "markersize": 5, "linewidth": 2}
        right.plot(range(17, 29), values, style, color=colour, label=label, **look)
    right.annotate(
        "the script's last layer:\nread after the norm,\nwritten before it",
        (28, 64), (23, 24), arrowprops={"arrowstyle": "->"},
    )  # fmt: skip
    x = "written after block"
    tidy(left, "tiny (fixated): inverse rule", x, "accuracy (%), mean of four games")
    tidy(middle, "tiny-joint (follows both rules): both rules", x)
    tidy(right, "published: Qwen2.5-VL-7B, Reversi, both rules", f"{x} (of 28)")
    for ax in (left, middle):
        ax.set_xticks(range(1, 5))
    figure.suptitle(f"Writing the state of an answer into the last token (left, middle: {TOY})")
    return figure


def patch(runs: Sequence[str]) -> Figure:
    """Draw which tokens carry the board, and which the rule."""
    figure, axes = plt.subplots(1, 2, figsize=(12, 5), sharey=True)
    said = (
        ("shows ANOTHER BOARD", "who won has reached\nthe last token\nafter one block", (1, 97)),
        ("states THE OTHER RULE", "the rule is applied there\nin blocks 1 to 3", (1.5, 63)),
    )
    for ax, run, (title, what, place) in zip(axes, runs, said, strict=True):
        found = findings(run, "patch")
        for tokens, label, colour, style in (
            ("all", "all tokens", GREY, ":"),
            ("image", "the image's tokens", ORANGE, "-"),
            ("after_image", "the text after the image", GREEN, "--"),
            ("prompt_last", "the last token alone", BLUE, "-"),
        ):
            curve(ax, points(found, "effect", "layer", tokens=tokens), label, colour, style)
        tidy(ax, f"the counterfactual {title}", "where it is copied from the counterfactual")
        arrow = {"arrowstyle": "->", "color": BLUE}
        ax.annotate(what, place, (1.3, 25), color=BLUE, arrowprops=arrow)
        ax.set_xticks(range(5), ["embeddings", *(f"after block {n}" for n in range(1, 5))])
        ax.tick_params(axis="x", labelsize=8)
    axes[0].set_ylabel("share of the counterfactual's\nanswer that comes with it (%)")
    figure.suptitle(
        "tiny-joint, which follows both rules: where its answer depends on the board, and where on "
        f"the rule\n({TOY})"
    )
    return figure


def replace(runs: Sequence[str]) -> Figure:
    """Draw what is left of two tuned models with layers put back to tiny's."""
    names = "tiny-joint (both rules)", "D2 (tuned to the inverse rule, decoder only)"
    figure, axes = plt.subplots(2, 3, figsize=(13, 8))
    for (answers, left, single), run, name in zip(axes, runs, names, strict=True):
        found = findings(run, "replace")
        place = {"trials": "conflict", "sweep": "suffix"}
        for measure, label, colour in (
            ("accuracy", "answers by the stated (inverse) rule", ORANGE),
            ("bias_ratio", "answers by the standard rule", BLUE),
        ):
            curve(answers, points(found, measure, "replaced", **place), label, colour)
        for sweep, label, colour, style in (
            ("suffix", "last N layers put back", VIOLET, "-"),
            ("prefix", "first N layers put back", GREEN, "--"),
        ):
            where = {"trials": "conflict", "sweep": sweep}
            curve(left, points(found, "recovery", "replaced", **where), label, colour, style)
        lost = points(found, "recovery", "layer", trials="conflict", sweep="single")
        value, low, high = (
            np.array([end_of(several[0], key) for several in lost.values()])
            for key in ("value", "low", "high")
        )
        heights = 100 * (1 - value)
        ends = 100 * np.array([high - value, value - low]).clip(0)
        label = "recovery lost, points"
        single.bar(list(lost), heights, yerr=ends, color=RED, alpha=0.7, capsize=4, label=label)
        tidy(answers, f"{name}:\ninverse rule asked", "last N of 4 layers put back", "% of answers")
        tidy(left, "What is left of what it learned\n(100: all, 0: as tiny)", "N layers put back")
        tidy(single, "What is lost when\nthis one layer is put back", "layer, 1 next to the input")
        for ax in (answers, left, single):
            ax.set_xticks(range(ax is single, 5))
    figure.suptitle(f"Which layers carry the rule? Put back to those of tiny ({TOY})")
    return figure


def main() -> None:
    """Draw one figure."""
    parser = argparse.ArgumentParser()
    parser.add_argument("figure", choices=("steer", "patch", "replace"))
    parser.add_argument("runs", nargs="+")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    drawn = {"steer": steer, "patch": patch, "replace": replace}[given.figure](given.runs)
    drawn.tight_layout()
    drawn.savefig(given.out or HERE / f"{given.figure}.png", dpi=110)


if __name__ == "__main__":
    main()
