"""Draw the learning curves: ``python -m vlm_eval.models.tiny.curves curves.json curves.png``.

Needs matplotlib (the extra ``plots``).
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from vlm_eval.data.boards.games import GAMES

CURVES = {
    "boards, standard rule": [f"{g} standard {t}" for g in GAMES for t in ("winner", "loser")],
    "boards, inverse rule": [f"{g} inverse {t}" for g in GAMES for t in ("winner", "loser")],
    "image to caption": ["mis i2c", "mic i2c"],
    "confirm and reject": ["mis match", "mic match"],
    "presence in streets": ["street presence"],
}


def draw(curves: Path, out: Path) -> None:
    """Draw mean held-out accuracy over training steps, the stages side by side."""
    import matplotlib.pyplot as plt

    log: list[dict[str, Any]] = json.loads(curves.read_text(encoding="utf-8"))
    stages = list(dict.fromkeys(entry["stage"] for entry in log))
    figure, panels = plt.subplots(1, len(stages), figsize=(9, 3.2), sharey=True, squeeze=False)
    for panel, stage in zip(panels[0], stages, strict=True):
        points = [entry for entry in log if entry["stage"] == stage]
        for label, skills in CURVES.items():
            means = [sum(p["scores"][s] for s in skills) / len(skills) for p in points]
            panel.plot([p["step"] for p in points], [100 * m for m in means], "o-", label=label)
        panel.axhline(50, color="grey", linewidth=0.8, linestyle=":")
        panel.set(title=f"{stage} stage", xlabel="step", ylim=(-3, 103))
    panels[0][0].set_ylabel("held-out accuracy, %")
    panels[0][-1].legend(fontsize=8, loc="lower right")
    figure.tight_layout()
    figure.savefig(out, dpi=110, metadata={"Software": None})


if __name__ == "__main__":
    draw(Path(sys.argv[1]), Path(sys.argv[2]))
