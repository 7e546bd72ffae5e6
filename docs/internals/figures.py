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
    "nothing written": ([54.3] * 12, GREY, ":"),
    "state of the answer\nthat the probe reads": (
        [53.9, 54.0, 56.7, 60.7, 71.7, 94.3, 95.3, 94.6, 94.7, 94.9, 94.9, 64.4], BLUE, "-",
    ),
    "what the probe reads": (
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


def named(ax: Axes, text: str, at: tuple[float, float], colour: str) -> None:
    """Write a curve's name beside it, in its colour."""
    ax.text(*at, text, color=colour, fontsize=9, linespacing=1.1)


def tidy(ax: Axes, title: str, x: str, y: str = "") -> None:
    """Give an axis its words."""
    ax.set(title=title, xlabel=x, ylim=(-6, 118))
    ax.set_ylabel(y)
    ax.spines[["top", "right"]].set_visible(False)
    if ax.get_legend_handles_labels()[0]:
        ax.legend(frameon=False, fontsize=8)


def steer(runs: Sequence[str]) -> Figure:
    """Draw the means of four games, and a published curve, each with its name beside it."""
    own, lent, joint = (findings(run, "steer") for run in runs)
    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(17, 6.3))
    for found, name, rule, label, at, colour, style in (
        (own, "base", "inverse", "nothing written", (2.6, 4), GREY, ":"),
        (own, "patched", "inverse", "states of its own", (2.6, 33), RED, "-"),
        (lent, "patched", "inverse", "states of tiny-joint", (1.1, 9), BLUE, "-"),
        (lent, "router_answer", "inverse", "what a probe reads\nin tiny's state",
         (1, 55), GREEN, "--"),
        (lent, "patched", "standard",
         "states of tiny-joint, asked by the STANDARD rule\n(99 % with nothing written)",
         (1.15, 87), LIGHT, "-"),
    ):  # fmt: skip
        chosen = points(found, f"{name}_accuracy_by_rule", "layer", rule=rule)
        curve(left, chosen, "", colour, style)
        named(left, label, at, colour)
    for name, label, at, colour, style in (
        ("base", "nothing written", (1, 102), GREY, ":"),
        ("patched", "state of the answer\nthat the probe reads", (2.2, 82), BLUE, "-"),
        ("wrong_label", "state of the OTHER answer", (1, 22), RED, "-"),
        ("random", "random vector", (1, 52), ORANGE, "-"),
        ("router_answer", "what the probe reads", (1.3, 67), GREEN, "--"),
    ):
        curve(middle, points(joint, f"{name}_accuracy", "layer"), "", colour, style)
        named(middle, label, at, colour)
    places = {"nothing written": (17, 48), "state of the answer\nthat the probe reads": (22.2, 84)}
    for label, (values, colour, style) in PUBLISHED.items():
        look = {"marker": "o", "markersize": 5, "linewidth": 2}
        right.plot(range(17, 29), values, style, color=colour, **look)
        named(right, label, places.get(label, (18, 98)), colour)
    for ax, text, point, place in (
        (left, "from block 3 on, tiny says\nwhat is written into it", (3, 74), (2.75, 46)),
        (middle, "from block 3 on, the last\ntoken decides: what is\nwritten there is said",
         (3, 0.5), (3.05, 53)),
        (right, "in the script the last layer is read\nafter the norm and written before it",
         (28, 64), (20, 26)),
    ):  # fmt: skip
        ax.annotate(text, point, place, arrowprops={"arrowstyle": "->"})
    middle.axvspan(1, 3, color=GREY, alpha=0.1, linewidth=0)
    middle.text(2, 111, "the rule is applied here", ha="center", weight="bold")
    x = "block after which it is written"
    answers = "right answers (%), mean of four games"
    tidy(left, "tiny knows the standard rule only:\nasked by the INVERSE rule", x, answers)
    tidy(middle, "tiny-joint follows both rules:\nasked by either", x)
    tidy(right, "published, for comparison: Qwen2.5-VL-7B,\nReversi, asked by either rule", x)
    for ax in (left, middle):
        ax.set_xticks(range(1, 5))
    figure.suptitle(
        "Where does the answer come to follow the stated rule? The state of an answer is written "
        "into the last token after one block, and the model goes on from there\n"
        f"(left, middle: {TOY})"
    )
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
        bars = single.bar(list(lost), heights, yerr=ends, color=RED, alpha=0.7, capsize=4)
        single.bar_label(bars, [f"{height:.0f} %" for height in heights], padding=4)
        left.annotate(
            "the first layer alone\ncosts more than half", (1, 37), (0.1, 4), color=GREEN,
            arrowprops={"arrowstyle": "->", "color": GREEN},
        )  # fmt: skip
        tidy(answers, f"{name}:\ninverse rule asked", "last N of 4 layers put back", "% of answers")
        title = "What is left of what it learned\n(100: all, 0: as tiny)"
        tidy(left, title, "N layers put back", "%")
        title = "What is lost of it when this one layer\nis put back: most with the first"
        tidy(single, title, "layer, 1 next to the input", "%")
        for ax in (answers, left, single):
            ax.set_xticks(range(ax is single, 5))
    figure.suptitle(
        "Which layers carry the rule? Layers of a model that learned the inverse rule are put back "
        f"to those of tiny, which did not\n({TOY})"
    )
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
