"""The whole table against the counts and the sample rows of the specification."""

from __future__ import annotations

import pandas as pd
import pytest

from vlm_eval.core.hashing import digest
from vlm_eval.data.boards.instances import instances, text_only_instances

COLUMNS = [
    "index",
    "game",
    "state_id",
    "board_state",
    "render_variant",
    "rule_variant",
    "image_text_order",
    "prompt_variant",
    "prompt_type",
    "question_target",
    "prompt",
    "answer",
    "valid_labels",
    "image_path",
    "render_meta",
    "standard_winner_idx",
    "inverse_winner_idx",
]
# Digest of the 86,400 rows whose boards come from the published streams.
PUBLISHED_GAMES = "9d0c06006a0159a04c5e4bdcd03aea0718ffc86d823b95c4c84e37f51d234304"
CELL = ["game", "rule_variant", "question_target", "image_text_order", "prompt_variant"]
PAIRED = ["game", "state_id", "question_target", "image_text_order", "prompt_type"]


def tags(prompts):
    return prompts.str.extract(r"Outcome tags: (\w+ and \w+)\.")[0]


def test_columns_and_indices(table):
    assert list(table.columns) == COLUMNS
    assert table["index"].tolist() == list(range(1, 115_201))
    first = table.groupby("game", sort=False)["index"].agg(["min", "max"])
    assert first.to_dict("index") == {
        "tictactoe": {"min": 1, "max": 28_800},
        "reversi": {"min": 28_801, "max": 57_600},
        "connect4": {"min": 57_601, "max": 86_400},
        "dots_boxes": {"min": 86_401, "max": 115_200},
    }


def test_row_order(table):
    order = {
        "game": ["tictactoe", "reversi", "connect4", "dots_boxes"],
        "render_variant": ["canonical", "checkerboard", "glyph"],
        "state_id": list(range(1, 301)),
        "rule_variant": ["standard", "inverse"],
        "image_text_order": ["image_first", "text_first"],
        "prompt_variant": ["standard", "tag", "tag_sem", "desc"],
        "prompt_type": ["direct", "cot"],
        "question_target": ["winner", "loser"],
    }
    ranks = pd.DataFrame(
        {name: pd.Categorical(table[name], levels).codes for name, levels in order.items()}
    )
    assert (ranks.to_numpy() >= 0).all()
    rows = list(ranks.itertuples(index=False, name=None))
    assert rows == sorted(rows)
    assert len(set(rows)) == len(rows)


def test_rows_a_cell(table):
    counts = table.groupby(["render_variant", "prompt_variant", "prompt_type"]).size()
    assert counts.unique().tolist() == [9_600]
    assert len(counts) == 12
    others = table[table["render_variant"] != "canonical"]
    assert set(others["prompt_variant"]) == {"standard"}


def test_answers_are_balanced(table):
    named = table[table["render_variant"] != "glyph"]
    first = named["answer"] == named["valid_labels"].str.split("|").str[0]
    share = first.groupby([named[c] for c in [*CELL, "render_variant", "prompt_type"]]).mean()
    assert share.unique().tolist() == [0.5]


def test_the_answer_follows_rule_and_target(table):
    winner = table["standard_winner_idx"].where(
        table["rule_variant"] == "standard", table["inverse_winner_idx"]
    )
    wanted = winner.where(table["question_target"] == "winner", 3 - winner)
    labels = table["valid_labels"].str.split("|", expand=True)
    assert (table["answer"] == labels[0].where(wanted == 1, labels[1])).all()
    assert (table["standard_winner_idx"] + table["inverse_winner_idx"] == 3).all()


def test_tags(table):
    alias = tags(table.loc[table["prompt_variant"] == "tag", "prompt"])
    counts = alias.value_counts()
    assert (len(counts), counts.min(), counts.max()) == (20, 878, 1_062)
    sem = tags(table.loc[table["prompt_variant"] == "tag_sem", "prompt"])
    assert alias.tolist() == sem.tolist()
    rows = table[table["prompt_variant"] == "tag"].assign(tags=alias)
    pairs = rows.pivot(index=PAIRED, columns="rule_variant", values="tags")
    assert (pairs["standard"] == pairs["inverse"]).mean() == pytest.approx(0.054, abs=5e-4)


def test_descriptive_prompts(table):
    rows = table[table["prompt_variant"] == "desc"]
    assert rows.groupby("prompt_type")["prompt"].nunique().to_dict() == {"direct": 8, "cot": 8}


def test_glyph_rows(table):
    glyph = table[table["render_variant"] == "glyph"]
    letters = glyph["valid_labels"].str.split("|", expand=True)
    meta = '{"glyph_p1":"' + letters[0] + '","glyph_p2":"' + letters[1] + '"}'
    assert (glyph["render_meta"] == meta).all()
    assert set(table.loc[table["render_variant"] != "glyph", "render_meta"]) == {"{}"}
    with_i = glyph.loc[glyph["valid_labels"].str.contains("I"), ["game", "state_id"]]
    assert len(with_i.drop_duplicates()) == 86


def test_the_published_reversi_row(table):
    row = table.iloc[28_859].to_dict()
    assert row["prompt"].startswith("You are given a 5x5 grid for a two-player game. Players")
    assert {name: row[name] for name in COLUMNS if name != "prompt"} == {
        "index": 28_860,
        "game": "reversi",
        "state_id": 1,
        "board_state": "[[1,1,1,2,2],[1,1,2,2,1],[1,2,2,2,2],[1,2,2,2,2],[1,2,2,2,2]]",
        "render_variant": "canonical",
        "rule_variant": "inverse",
        "image_text_order": "text_first",
        "prompt_variant": "tag_sem",
        "prompt_type": "cot",
        "question_target": "loser",
        "answer": "White",
        "valid_labels": "Black|White",
        "image_path": "images/reversi/canonical/state_001.png",
        "render_meta": "{}",
        "standard_winner_idx": 2,
        "inverse_winner_idx": 1,
    }


def test_the_published_tictactoe_row_but_for_its_board(table):
    row = table.iloc[0].to_dict()
    assert len(row.pop("board_state")) == len("[2,0,1,2,2,1,1,1,2]")
    assert row == {
        "index": 1,
        "game": "tictactoe",
        "state_id": 1,
        "render_variant": "canonical",
        "rule_variant": "standard",
        "image_text_order": "image_first",
        "prompt_variant": "standard",
        "prompt_type": "direct",
        "question_target": "winner",
        "prompt": "You are given a 3x3 grid for a two-player game. Players are X and O. If a "
        "player has 3 in a row (horizontal, vertical, or diagonal), that player wins, and the "
        "other player loses. The game has ended. Who is the winner? Answer with only X or O. Do "
        "not add any other text.",
        "answer": "O",
        "valid_labels": "X|O",
        "image_path": "images/tictactoe/canonical/state_001.png",
        "render_meta": "{}",
        "standard_winner_idx": 2,
        "inverse_winner_idx": 1,
    }


def test_the_table_is_pinned(table):
    published = table[table["game"] != "tictactoe"]
    assert digest(published.to_numpy().tolist()) == PUBLISHED_GAMES


def test_text_only():
    rows = pd.DataFrame(text_only_instances())
    assert list(rows.columns) == [
        "index",
        "game",
        "state_id",
        "board_state",
        "rule_variant",
        "question_target",
        "prompt",
        "answer",
        "valid_labels",
        "standard_winner_idx",
        "inverse_winner_idx",
        "modality",
        "render_variant",
        "prompt_variant",
        "prompt_type",
        "source_image_text_order",
        "image_text_order",
        "board_text",
        "input_text",
    ]
    assert len(rows) == 4_800
    assert rows["index"].tolist() == list(range(1, 4_801))
    keys = rows[["game", "state_id", "rule_variant", "question_target"]]
    assert keys.equals(keys.sort_values(list(keys.columns), ignore_index=True))
    assert rows.groupby(["game", "rule_variant", "question_target"]).size().unique() == [300]
    constant = rows.iloc[0, 11:17].to_dict()
    assert constant == {
        "modality": "text_only",
        "render_variant": "canonical_text",
        "prompt_variant": "standard",
        "prompt_type": "direct",
        "source_image_text_order": "image_first",
        "image_text_order": "text_first",
    }
    assert (rows.iloc[:, 11:17].nunique() == 1).all()
    assert (rows["input_text"] == rows["prompt"] + "\n\nBoard:\n" + rows["board_text"]).all()


def test_fewer_states():
    assert len(list(instances(2))) == 115_200 * 2 // 300
    assert len(list(text_only_instances(2))) == 32
