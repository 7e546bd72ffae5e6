from __future__ import annotations

import io
from pathlib import Path

import datasets
import pyarrow.parquet as pq
import pytest
from PIL import Image

from vlm_eval.core.errors import UsageError
from vlm_eval.data.boards.export import export_benchmark, new_folder, write_examples
from vlm_eval.data.boards.games import GAMES
from vlm_eval.data.boards.instances import instances, text_only_instances
from vlm_eval.data.boards.posttrain import examples
from vlm_eval.data.boards.prompts import player_labels
from vlm_eval.data.boards.render import STYLES, render
from vlm_eval.data.boards.states import benchmark_states


def test_tables_hold_the_rows(written):
    table = pq.read_table(written / "instances.parquet")
    assert table.to_pylist() == list(instances(3))
    types = {field.name: str(field.type) for field in table.schema}
    numbers = {"index", "state_id", "standard_winner_idx", "inverse_winner_idx"}
    assert {name for name, kind in types.items() if kind == "int64"} == numbers
    assert set(types.values()) == {"int64", "string"}
    text = pq.read_table(written / "instances_text_only.parquet")
    assert text.to_pylist() == list(text_only_instances(3))


def test_images_are_the_drawings(written):
    files = sorted(path.relative_to(written).as_posix() for path in written.rglob("*.png"))
    assert files == sorted({row["image_path"] for row in instances(3)})
    for game in GAMES:
        for style in STYLES:
            state = benchmark_states(game)[2]
            with Image.open(written / f"images/{game}/{style}/state_003.png") as image:
                assert (image.format, image.mode) == ("PNG", "RGB")
                drawn = render(game, state.board, style, player_labels(game, 3, style))
                assert image.tobytes() == drawn.tobytes()


def test_two_exports_are_equal_byte_for_byte(written, tmp_path):
    export_benchmark(tmp_path / "again", states=3)
    files = [path.relative_to(written) for path in written.rglob("*") if path.is_file()]
    assert len(files) == 2 + 36
    for file in files:
        assert (tmp_path / "again" / file).read_bytes() == (written / file).read_bytes()


def test_progress_counts_to_the_end(tmp_path):
    told = []
    export_benchmark(tmp_path / "out", states=1, progress=lambda *step: told.append(step))
    assert told == [("images", done, 12) for done in range(1, 13)]


def test_training_files_load_as_images(tmp_path):
    rows = [row for i, row in enumerate(examples("d3", "test")) if i % 600 < 4]
    write_examples(tmp_path / "test.parquet", rows)
    table = pq.read_table(tmp_path / "test.parquet")
    assert table.column_names == ["images", "problem", "answer"]
    loaded = datasets.Dataset.from_parquet(
        str(tmp_path / "test.parquet"), cache_dir=str(tmp_path / "cache")
    )
    assert isinstance(loaded.features["images"].feature, datasets.Image)
    assert len(loaded) == len(rows) == 16
    for got, row in zip(loaded, rows, strict=True):
        assert (got["problem"], got["answer"]) == (row.problem, row.answer)
        (image,) = got["images"]
        drawn = render(row.game, row.board, "canonical", GAMES[row.game].labels)
        assert image.tobytes() == drawn.tobytes()
        assert image.format == "PNG"


def test_row_groups_join(tmp_path, monkeypatch):
    monkeypatch.setattr("vlm_eval.data.boards.export._ROW_GROUP", 2)
    rows = list(examples("d1", "test"))[:10]
    told = []
    write_examples(tmp_path / "a.parquet", rows, lambda *step: told.append(step))
    assert told == [("a.parquet", 2, 5), ("a.parquet", 4, 5), ("a.parquet", 5, 5)]
    back = pq.read_table(tmp_path / "a.parquet").to_pylist()
    assert [row["problem"] for row in back] == [row.problem for row in rows]
    with Image.open(io.BytesIO(back[-1]["images"][0]["bytes"])) as image:
        board = rows[-1].board
        assert image.tobytes() == render("connect4", board, "canonical", ("R", "Y")).tobytes()


def test_a_new_folder_may_exist_empty(tmp_path):
    (tmp_path / "out").mkdir()
    with new_folder(tmp_path / "out") as folder:
        (folder / "a").write_text("x")
        assert not (tmp_path / "out" / "a").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert (tmp_path / "out" / "a").read_text() == "x"


def test_a_new_folder_makes_its_parents(tmp_path):
    with new_folder(tmp_path / "a" / "b") as folder:
        (folder / "x").write_text("")
    assert (tmp_path / "a" / "b" / "x").exists()


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_what_fails_leaves_nothing(tmp_path, error):
    def fill():
        with new_folder(tmp_path / "out") as folder:
            (folder / "half").write_text("x")
            raise error

    with pytest.raises(type(error)):
        fill()
    assert list(tmp_path.iterdir()) == []


def enter(out: Path):
    with new_folder(out):
        raise AssertionError("the folder was taken")


def test_a_full_folder_is_refused_and_kept(tmp_path):
    (tmp_path / "mine").write_text("x")
    with pytest.raises(UsageError, match="is not empty; choose another --out"):
        enter(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_a_file_is_refused_and_kept(tmp_path):
    (tmp_path / "mine").write_text("x")
    with pytest.raises(UsageError, match="mine: is no folder"):
        enter(tmp_path / "mine")
    assert (tmp_path / "mine").read_text() == "x"
