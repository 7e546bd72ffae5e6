"""Draw learning curves of train.py side by side; needs matplotlib (the extra ``plots``).

    python examples/post_training/curves.py d1/curves.json d2/curves.json d3/curves.json --out DIR

DIR/post-training-curves.json holds what is drawn in DIR/post-training-curves.png.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from vlm_eval.data.boards.games import GAMES
from vlm_eval.data.boards.posttrain import SPLITS
from vlm_eval.data.boards.prompts import RULES

COLOURS = {"standard": "tab:blue", "inverse": "tab:orange"}


def lines(split: str) -> dict[str, list[str]]:
    """Return what is drawn of a split: a name, and the scores that it is the mean of."""
    trained = {game for game, _ in SPLITS[split.lower()][0]}
    parts = {"trained games": [g for g in GAMES if g in trained],
             "held-out games": [g for g in GAMES if g not in trained]}  # fmt: skip
    return {
        f"{rule} rule, {name}": [f"{game} {rule}" for game in games]
        for name, games in parts.items()
        for rule in RULES
        if games
    }


def draw(runs: Sequence[dict[str, Any]], out: Path) -> None:
    """Draw held-out accuracy over steps, one panel a run."""
    import matplotlib.pyplot as plt

    figure, panels = plt.subplots(
        1, len(runs), figsize=(3.6 * len(runs), 3.8), sharey=True, layout="constrained"
    )
    named: dict[str, Any] = {}
    for panel, run in zip([panels] if len(runs) == 1 else panels, runs, strict=True):
        steps = [point["step"] for point in run["curve"]]
        for name, scores in lines(run["about"]["split"]).items():
            means = [100 * sum(p["scores"][s] for s in scores) / len(scores) for p in run["curve"]]
            style = "--" if "held-out" in name else "-"
            named[name] = panel.plot(steps, means, style, color=COLOURS[name.split()[0]])[0]
        panel.axhline(50, color="grey", linewidth=0.8, linestyle=":")
        panel.set(
            title=f"{run['about']['split']} from {run['about']['start']}",
            xlabel="step (128 questions)", ylim=(-3, 103),
        )  # fmt: skip
    figure.axes[0].set_ylabel("accuracy on boards held out, %")
    figure.legend(named.values(), named.keys(), loc="outside lower center", ncols=4, fontsize=8)
    figure.savefig(out, dpi=110, metadata={"Software": None})


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line and draw."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("curves", nargs="+", type=Path)
    parser.add_argument("--out", type=Path, required=True, help="folder for the two files")
    args = parser.parse_args(arguments)
    runs = [json.loads(path.read_text(encoding="utf-8")) for path in args.curves]
    text = json.dumps(runs, indent=1)
    (args.out / "post-training-curves.json").write_text(text + "\n", encoding="utf-8")
    draw(runs, args.out / "post-training-curves.png")


if __name__ == "__main__":
    main()
