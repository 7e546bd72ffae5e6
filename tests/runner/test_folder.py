"""A run folder is never half-written, and never mixes two runs."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from vlm_eval.core.errors import RunError
from vlm_eval.runner.folder import RunFolder, free_folder, write_atomic


def manifest(**changes: object) -> dict[str, object]:
    made: dict[str, object] = {
        "schema": 1,
        "model": {"name": "mock", "describe": {"revision": "1"}},
        "seed": 0,
        "limit": None,
        "decoding": {},
        "tasks": {"t": {"digest": "d", "data": {"digest": "e"}}},
        "sessions": [{"started": "now"}],
    }
    return {**made, **changes}


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_write_atomic_replaces_and_leaves_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_atomic(path, "old")
    write_atomic(path, "new é")
    assert path.read_text(encoding="utf-8") == "new é"
    assert names(tmp_path) == ["a.json"]


def test_write_atomic_keeps_the_old_file_when_it_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.json"
    write_atomic(path, "old")

    def full(fd: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(RunError, match="No space left on device"):
        write_atomic(path, "new")
    assert path.read_text() == "old"
    assert names(tmp_path) == ["a.json"]


def test_begin_writes_run_json_and_the_records_folder(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "deep" / "run")
    folder.begin(manifest(), resume=False)
    assert folder.manifest() == manifest()
    assert folder.records.is_dir()


def test_a_folder_with_another_run_is_refused_and_untouched(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.begin(manifest(), resume=False)
    with pytest.raises(RunError, match=r"holds another run; add --resume .* or .*--output_path"):
        folder.begin(manifest(seed=1), resume=False)
    assert folder.manifest() == manifest()


def test_resume_adds_a_session(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.begin(manifest(), resume=True)  # nothing there yet: begins
    folder.begin(manifest(sessions=[{"started": "later"}]), resume=True)
    assert folder.manifest()["sessions"] == [{"started": "now"}, {"started": "later"}]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"seed": 1}, "seed was 0 and is now 1"),
        ({"limit": 5}, "limit was null and is now 5"),
        ({"decoding": {"temperature": 0.5}}, "decoding.temperature was null and is now 0.5"),
        ({"model": {"name": "tiny", "describe": {"revision": "1"}}}, "model.name"),
        ({"model": {"name": "mock", "describe": {"revision": "2"}}}, "model.describe.revision"),
        ({"tasks": {"t": {"digest": "x", "data": {"digest": "e"}}}}, "tasks.t.digest"),
        ({"tasks": {"t": {"digest": "d", "data": {"digest": "x"}}}}, "tasks.t.data.digest"),
        ({"tasks": {}}, "tasks.t was"),
    ],
)
def test_resume_names_the_field_that_differs(
    tmp_path: Path, change: dict[str, object], field: str
) -> None:
    folder = RunFolder(tmp_path)
    folder.begin(manifest(), resume=False)
    with pytest.raises(RunError) as caught:
        folder.begin(manifest(**change), resume=True)
    assert field in str(caught.value)
    assert folder.manifest() == manifest()


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("x")
    for resume in (False, True):
        with pytest.raises(RunError, match="is not empty and holds no run"):
            RunFolder(tmp_path).check_free(resume=resume)
    with pytest.raises(RunError, match="is a file"):
        RunFolder(tmp_path / "thesis.tex").check_free(resume=False)


def test_a_folder_that_cannot_be_made_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="cannot be made"):
        RunFolder(tmp_path / "file" / "run").begin(manifest(), resume=False)

    def full(fd: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(RunError, match="No space left"):
        RunFolder(tmp_path / "run").begin(manifest(), resume=False)
    assert names(tmp_path) == ["file"]


def test_reading_what_is_not_there_or_damaged(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    with pytest.raises(RunError, match="is this a run folder"):
        folder.manifest()
    folder.begin(manifest(), resume=False)
    with pytest.raises(RunError, match="not finished"):
        folder.results()
    (tmp_path / "results.json").write_text('{"a": ')
    with pytest.raises(RunError, match="cannot be read"):
        folder.results()
    folder.write_results({"value": None})
    assert json.loads((tmp_path / "results.json").read_text()) == {"value": None}
    with pytest.raises(ValueError, match="not JSON compliant"):
        folder.write_results({"value": float("nan")})


def test_free_folder_counts_up_and_is_a_plain_name(tmp_path: Path) -> None:
    assert free_folder(tmp_path, "Qwen/Qwen2.5-VL") == tmp_path / "Qwen-Qwen2.5-VL"
    (tmp_path / "mock").mkdir()
    (tmp_path / "mock-2").mkdir()
    assert free_folder(tmp_path, "mock") == tmp_path / "mock-3"
    assert free_folder(tmp_path, "../..") == tmp_path / "run"


def test_another_version_of_the_format_is_refused(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text('{"schema": 9}')
    with pytest.raises(RunError, match="has schema 9, this version reads 1"):
        RunFolder(tmp_path).manifest()
    with pytest.raises(RunError, match="cannot be read: Not a directory"):
        RunFolder(tmp_path / "run.json").manifest()


def test_a_run_may_go_on_with_other_means_and_with_its_data_elsewhere(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    data = {"digest": "e", "place": "here"}
    folder.begin(manifest(tasks={"t.1": {"digest": "d", "data": data}}), resume=False)
    moved = manifest(
        tasks={"t.1": {"digest": "d", "data": {**data, "place": "there"}}}, groups={"g": {}}
    )
    folder.begin(moved, resume=True)
    assert folder.manifest()["tasks"]["t.1"]["data"]["place"] == "there"
    assert folder.manifest()["groups"] == {"g": {}}
    with pytest.raises(RunError, match=r"tasks\.t\.1\.place was null"):
        folder.begin(manifest(tasks={"t.1": {**moved["tasks"]["t.1"], "place": 1}}), resume=True)
