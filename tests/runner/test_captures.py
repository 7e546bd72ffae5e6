"""Captured states on disk: what is written is read, torn and foreign files are told."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from vlm_eval.core.capture import Captured
from vlm_eval.core.errors import RunError
from vlm_eval.metrics.table import TableRow
from vlm_eval.runner import captures, capturing
from vlm_eval.runner.captures import CaptureIndex, RunStates
from vlm_eval.runner.capturing import GIB, SHARD_BYTES, CaptureWriter, size_of

LAYERS = ("0", "1", "norm")


def states(name: str, value: float = 1.0, **missing: str) -> Captured:
    arrays = {"prompt_last": np.full((3, 4), value, np.float32)}
    return Captured(name, LAYERS, {} if missing else arrays, missing)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "captures"


def shards(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_what_is_written_is_read(folder) -> None:
    several = Captured(
        "several", LAYERS,
        {"prompt_last": np.arange(12, dtype=np.float32).reshape(3, 4), "vision_grid_2": np.eye(2)},
        {"answer_mean": "the answer is empty"},
    )  # fmt: skip
    with CaptureWriter(folder / "rank-000") as writer:
        writer.append("toy", states("one", 3.0))
        writer.append("toy", several)
        writer.append("toy", states("none", vision_mean="the request has no image"))
    index = CaptureIndex(folder)
    assert (len(index), index.shards, index.faults) == (3, 1, [])
    assert set(index) == {"one", "several", "none"}
    assert index.size == (folder / "rank-000" / "000000.safetensors").stat().st_size
    for wanted in (states("one", 3.0), several):
        found = index.load(wanted.request_id)
        assert found is not None
        assert found.describe() == wanted.describe()
        for site, array in wanted.arrays.items():
            np.testing.assert_array_equal(found.arrays[site], array)
        assert "vision_mean" not in found.arrays
        with pytest.raises(KeyError):
            found.arrays["vision_mean"]
    empty = index.load("none")
    assert empty is not None
    assert (dict(empty.arrays), empty.missing) == ({}, {"vision_mean": "the request has no image"})
    assert index.load("other") is None


def test_a_shard_is_plain_safetensors(folder) -> None:
    """What docs/internals/capture.md says about reading it without vlm_eval."""
    with CaptureWriter(folder / "rank-000") as writer:
        writer.append("toy", states("one", 3.0))
    tensors = load_file(folder / "rank-000" / "000000.safetensors")
    assert {name: array.shape for name, array in tensors.items()} == {"one/prompt_last": (3, 4)}


def test_the_first_capture_of_a_request_counts(folder) -> None:
    for rank, values in ((1, (5.0,)), (0, (1.0, 2.0))):
        for value in values:
            with CaptureWriter(folder / f"rank-{rank:03d}") as writer:
                writer.append("toy", states("one", value))
                writer.append("toy", states("one", 9.0))
    index = CaptureIndex(folder)
    assert shards(folder) == [
        "rank-000/000000.safetensors", "rank-000/000001.safetensors", "rank-001/000000.safetensors",
    ]  # fmt: skip
    found = index.load("one")
    assert len(index) == 1
    assert found is not None
    assert found.arrays["prompt_last"][0, 0] == 1.0


def test_a_shard_is_written_when_there_is_enough_and_memory_is_bounded(folder) -> None:
    writer, most = CaptureWriter(folder / "rank-000"), 0
    array = np.zeros((256, 1024), np.float32)  # 1 MiB
    for number in range(100):
        writer.append("toy", Captured(f"{number}", LAYERS, {"prompt_last": array}, {}))
        most = max(most, writer.held)
    assert most < SHARD_BYTES
    assert len(shards(folder)) == 3
    writer.flush()
    assert writer.held == 0
    assert len(CaptureIndex(folder)) == 100
    files = [path.stat().st_size for path in folder.rglob("*.safetensors")]
    assert max(files) < SHARD_BYTES * 1.05
    assert sum(files) == pytest.approx(
        100 * size_of(Captured("12", LAYERS, {"prompt_last": array}, {})), rel=0.01
    )


def test_tasks_and_layers_do_not_mix_in_a_shard(folder) -> None:
    with CaptureWriter(folder / "rank-000") as writer:
        writer.append("toy", states("one"))
        writer.append("other", states("two"))
        writer.append("other", Captured("three", ("norm",), {"prompt_last": np.ones((1, 4))}, {}))
    assert len(shards(folder)) == 3
    index = CaptureIndex(folder)
    found = {name: index.load(name) for name in index}
    assert {name: one.layers for name, one in found.items() if one} == {
        "one": LAYERS, "two": LAYERS, "three": ("norm",),
    }  # fmt: skip


def test_nothing_is_written_where_nothing_is_captured(folder) -> None:
    with CaptureWriter(folder / "rank-000"):
        pass
    assert not folder.exists()
    assert CaptureIndex(folder).describe() == {
        "requests": 0, "shards": 0, "bytes": 0, "faults": [],
    }  # fmt: skip


@pytest.mark.parametrize("cut", [0, 4, 100, -1])
def test_a_torn_shard_is_told_and_the_others_are_read(folder, cut) -> None:
    for name in ("one", "two"):
        with CaptureWriter(folder / "rank-000") as writer:
            writer.append("toy", states(name))
    torn = folder / "rank-000" / "000000.safetensors"
    torn.write_bytes(torn.read_bytes()[:cut])
    index = CaptureIndex(folder)
    assert list(index) == ["two"]
    assert len(index.faults) == 1
    assert index.faults[0].startswith(f"{torn}: is torn or no shard")
    with CaptureWriter(folder / "rank-000") as writer:  # as --resume does
        writer.append("toy", states("one"))
    assert set(CaptureIndex(folder)) == {"one", "two"}


@pytest.mark.parametrize(
    ("metadata", "fault"),
    [
        (None, "its format is None"),
        ({"format": "pt"}, "its format is 'pt'"),
        ({"format": captures.FORMAT}, "metadata are damaged"),
        ({"format": captures.FORMAT, "layers": "7", "missing": "{}"}, "metadata are damaged"),
        ({"format": captures.FORMAT, "layers": "[]", "missing": "[]"}, "metadata are damaged"),
        ({"format": captures.FORMAT, "layers": "{", "missing": "{}"}, "metadata are damaged"),
    ],
)
def test_a_foreign_file_is_told(folder, metadata, fault) -> None:
    path = folder / "rank-000" / "weights.safetensors"
    path.parent.mkdir(parents=True)
    save_file({"weight": np.ones(3, np.float32)}, path, metadata=metadata)
    index = CaptureIndex(folder)
    assert len(index) == 0
    assert [fault in told for told in index.faults] == [True]


def test_what_a_killed_process_left_is_removed(folder) -> None:
    left = folder / "rank-000" / ".000000.safetensors.12ab"
    left.parent.mkdir(parents=True)
    left.write_bytes(b"half")
    assert CaptureIndex(folder).faults == []
    with CaptureWriter(folder / "rank-000") as writer:
        writer.append("toy", states("one"))
    assert shards(folder) == ["rank-000/000000.safetensors"]


def test_only_so_many_shards_are_open(folder, monkeypatch) -> None:
    for number in range(2 * captures.OPEN):
        with CaptureWriter(folder / "rank-000") as writer:
            writer.append("toy", states(f"{number}", number))
    index = CaptureIndex(folder)
    for number in [*range(2 * captures.OPEN), 0]:
        found = index.load(f"{number}")
        assert found is not None
        assert found.arrays["prompt_last"][0, 0] == number
    assert len(index._open) == captures.OPEN


def test_a_shard_that_is_gone_is_a_fault_of_the_run(folder) -> None:
    with CaptureWriter(folder / "rank-000") as writer:
        writer.append("toy", states("one"))
    index = CaptureIndex(folder)
    (folder / "rank-000" / "000000.safetensors").unlink()
    with pytest.raises(RunError, match="000000"):
        index.load("one")


def test_states_are_those_of_the_row(folder) -> None:
    with CaptureWriter(folder / "rank-000") as writer:
        writer.append("toy", states("one", 7.0))
    run = RunStates(CaptureIndex(folder))

    def row(request: str, *, failed: bool = False) -> TableRow:
        return TableRow("s", "s", {}, {}, "Yes", "Yes", {}, failed=failed, request=request)

    found = run.of(row("one"))
    assert found is not None
    assert found.arrays["prompt_last"][0, 0] == 7.0
    assert run.of(row("two")) is None
    assert run.of(row("one", failed=True)) is None


def test_no_more_is_written_than_allowed_by_all_processes(folder) -> None:
    array = np.zeros((1, 1000), np.float32)
    for rank in (0, 1):
        writer = CaptureWriter(folder / f"rank-{rank:03d}", max_bytes=7000)
        writer.append("toy", Captured(f"{rank}", ("norm",), {"prompt_last": array}, {}))
        if rank == 0:
            writer.flush()
    with pytest.raises(RunError, match=r"would take more than 6\.52e-06 GiB") as error:
        writer.flush()
    assert "max_gib" in str(error.value)
    assert shards(folder) == ["rank-000/000000.safetensors"]
    assert GIB == 1024**3
    writer.flush()  # what is refused is not written later either
    assert shards(folder) == ["rank-000/000000.safetensors"]


def test_a_disk_that_refuses_leaves_nothing_half_written(folder, monkeypatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    writer = CaptureWriter(folder / "rank-000")
    writer.append("toy", states("one"))
    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", full)
        with pytest.raises(RunError, match="No space left"):
            writer.flush()
    assert shards(folder) == []
    writer.flush()
    assert list(CaptureIndex(folder)) == ["one"]


def test_metadata_are_json(folder) -> None:
    from safetensors import safe_open

    with CaptureWriter(folder / "rank-000") as writer:
        writer.append("toy", states("one", vision_mean="no image"))
    with safe_open(folder / "rank-000" / "000000.safetensors", framework="np") as shard:
        about = shard.metadata()
    assert about["format"] == captures.FORMAT
    assert about["task"] == "toy"
    assert json.loads(about["layers"]) == list(LAYERS)
    assert json.loads(about["missing"]) == {"one": {"vision_mean": "no image"}}
    assert capturing.LOWER
