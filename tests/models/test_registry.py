from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from vlm_eval.core.errors import ModelError, UsageError
from vlm_eval.models.registry import (
    BACKENDS,
    EMBEDDED,
    _embedded,
    load_model,
    model_names,
    presets,
    resolve,
)


def test_presets() -> None:
    for name in (
        *("qwen2.5-vl", "qwen2.5-vl-7b", "qwen3-vl", "qwen3-vl-4b", "qwen3-vl-8b", "llava-1.5"),
        *("llava-onevision", "internvl3.5", "smolvlm", "gemma-3"),
    ):
        preset = presets()[name]
        found = resolve(name)
        assert (found.backend, found.target, found.name) == ("hf", preset.hub, name)
        assert found.args == {"accelerator_dtype": preset.dtype}
    for other, name in {
        "qwen2.5-vl-3b": "qwen2.5-vl",
        "internvl3.5-hf": "internvl3.5",
        "internvl3.5-8b": "internvl3.5",
        "gemma-3-4b": "gemma-3",
    }.items():
        assert resolve(other).target == presets()[name].hub
        assert resolve(other).name == other
    names = [name for key, preset in presets().items() for name in (key, *preset.also)]
    assert len(names) == len(set(names))
    assert presets()["qwen2.5-vl"].hub == "Qwen/Qwen2.5-VL-3B-Instruct"
    assert presets()["internvl3.5"].hub.endswith("-HF")
    for preset in presets().values():
        assert preset.hub.count("/") == 1
        assert preset.dtype in {"bfloat16", "float16", "float32"}
        assert preset.notes


@pytest.mark.parametrize(
    ("spec", "backend", "target", "name"),
    [
        ("Qwen/Qwen2-VL-2B-Instruct", "hf", "Qwen/Qwen2-VL-2B-Instruct", "Qwen2-VL-2B-Instruct"),
        ("hf:Qwen/Qwen2-VL-2B-Instruct", "hf", "Qwen/Qwen2-VL-2B-Instruct", "Qwen2-VL-2B-Instruct"),
        ("contrastive:openai/clip", "contrastive", "openai/clip", "clip"),
        ("mock", "mock", "", "mock"),
        ("mock:seed=3", "mock", "seed=3", "mock:seed=3"),
    ],
)
def test_resolve(spec: str, backend: str, target: str, name: str) -> None:
    found = resolve(spec)
    assert (found.backend, found.target, found.name) == (backend, target, name)


def test_a_folder_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "llava-1.5").mkdir()
    monkeypatch.chdir(tmp_path)
    assert resolve("mine").target == "mine"
    assert resolve(str(tmp_path / "mine")).name == "mine"
    assert resolve("llava-1.5").target == presets()["llava-1.5"].hub  # a preset comes first
    assert resolve("./llava-1.5").name == "llava-1.5"
    assert resolve("hf:mine").target == "mine"


@pytest.mark.parametrize("name", EMBEDDED)
def test_embedded_checkpoints(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from vlm_eval.models import registry

    monkeypatch.setattr(registry.resources, "files", lambda _: tmp_path)
    with pytest.raises(ModelError, match="not in this installation; reinstall"):
        _embedded(name)
    folder = tmp_path / "tiny" / "checkpoints" / name
    folder.mkdir(parents=True)
    assert _embedded(name) == folder


@pytest.mark.parametrize(
    ("spec", "hint"),
    [
        ("qwen25-vl", "did you mean qwen2.5-vl"),
        ("mok", "did you mean mock"),
        ("mok:seed=1", "did you mean mock"),
        ("hf", "known: "),
        ("hf:", "unknown model ''"),
        ("hf:nowhere", "unknown model 'nowhere'"),
        ("contrastive", "known: "),
        ("contrastive:nowhere", "unknown model 'nowhere'"),
        ("hf:tiny", "write tiny without hf:"),
        ("tinyy", "did you mean tiny"),
        ("./missing", "give a folder that exists"),
        ("a/b/c", "give a folder that exists"),
        ("", "unknown model ''"),
    ],
)
def test_an_unknown_model_is_told_with_the_nearest(spec: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        load_model(spec)
    assert hint in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("size", [0, -1, "many", "1.5"])
def test_batch_size_is_checked(size: int | str) -> None:
    with pytest.raises(UsageError, match="batch size"):
        load_model("mock", batch_size=size)


def test_contradictions_are_told() -> None:
    with pytest.raises(UsageError, match="dtype is given twice"):
        load_model("mock", args="dtype=bfloat16", dtype="float32")
    load_model("mock", args="dtype=float32", dtype="float32")


def test_another_package_adds_a_backend(plugin, monkeypatch: pytest.MonkeyPatch) -> None:
    plugin("vlm_eval.models", other="vlm_eval.models.mock:load", broken="no.such.module:load")
    assert {"other", "hf", "mock"} <= set(BACKENDS)
    assert load_model("other:constant=Yes").name == "other:constant=Yes"
    assert load_model("other").name == "other"
    assert "other" in model_names()
    with pytest.raises(UsageError, match="broken"):
        load_model("broken:x")


def test_nothing_heavy_is_imported() -> None:
    code = (
        "import sys; import vlm_eval.models.registry as r; r.presets(); r.load_model('mock');"
        "print([m for m in ('torch', 'transformers') if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"
