"""From an evaluation to probes and the logit lens, on real architectures with random weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.models.checkpoints import build
from vlm_eval.internals.findings import Findings
from vlm_eval.runner.api import evaluate
from vlm_eval.runner.study import analyze

CHEAP: dict[str, Any] = {"hidden": "8+4", "epochs": 2, "seeds": 1, "probes": "linear+mlp"}


def probed(
    model: str | Path, folder: Path, task: str = "vlm-fix-layers", **options: Any
) -> Findings:
    data = {"vlmbias-layers": "embedded"} if task == "vlmbias-layers" else {}
    limit = 12 if data else 8
    evaluate(
        str(model), task, limit=limit, output_path=folder, data=data, progress=False, device="cpu"
    )
    return analyze(folder, "probe", **CHEAP, **options)


@pytest.mark.parametrize("name", ["qwen2_5_vl", "llava", "gemma3", "internvl"])
def test_every_architecture_is_probed_alike(tmp_path: Path, name: str) -> None:
    found = probed(build(name, tmp_path / "model"), tmp_path / "run")
    assert found.facts["layers"] == [0, 1, 2, 3]
    assert {e.where["site"] for e in found.estimates} == {"prompt_last", "vision_mean"}
    assert {e.where["label"] for e in found.estimates} == {"answer", "winner", "rule"}
    assert {e.where["probe"] for e in found.estimates} == {"linear", "mlp", "lens"}
    for e in found.estimates:
        assert e.value is not None
        assert -1 <= e.value <= 1
        assert e.clusters >= 1
    lens = found.of("p_gold", probe="lens")
    prior = found.of("p_prior", probe="lens")
    assert len(lens) == len(prior) == 4
    for one, other in zip(lens, prior, strict=True):  # two options, each the other's prior
        assert one.value is not None
        assert one.value + (other.value or 0) == pytest.approx(1, abs=1e-4)
    assert not any("logit lens" in note for note in found.notes)


def test_the_lens_at_the_last_layer_is_the_run(tmp_path: Path) -> None:
    """Read from what was captured, it gives the answers that the model gave."""
    from vlm_eval.runner.folder import RunFolder
    from vlm_eval.runner.study import open_study
    from vlm_eval.runner.summarise import tasks_of

    found = probed("tiny", tmp_path / "run")
    folder = RunFolder(tmp_path / "run")
    study = open_study(folder, tasks_of(folder)[0], None)
    inverse = [row for row in study.table.rows if row.condition["rule"] == "inverse"]
    right = []
    for row in inverse:
        assert row.logprobs is not None
        assert row.choices is not None
        own = np.exp(row.logprobs) / np.exp(row.logprobs).sum()
        right.append(own[row.choices.index(row.gold)])
    last = found.of("p_gold", probe="lens", layer=4)[0]
    assert last.n == len(inverse)
    assert last.value == pytest.approx(np.mean(right), abs=1e-4)


def test_counts_without_the_picture(tmp_path: Path) -> None:
    found = probed("tiny", tmp_path / "run", "vlmbias-layers", lens=False)
    assert found.notice is not None
    assert "synthetic" in found.notice
    blind = [e for e in found.estimates if e.where.get("input") == "text only"]
    assert {e.name for e in blind} >= {"p_gold", "p_prior", "top1_prior", "accuracy"}
    assert {e.where["site"] for e in blind} == {"prompt_last"}
