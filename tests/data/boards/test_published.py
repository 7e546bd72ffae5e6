"""A copy of the published data set gives the samples that are generated, or says what is wrong."""

from __future__ import annotations

import json
import shutil
from itertools import product

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from vlm_eval.core.errors import DataError, MissingData
from vlm_eval.data import hub
from vlm_eval.data.boards.prompts import MODES, ORDERS, RULES, TARGETS, VARIANTS
from vlm_eval.data.boards.render import STYLES
from vlm_eval.data.boards.source import Boards

SMALL = 3
ASKED = [("canonical", variant) for variant in VARIANTS] + [(s, "base") for s in STYLES[1:]]


@pytest.fixture
def copy(written, tmp_path):
    """A copy of the small data set that a test may change."""
    return shutil.copytree(written, tmp_path / "copy")


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """Keep what `datasets` converts out of the user's cache."""
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    with hub.progress_bars(shown=False):
        yield


def read(path, **options):
    """Read every row and its first question of a folder."""
    source = Boards(path=str(path), **options)
    return [source.fields(row, {}) for row in source.rows()]


def rewrite(path, change):
    """Change the rows of a folder's table; None drops a row."""
    file = path / "instances.parquet"
    rows = [change(dict(row)) for row in pq.read_table(file).to_pylist()]
    pq.write_table(pa.Table.from_pylist([row for row in rows if row is not None]), file)


def same_samples(one, two):
    rows = list(one.rows())
    assert rows == list(two.rows())
    assert len(rows) == 4 * SMALL
    for row in rows:
        for (style, variant), rule, target, order, mode in product(
            ASKED, RULES, TARGETS, ORDERS, MODES
        ):
            condition = {"render": style, "prompt_variant": variant, "rule": rule}
            condition |= {"target": target, "order": order, "mode": mode}
            a, b = dict(one.fields(row, condition)), dict(two.fields(row, condition))
            pictures = a.pop("board"), b.pop("board")
            assert a == b
            if (variant, rule, target, order, mode) == (
                "base",
                "standard",
                "winner",
                "image_first",
                "direct",
            ):
                assert pictures[0].load().tobytes() == pictures[1].load().tobytes()
        for rule, target in product(RULES, TARGETS):
            condition = {"modality": "text", "rule": rule, "target": target}
            assert one.fields(row, condition)["prompt"] == two.fields(row, condition)["prompt"]


def test_a_folder_gives_the_generated_samples(written):
    folder = Boards(path=str(written), states=SMALL)
    same_samples(Boards(states=SMALL), folder)
    assert folder.info().notice == Boards(states=SMALL).info().notice
    assert not folder.info().synthetic


def test_other_tictactoe_boards_are_not_called_ours(copy):
    def transpose(row):
        if row["game"] != "tictactoe":
            return row
        cells = json.loads(row["board_state"])
        turned = [cells[3 * c + r] for r in range(3) for c in range(3)]
        return row | {"board_state": json.dumps(turned, separators=(",", ":"))}

    rewrite(copy, transpose)
    assert Boards(path=str(copy), states=SMALL).info().notice is None


def test_datasets_gives_the_generated_samples(hub_form, cache):
    hub = Boards(hub=str(hub_form), states=SMALL)
    same_samples(Boards(states=SMALL), hub)


def test_a_folder_is_identified_by_its_rows(written, copy):
    digest = Boards(path=str(written)).info().digest
    assert Boards(path=str(copy)).info().digest == digest
    assert Boards(path=str(copy), states=2).info().digest != digest
    rewrite(copy, lambda row: row | {"prompt": row["prompt"] + "!"})
    assert Boards(path=str(copy)).info().digest != digest


def test_the_table_s_prompt_and_answer_are_used(copy):
    def change(row):
        other = next(label for label in row["valid_labels"].split("|") if label != row["answer"])
        return row | {"prompt": f"Another: {row['prompt']}", "answer": other}

    rewrite(copy, change)
    mine = Boards(states=1, games=("reversi",))
    theirs = Boards(states=1, games=("reversi",), path=str(copy))
    (row,) = mine.rows()
    a, b = mine.fields(row, {}), theirs.fields(row, {})
    assert b["prompt"] == f"Another: {a['prompt']}"
    assert {a["answer"], b["answer"]} == {"Black", "White"}


def test_pictures_of_a_folder_are_known_by_their_bytes(written, copy):
    source = Boards(path=str(written), games=("reversi",), states=2)
    one, two = (source.fields(row, {})["board"] for row in source.rows())
    assert one.key != two.key
    shutil.copy(
        copy / "images/reversi/canonical/state_001.png",
        copy / "images/reversi/canonical/state_002.png",
    )
    source = Boards(path=str(copy), games=("reversi",), states=2)
    assert {source.fields(row, {})["board"].key for row in source.rows()} == {one.key}


def test_no_table(tmp_path):
    with pytest.raises(DataError, match=r"instances\.parquet: there is no such file; give a"):
        read(tmp_path)


def test_no_parquet(tmp_path):
    (tmp_path / "instances.parquet").write_text("game,state_id\n")
    with pytest.raises(DataError, match=r"instances\.parquet: cannot be read as Parquet"):
        read(tmp_path)


@pytest.mark.parametrize("column", ["prompt", "image_path", "standard_winner_idx"])
def test_a_missing_column(copy, column):
    rewrite(copy, lambda row: {k + "s" * (k == column): v for k, v in row.items()})
    words = rf"instances\.parquet: the column '{column}' is missing; did you mean {column}s\b"
    with pytest.raises(DataError, match=words):
        read(copy)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"prompt": None}, r"instances\.parquet, row \d+, column prompt: None is no str"),
        ({"prompt": " "}, "column prompt: the prompt is empty"),
        ({"valid_labels": "Black"}, "'Black' is not two labels"),
        ({"valid_labels": "Black|Black"}, "not two labels"),
        ({"answer": "Red"}, "column answer: 'Red' is no valid label"),
        ({"standard_winner_idx": 1}, "standard_winner_idx: the winner is not the board's"),
        ({"inverse_winner_idx": 2}, "the winner is not the board's"),
        ({"question_target": "loser"}, "two rows ask reversi 1 canonical standard image_first"),
        ({"board_state": "[[1]]"}, "reversi state 1 has two boards"),
        ({"image_path": "../secret.png"}, r"column image_path, '\.\./secret.png': the path leaves"),
        ({"image_path": "/etc/hostname"}, "column image_path, '/etc/hostname': the path leaves"),
        ({"image_path": "images/no.png"}, "column image_path, 'images/no.png': there is no such"),
        ({"image_path": "instances.parquet"}, "column image_path.*not a readable"),
    ],
)
def test_a_wrong_value(copy, change, words):
    first = {
        "game": "reversi",
        "state_id": 1,
        "render_variant": "canonical",
        "rule_variant": "standard",
        "image_text_order": "image_first",
        "prompt_variant": "standard",
        "prompt_type": "direct",
        "question_target": "winner",
    }
    rewrite(copy, lambda row: row | change if first.items() <= row.items() else row)
    with pytest.raises(DataError, match=words):
        read(copy, games=("reversi",))


def test_a_board_of_another_shape(copy):
    def change(row):
        wrong = (row["game"], row["state_id"]) == ("connect4", 2)
        return row | ({"board_state": "[[0,1],[1,2]]"} if wrong else {})

    rewrite(copy, change)
    with pytest.raises(DataError, match=r"column board_state, connect4 state 2: .* no board of"):
        read(copy)
    assert len(read(copy, games=("reversi",))) == SMALL


def test_a_link_that_leaves_the_folder(copy, tmp_path):
    target = copy / "images/reversi/canonical/state_001.png"
    shutil.move(target, tmp_path / "outside.png")
    target.symlink_to(tmp_path / "outside.png")
    with pytest.raises(DataError, match=r"column image_path, .*state_001\.png.*leaves"):
        read(copy, games=("reversi",))


@pytest.mark.parametrize("keep", [0, 100, 5_000])
def test_a_broken_image(copy, keep):
    file = copy / "images/reversi/canonical/state_002.png"
    file.write_bytes(file.read_bytes()[:keep])
    with pytest.raises(DataError, match=r"column image_path, .*state_002\.png'"):
        read(copy, games=("reversi",))


def test_a_missing_game(copy):
    rewrite(copy, lambda row: row if row["game"] != "reversi" else None)
    with pytest.raises(DataError, match="column game: no rows of the game reversi"):
        read(copy)


def test_a_missing_question(copy):
    rewrite(copy, lambda row: row if row["prompt_type"] == "direct" else None)
    source = Boards(path=str(copy), games=("reversi",))
    row = next(source.rows())
    words = "no row asks reversi 1 canonical standard image_first standard cot winner"
    with pytest.raises(DataError, match=words):
        source.fields(row, {"mode": "cot"})


def test_a_data_set_that_is_not_there(tmp_path, cache):
    with pytest.raises(MissingData, match="configuration vlm_fix cannot be loaded") as caught:
        list(Boards(hub=str(tmp_path / "nowhere")).rows())
    words = ("DIR/instances.parquet", "--data TASK=PATH", "--data TASK=embedded")
    assert all(word in str(caught.value) for word in words)


def test_a_data_set_without_pictures(hub_form, cache):
    front = (hub_form / "README.md").read_text()
    (hub_form / "README.md").write_text(front.replace('"split": "images"', '"split": "image"'))
    with pytest.raises(DataError, match="no split 'images'; did you mean image"):
        list(Boards(hub=str(hub_form)).rows())


def test_a_picture_missing_from_a_data_set(hub_form, cache):
    file = hub_form / "vlm_fix" / "images.parquet"
    table = pq.read_table(file)
    keys = table.column("image_key").to_pylist()
    pq.write_table(table.filter([key != "reversi__canonical__001" for key in keys]), file)
    source = Boards(hub=str(hub_form), games=("reversi",))
    rows = list(source.rows())
    assert source.fields(rows[1], {})["board"].load().size == (480, 480)
    with pytest.raises(DataError, match="split images: there is no image_key 'reversi__canonical"):
        source.fields(rows[0], {})


@pytest.mark.parametrize(
    ("split", "column"), [("main", "image_key"), ("images", "image_key"), ("images", "image")]
)
def test_a_column_missing_from_a_data_set(hub_form, tmp_path, cache, split, column):
    file = hub_form / "vlm_fix" / f"{split}.parquet"
    table = datasets.Dataset.from_parquet(str(file), cache_dir=str(tmp_path / "c"))
    table.remove_columns([column]).to_parquet(str(file))
    with pytest.raises(DataError, match=f"split {split}: the column '{column}' is missing"):
        list(Boards(hub=str(hub_form)).rows())
