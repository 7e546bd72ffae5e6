"""The figures of docs/internals are drawn from findings by the script that the pages name."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

SCRIPT = Path(__file__).parents[2] / "docs" / "internals" / "figures.py"
LAYERS = (1, 2, 3, 4)


def estimate(name: str, value: float, **where: Any) -> dict[str, Any]:
    known = None if value == 1 else value
    return {"name": name, "value": value, "low": known, "high": known, "where": where}


def steered() -> list[dict[str, Any]]:
    names = ("base", "patched", "router_answer", "wrong_label", "random")
    return [
        estimate(f"{name}_accuracy{by}", 0.25 * layer, setup=setup, layer=layer, **rule)
        for name in names
        for layer in LAYERS
        for setup in ("within_a", "within_b")
        for by, rule in (
            ("", {}), ("_by_rule", {"rule": "inverse"}), ("_by_rule", {"rule": "standard"}),
        )
    ]  # fmt: skip


def patched() -> list[dict[str, Any]]:
    sets = ("all", "image", "after_image", "prompt_last")
    return [estimate("effect", 0.5, tokens=t, layer=layer) for t in sets for layer in (0, *LAYERS)]


def replaced() -> list[dict[str, Any]]:
    place = {"trials": "conflict"}
    nested = [
        estimate(name, 0.5, sweep=sweep, replaced=n, **place)
        for name in ("accuracy", "bias_ratio", "recovery")
        for sweep in ("suffix", "prefix")
        for n in (0, *LAYERS)
    ]
    single = [
        estimate("recovery", 0.25 * layer, sweep="single", layer=layer, **place) for layer in LAYERS
    ]
    return nested + single


@pytest.mark.parametrize(
    ("name", "found", "runs"),
    [("steer", steered, 3), ("patch", patched, 2), ("replace", replaced, 2)],
)
def test_a_figure_is_drawn_from_run_folders(
    tmp_path: Path, name: str, found: Any, runs: int
) -> None:
    folders = [tmp_path / str(number) for number in range(runs)]
    for folder in folders:
        at = folder / "analysis" / f"{name}-task"
        at.mkdir(parents=True)
        (at / "findings.json").write_text(json.dumps({"estimates": found()}))
    out = tmp_path / "figure.png"
    command = [sys.executable, str(SCRIPT), name, *map(str, folders), "--out", str(out)]
    made = subprocess.run(command, capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stderr
    with Image.open(out) as image:
        assert min(image.size) > 400
        assert len(np.unique(np.asarray(image.convert("L")))) > 50  # curves and words
