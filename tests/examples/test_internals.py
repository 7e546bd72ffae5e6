"""The scripts of examples/internals run from beginning to end, each in its own folder."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

FOLDER = Path(__file__).parents[2] / "examples" / "internals"
SCRIPTS = sorted(path.name for path in FOLDER.glob("*.py"))


@pytest.fixture
def run(tmp_path, monkeypatch, capsys) -> Any:
    monkeypatch.chdir(tmp_path)

    def run(name: str) -> tuple[dict[str, Any], str]:
        names = runpy.run_path(str(FOLDER / name))
        return names, capsys.readouterr().out

    return run


def test_there_are_three_scripts_in_cells() -> None:
    assert SCRIPTS == ["analyze.py", "drift.py", "locate.py"]
    for name in SCRIPTS:
        assert (FOLDER / name).read_text().count("# %% ") >= 3


def test_drift_is_nothing_without_a_blur_and_grows_with_it(run) -> None:
    names, out = run("drift.py")
    drift = names["drift"]
    assert np.abs(drift[1]).max() < 1e-6
    last = [drift[kernel][-1] for kernel in names["KERNELS"]]
    assert last[0] < last[2] < last[-1]
    assert out.count("blur") == 2 * len(names["KERNELS"])


def test_from_a_models_name_to_a_report(run) -> None:
    names, out = run("analyze.py")
    for name in ("spectrum", "attack", "coherence"):
        assert names[name].analysis == name
    for mode in ("low", "high"):
        (change,) = names["attack"].of("score_change", mode=mode)
        assert change.value < 0
    assert [e.where["cutoff"] for e in names["coherence"].of("synergy")] == [0.1, 0.5]
    page = Path("runs/inside/report/tasks/pope-perturbed.html").read_text("utf-8")
    assert "Inside the model" in page
    panels = names["attack"].panels + names["coherence"].panels
    assert page.count('class="curve" role="img"') >= len(panels)
    assert "SYNTHETIC" not in out  # the script prints numbers only; the findings say it
    assert names["attack"].synthetic


def test_probe_and_replace_find_layers(run) -> None:
    names, _ = run("locate.py")
    accuracy = [e for e in names["probe"].of("accuracy") if e.value is not None]
    assert len({e.where["layer"] for e in accuracy}) == 5  # embeddings and four blocks
    assert names["replace"].of("accuracy")
