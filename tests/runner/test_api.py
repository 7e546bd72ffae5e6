"""The public API: three lines, a model by name or as an object."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import vlm_eval
from vlm_eval.core.errors import RunError, UsageError, VlmEvalError
from vlm_eval.core.types import Answer
from vlm_eval.models.mock import Mock, MockOptions


@pytest.fixture
def toys(write, folder) -> Path:
    write()
    return folder


def test_three_lines(toys) -> None:
    results = vlm_eval.evaluate(model="mock", tasks=["toy"], include_path=[toys], progress=False)
    assert results["toy"].counts.answered == 15
    assert results.folder == Path("runs/mock")
    assert not results.to_frame().empty


def test_a_model_object_is_asked_like_a_name(toys) -> None:
    by_name = vlm_eval.evaluate(
        "mock:seed=4", "toy", include_path=[toys], output_path="a", progress=False
    )
    model = Mock(MockOptions(seed=4), name="mine")
    as_object = vlm_eval.evaluate(
        model, "toy", include_path=[toys], output_path="b", progress=False
    )
    assert as_object.model == "mine"
    assert as_object.tasks == by_name.tasks


def test_an_object_that_is_no_model_is_refused(toys) -> None:
    with pytest.raises(UsageError, match="a str2 is no model: it has no capabilities"):
        vlm_eval.evaluate(type("str2", (), {"name": "x"})(), "toy", include_path=[toys])
    with pytest.raises(UsageError, match="set them on the model object"):
        vlm_eval.evaluate(Mock(), "toy", include_path=[toys], batch_size=4)


def test_resume_continues_and_score_scores(toys) -> None:
    arguments = {"include_path": [toys], "output_path": "run", "progress": False}
    first = vlm_eval.evaluate("mock", "toy", **arguments)
    with pytest.raises(RunError, match="--resume"):
        vlm_eval.evaluate("mock", "toy", **arguments)
    again = vlm_eval.evaluate("mock", "toy", resume=True, **arguments)
    assert again.tasks == first.tasks
    assert vlm_eval.score("run").tasks == first.tasks


def test_sessions_tell_how_each_start_went(toys) -> None:
    class Counting(Mock):
        asked = 0

        def describe(self):
            return {**super().describe(), "device": "d", "counters": {"asked": self.asked}}

        def loglikelihood(self, requests):
            for response in super().loglikelihood(requests):
                self.asked += 1
                yield response

    arguments = {"include_path": [toys], "output_path": "run", "progress": False}
    vlm_eval.evaluate(Counting(), "toy", **arguments)
    vlm_eval.evaluate(Counting(), "toy", resume=True, **arguments)
    manifest = json.loads(Path("run/run.json").read_text())
    assert "counters" not in manifest["model"]
    one, two = manifest["sessions"]
    assert one["model"]["device"] == "d"
    assert one["model"]["counters"]["asked"] > 0
    assert two["model"]["counters"]["asked"] == 0  # everything was recorded
    assert one["seconds"] >= 0
    assert one["command"] is None


def test_data_of_a_group_goes_to_its_members(toys) -> None:
    (toys / "group.yaml").write_text("group: both\ntitle: Both\ntasks: [toy, toy-red]\n")
    results = vlm_eval.evaluate(
        "mock", "both", include_path=[toys], data={"both": "somewhere"}, progress=False
    )
    assert [task.task for task in results.tasks] == ["toy", "toy-red"]
    assert results.run["sessions"][0]["options"]["data"] == {"both": "somewhere"}
    with pytest.raises(UsageError, match="not among the tasks"):
        vlm_eval.evaluate("mock", "toy", include_path=[toys], data={"toy-red": "x"})


def test_an_interrupted_run_keeps_its_records(toys) -> None:
    class Impatient(Mock):
        left = 4

        def _each(self, responses):
            for response in responses:
                if not self.left:
                    raise KeyboardInterrupt
                self.left -= 1
                yield response

        def loglikelihood(self, requests):
            return self._each(super().loglikelihood(requests))

    arguments = {"include_path": [toys], "output_path": "run", "progress": False}
    with pytest.raises(KeyboardInterrupt):
        vlm_eval.evaluate(Impatient(), "toy", **arguments)
    assert not Path("run/results.json").exists()
    recorded = Path("run/records/rank-000.jsonl").read_bytes()
    assert recorded.count(b"\n") >= 4
    resumed = vlm_eval.evaluate(Mock(), "toy", resume=True, **arguments)
    assert Path("run/records/rank-000.jsonl").read_bytes().startswith(recorded)
    whole = vlm_eval.evaluate(
        Mock(), "toy", include_path=[toys], output_path="whole", progress=False
    )
    assert resumed.tasks == whole.tasks


def test_an_answer_can_be_any_text(toys) -> None:
    class Strange(Mock):
        def _text(self, _):
            return Answer(text="half \ud800 \x00 \u2028 \x1b[2J")

    results = vlm_eval.evaluate(
        Strange(), "toy", include_path=[toys], output="generate", output_path="r", progress=False
    )
    assert results["toy"].counts.unparsed == results["toy"].counts.answered == 15
    assert vlm_eval.score("r").tasks == results.tasks


def test_exported_names_are_sorted_and_there() -> None:
    assert vlm_eval.__all__ == sorted(vlm_eval.__all__)
    for name in vlm_eval.__all__:
        assert getattr(vlm_eval, name) is not None
        assert name in dir(vlm_eval)
    with pytest.raises(AttributeError, match="evalute"):
        vlm_eval.evalute  # noqa: B018


def test_importing_the_package_imports_nothing_heavy() -> None:
    code = (
        "import sys, vlm_eval; from vlm_eval import Estimate, Results, evaluate; "
        "heavy = {'torch', 'transformers', 'pandas', 'scipy', 'datasets', 'evaluate'}; "
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True,
        cwd=Path(__file__).parents[2],
    )  # fmt: skip
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("limit", ["3", 2.5])
def test_a_limit_that_is_no_number_of_samples_is_refused(limit, tmp_path) -> None:
    with pytest.raises(VlmEvalError, match=f"--limit {limit} must be"):
        vlm_eval.evaluate("mock", "scene-presence", limit=limit, output_path=tmp_path / "run")
    assert list(tmp_path.iterdir()) == []


def test_paths_may_be_path_objects(write, folder, tmp_path) -> None:
    write()
    results = vlm_eval.evaluate(
        "mock", "toy", include_path=folder, output_path=tmp_path / "run", progress=False
    )
    assert results.complete
    with pytest.raises(VlmEvalError, match="no such file or folder"):
        vlm_eval.evaluate("mock", "mis", data={"mis": tmp_path / "none"}, progress=False)
