import numpy as np
from PIL import Image

from vlm_eval.cli.main import main
from vlm_eval.cli.show_transforms import COLUMNS, TILE
from vlm_eval.transforms.base import TRANSFORMS
from vlm_eval.transforms.examples import examples, specimen


def test_every_transform_is_listed_with_its_options_and_drawn(tmp_path, capsys):
    assert main(["show", "transforms", "--out", str(tmp_path / "new")]) == 0
    out = capsys.readouterr().out
    for name in TRANSFORMS:
        assert f"--- {name} ---" in out
    for text in ("1, 2 or 3 in place of the kernel: 7, 15, 25", "positive turns counter-clockwise"):
        assert text in out
    sheet = Image.open(tmp_path / "new" / "transforms.png")
    count = 1 + len(list(examples()))
    assert sheet.width == COLUMNS * (TILE + 16) + 16
    first = specimen()
    first.thumbnail((TILE, TILE), Image.Resampling.LANCZOS)
    assert np.array_equal(sheet.crop((16, 16, 16 + first.width, 16 + first.height)), first)
    frame = (np.asarray(sheet) == (190, 190, 190)).all(axis=2)
    assert frame[15, 15]
    tops = np.flatnonzero(frame[:, 15] & ~np.roll(frame[:, 15], 1))  # of the first column's frames
    assert len(tops) == -(-count // COLUMNS)
    for i in range(count):
        left, top = 16 + i % COLUMNS * (TILE + 16), tops[i // COLUMNS]
        assert frame[top, left - 1 : left + 20].all(), f"tile {i} is framed"


def test_without_out_the_picture_goes_to_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["show", "transforms", "--seed", "3"]) == 0
    assert [str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*.png")] == [
        "show/transforms/transforms.png"
    ]


def test_list_prints_the_settings_alone_and_writes_the_same_picture(tmp_path, capsys):
    main(["show", "transforms", "--out", str(tmp_path / "whole")])
    capsys.readouterr()
    assert main(["show", "transforms", "--list", "--out", str(tmp_path / "brief")]) == 0
    *settings, written = capsys.readouterr().out.splitlines()
    assert settings == [label for label, _ in examples()]
    assert written == f"written: {tmp_path / 'brief' / 'transforms.png'}"
    sheets = [(tmp_path / name / "transforms.png").read_bytes() for name in ("whole", "brief")]
    assert sheets[0] == sheets[1]


def test_list_is_of_transforms_only(tmp_path, capsys):
    assert main(["show", "mis", "--list", "--out", str(tmp_path)]) == 2
    assert "--list is for `vlm_eval show transforms`" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_the_seed_changes_the_random_ones(tmp_path):
    for seed in ("0", "0", "1"):
        main(["show", "transforms", "--seed", seed, "--out", str(tmp_path / seed)])
    assert (tmp_path / "0" / "transforms.png").read_bytes() != (
        tmp_path / "1" / "transforms.png"
    ).read_bytes()


def test_show_of_a_task_prints_size_sharpness_and_distance_of_each_image(tmp_path, capsys):
    assert main(["show", "mis", "--out", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert "[image #1: " in out
    assert " px, Laplacian variance " in out
