import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from vlm_eval.core.errors import DataError, MissingData, TaskError
from vlm_eval.core.options import build
from vlm_eval.core.types import Answer
from vlm_eval.data.base import SOURCES
from vlm_eval.data.vlmbias.alias import ANSWER
from vlm_eval.tasks.index import TaskIndex
from vlm_eval.tasks.scoring import score
from vlm_eval.tasks.trials import expand


def item(number, question="Q1", topic="Flags", pixel=384, **changes):
    text = "How many stars are there in this flag?" if question == "Q1" else "Count the stars."
    return {
        "ID": f"flag{number}_{question}_px{pixel}",
        "image": "a.png",
        "image_path": f"flags/flag{number}_px{pixel}.png",
        "topic": topic,
        "sub_topic": "US",
        "prompt": f"{text} {ANSWER}",
        "ground_truth": "{51}",
        "expected_bias": "50",
        "with_title": "notitle",
        "type_of_question": question,
        "pixel": pixel,
        "metadata": "{}",
        **changes,
    }


@pytest.fixture
def folder(tmp_path):
    Image.new("RGB", (8, 6), "red").save(tmp_path / "a.png")
    return tmp_path


def source(folder, items, **options):
    (folder / "metadata.jsonl").write_text("".join(json.dumps(row) + "\n" for row in items))
    return build(SOURCES, {"name": "vlmbias", "path": str(folder), **options}, where=None)


def rows(folder, items, **options):
    return list(source(folder, items, **{"topics": "all", **options}).rows())


def test_a_row_has_both_prompts_both_answers_and_its_object(folder):
    (row,) = rows(folder, [item(1)])
    assert row["image"].load().size == (8, 6)
    assert row["id"] == "Flags/flag1_Q1_px384/Q1/384"
    assert (row["answer"], row["bias"]) == ("51", "50")
    assert row["prompt"].startswith("How many stars")
    assert row["alias_prompt"].startswith("Count the stars in this image, but report them as ITEMs")
    assert row["alias_fallback"] is False
    assert (row["question"], row["resolution"], row["sub_topic"]) == ("Q1", 384, "US")


def test_resolutions_and_questions_of_one_picture_are_one_object(folder):
    made = rows(
        folder,
        [item(n, q, pixel=p) for n in (1, 2) for q in ("Q1", "Q2") for p in (384, 768, 1152)],
    )
    assert len(made) == len({row["id"] for row in made}) == 12
    assert {row["object"] for row in made} == {"Flags/flag1", "Flags/flag2"}
    assert len({row["image_id"] for row in made}) == 6
    without_path = [item(1, q, pixel=p) for q in ("Q1", "Q2") for p in (384, 768)]
    for each in without_path:
        del each["image_path"]
    assert {row["object"] for row in rows(folder, without_path)} == {"Flags/flag1"}


def test_rows_that_are_no_counting_questions_are_left_out_and_counted(folder):
    made = source(
        folder,
        [item(1), item(2, "Q3"), item(3, ground_truth="{No}"), item(4, topic="Optical Illusion")],
        topics="Flags",
    )
    assert [row["id"] for row in made.rows()] == ["Flags/flag1_Q1_px384/Q1/384"]
    assert made.info().notice == (
        "1 rows left out: questions other than Q1, Q2; 1 rows left out: right answer is no number"
    )


@pytest.mark.parametrize("topics", ["Flags+Optical Illusion", ["Flags", "Optical Illusion"], "all"])
def test_topics_are_chosen_by_name(folder, topics):
    made = rows(folder, [item(1), item(2, topic="Optical Illusion")], topics=topics)
    assert [row["topic"] for row in made] == ["Flags", "Optical Illusion"]


def test_an_unknown_topic_is_an_error_with_the_nearest_one(folder):
    with pytest.raises(DataError, match="no topic 'Flag'; did you mean Flags"):
        rows(folder, [item(1)], topics="Flag")


def test_the_papers_topics_are_taken_as_far_as_they_are_there(folder):
    made = source(folder, [item(1), item(2, topic="Logos"), item(3, topic="Optical Illusion")])
    assert [row["topic"] for row in made.rows()] == ["Flags", "Logos"]
    assert made.info().notice.endswith("no rows of topic Animals; no rows of topic Game Boards")
    with pytest.raises(DataError, match="no topic 'Animals'"):
        list(source(folder, [item(3, topic="Optical Illusion")]).rows())


def test_a_prompt_without_alias_form_is_kept_marked_and_said_aloud(folder):
    odd = item(2, prompt="How many colours? Answer with a number in curly brackets, e.g., {9}.")
    made = source(folder, [item(1), odd], topics="Flags")
    plain, kept = made.rows()
    assert (plain["alias_fallback"], kept["alias_fallback"]) == (False, True)
    assert kept["alias_prompt"] == kept["prompt"]
    assert made.info().notice == (
        "1 of 2 prompts have no alias form and are asked unchanged under alias "
        "(Flags 1; field alias_fallback)"
    )


def test_a_bias_without_number_is_unknown(folder):
    (row,) = rows(folder, [item(1, expected_bias="many")], topics="Flags")
    assert row["bias"] is None


def test_missing_columns_and_cells_are_named(folder):
    bad = item(1)
    del bad["prompt"], bad["topic"]
    with pytest.raises(DataError, match="no column topic, prompt; found"):
        rows(folder, [bad])
    bad = item(1)
    del bad["image"], bad["image_path"]
    with pytest.raises(DataError, match="no column image; found"):
        rows(folder, [bad])
    header = folder / "table.csv"
    header.write_text("ID,image,topic,prompt,ground_truth,expected_bias\n")
    with pytest.raises(DataError, match=r"table\.csv: the table has no rows"):
        list(build(SOURCES, {"name": "vlmbias", "path": str(header)}, where=None).rows())
    with pytest.raises(DataError, match="line 1, column prompt: empty"):
        rows(folder, [item(1, prompt=" ")], topics="Flags")


def test_without_data_the_error_says_what_to_give():
    made = build(SOURCES, {"name": "vlmbias"}, where=None)
    with pytest.raises(MissingData, match=r"hub:anvo25/vlms-are-biased.*=embedded"):
        list(made.rows())


def test_two_places_are_one_too_many(folder):
    with pytest.raises(TaskError, match="more than one"):
        build(SOURCES, {"name": "vlmbias", "path": str(folder), "embedded": True}, where=None)


def test_a_parquet_copy_of_the_hub_is_read_as_it_lies(folder):
    data = {**item(1), "image": {"bytes": (folder / "a.png").read_bytes(), "path": None}}
    (folder / "data").mkdir()
    pq.write_table(pa.Table.from_pylist([data]), folder / "data" / "main-00000-of-00001.parquet")
    single = folder / "data" / "main-00000-of-00001.parquet"
    for place in (single, folder):
        made = build(
            SOURCES, {"name": "vlmbias", "path": str(place), "topics": "Flags"}, where=None
        )
        (row,) = made.rows()
        assert row["image"].load().size == (8, 6)


def test_the_stand_in_says_so():
    info = build(SOURCES, {"name": "vlmbias", "embedded": True}, where=None).info()
    assert info.synthetic
    assert "not VLMs are Biased" in info.notice
    assert "alias form" not in info.notice


def test_the_task_flips_the_picture_and_renames_what_is_counted(folder):
    picture = Image.new("RGB", (4, 4), "red")
    picture.putpixel((0, 0), (0, 0, 255))
    picture.save(folder / "a.png")
    source(folder, [item(1)])
    task = TaskIndex().load("vlmbias", data=f"{folder},topics=Flags")
    trials = {trial.condition["config"]: trial for trial in expand(task)}
    assert list(trials) == ["base", "flip", "alias", "flip_alias"]
    for config, trial in trials.items():
        flipped = "flip" in config
        image = trial.request.images[0].load()
        assert image.getpixel((0, 3 if flipped else 0)) == (0, 0, 255)
        assert ("ITEMs" in trial.prompt) == ("alias" in config)
        assert trial.prompt.startswith("<image>")
        assert trial.request.decoding.max_new_tokens == 1024
        assert trial.request.decoding.temperature == 0
        assert trial.gold == "51"
        assert trial.cluster == "Flags/flag1"
    assert trials["base"].request.images[0].key == trials["alias"].request.images[0].key


@pytest.mark.parametrize(
    ("text", "canonical", "literal", "lmms"),
    [
        ("{51}", "51", "51", "51"),
        ("{50}", "50", "50", "50"),
        ("I see 13 stripes and {51} stars", "51", "51", "1351"),
        ("51 or 52", None, "52", "5152"),
        ("None at all", None, None, "none at all"),
    ],
)
def test_an_answer_is_read_three_ways(folder, text, canonical, literal, lmms):
    source(folder, [item(1)])
    task = TaskIndex().load("vlmbias", data=f"{folder},topics=Flags")
    trial = next(expand(task))
    found = score(
        task,
        condition=trial.condition,
        gold=trial.gold,
        choices=trial.choices,
        outcome=Answer(text=text),
        fields=trial.fields,
    )
    assert (found.answer, found.literal_answer, found.also) == (
        canonical,
        literal,
        {"lmms_vlmbias": lmms},
    )
    assert found.scores["accuracy"] == float(canonical == "51")
    assert found.scores["bias"] == float(canonical == "50")
    assert found.scores["accuracy_literal"] == float(literal == "51")


def test_originals_are_marked():
    made = build(SOURCES, {"name": "vlmbias", "embedded": True, "originals": True}, where=None)
    rows = list(made.rows())
    assert len(rows) == 240
    assert sum(row["altered"] for row in rows) == 120
    for row in rows:
        assert row["altered"] == (row["answer"] != row["bias"])
    assert len({row["object"] for row in rows}) == 120
    plain = build(SOURCES, {"name": "vlmbias", "embedded": True}, where=None)
    assert all("altered" not in row for row in plain.rows())


def test_an_original_without_a_known_answer_agrees_with_itself(folder):
    rows = [item(1), item(2, ground_truth="50", expected_bias=None)]
    (folder / "metadata.jsonl").write_text("\n".join(map(json.dumps, rows)))
    made = build(SOURCES, {"name": "vlmbias", "path": str(folder), "originals": True}, where=None)
    assert [(row["answer"], row["bias"], row["altered"]) for row in made.rows()] == [
        ("51", "50", True), ("50", "50", False),
    ]  # fmt: skip
