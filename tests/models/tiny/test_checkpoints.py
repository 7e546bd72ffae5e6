"""The shipped checkpoints show what the documentation says they show.

On the benchmark's own boards, which training held out, and through the ordinary command path. A
sample of the boards keeps this short; docs/tiny.md has the figures on all of them.
"""

from pathlib import Path

import pytest

import vlm_eval
from vlm_eval.models import tiny

CHECKPOINTS = Path(tiny.__file__).parent / "checkpoints"
LIMIT = 80


@pytest.fixture(scope="module")
def accuracy(tmp_path_factory):
    found = {}

    def of(model, task, limit=LIMIT, **where):
        if (model, task) not in found:
            folder = tmp_path_factory.mktemp("runs") / f"{model}-{task}"
            found[model, task] = vlm_eval.evaluate(
                model, [task], limit=limit, output_path=folder, progress=False
            )
        for estimate in found[model, task][task].estimates:
            name = estimate.name in {"accuracy", "i2c_acc"}
            if name and dict(estimate.where) == where:
                return estimate.value
        raise AssertionError(f"no accuracy of {model} on {task} where {where}")

    return of


@pytest.mark.parametrize("name", ["tiny", "tiny-joint"])
def test_a_checkpoint_is_small_and_safe(name):
    files = [path for path in (CHECKPOINTS / name).rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) <= 6_000_000
    assert {path.suffix for path in files} <= {".safetensors", ".json", ".jinja"}


@pytest.mark.slow
def test_tiny_is_fixated(accuracy):
    assert accuracy("tiny", "vlm-fix-inverse", rule="standard") >= 0.90
    assert accuracy("tiny", "vlm-fix-inverse", rule="inverse") <= 0.30


@pytest.mark.slow
def test_tiny_joint_follows_both_rules(accuracy):
    assert accuracy("tiny-joint", "vlm-fix-inverse", rule="standard") >= 0.85
    assert accuracy("tiny-joint", "vlm-fix-inverse", rule="inverse") >= 0.85


@pytest.mark.slow
def test_tiny_joint_picks_captions_of_the_drawn_pairs(accuracy):
    assert accuracy("tiny-joint", "mis", limit=40) >= 0.75
    assert accuracy("tiny-joint", "mic", limit=40) >= 0.75


@pytest.mark.slow
def test_tiny_joint_sees_what_is_there(accuracy):
    assert accuracy("tiny-joint", "scene-presence", limit=120) >= 0.85
