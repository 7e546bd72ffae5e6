"""What becomes of a benchmark's rows: left out, numbered, chosen, shifted, stood in for."""

import io

import pytest
from PIL import Image as Pillow

from vlm_eval.core.errors import DataError, MissingData, TaskError
from vlm_eval.data.vqa.benchmarks import benchmarks
from vlm_eval.data.vqa.source import Vqa

from .copies import make, mmmu_row, parquet, rows_of
from .upstream import ROWS
from .upstream_pictures import base64_of


def test_contradictory_options_and_unknown_benchmarks_are_refused():
    with pytest.raises(TaskError, match="did you mean mmstar"):
        make("mmstarr")
    with pytest.raises(TaskError, match="more than one of path, hub and embedded"):
        make("mmstar", path="x", embedded=True)
    with pytest.raises(TaskError, match="benchmark is one name"):
        make(["mmstar", "mmvp"])
    assert make(["mmstar"], embedded=True).name == "mmstar"


BROKEN = {
    "have two options with one text": mmmu_row(options="['a', 'b', 'a']", answer="A"),
    "have an empty option": mmmu_row(options="['a', '', 'b']", answer="A"),
    "have fewer than two options": mmmu_row(options="['a']", answer="A"),
    "have a right answer that is no option": mmmu_row(options="['a', 'b']", answer="E"),
    "hold a list that cannot be read": mmmu_row(options="['a', __import__('os')]", answer="A"),
    "have no image": mmmu_row(
        options="['a', 'b']", answer="A", image_1=None, image_2=None, image_3=None
    ),
    "name an image that is not there": mmmu_row(
        question="<image 1> and <image 5>?", options="['a', 'b']", answer="A"
    ),
    "have no text": mmmu_row(question=" ", options="['a', 'b']", answer="A"),
}


@pytest.mark.parametrize("reason", BROKEN)
def test_a_row_that_cannot_be_asked_is_left_out_and_counted(reason, tmp_path):
    good = mmmu_row(options="['AA', 'Aa']", answer="B")  # options that differ in case are two
    file = parquet(tmp_path / "copy.parquet", [good, {**BROKEN[reason], "id": "validation_Art_9"}])
    source = make("mmmu_val", path=str(file))
    assert [row["answer"] for row in source.rows()] == ["Aa"]
    notice = f"1 of 2 questions of MMMU (validation) left out: 1 {reason}"
    assert source.info().notice == notice


def test_options_that_cannot_be_read_in_the_question_are_counted_not_guessed(tmp_path):
    row = {**ROWS["mmstar"][0][0], "index": 12, "question": "Which? One or two."}
    file = parquet(tmp_path / "copy.parquet", [*ROWS["mmstar"][0], row])
    assert make("mmstar", path=str(file)).info().notice == (
        "1 of 2 questions of MMStar left out: 1 list no options that can be read"
    )


def test_a_data_set_of_nothing_askable_is_an_error(tmp_path):
    file = parquet(tmp_path / "copy.parquet", [BROKEN["have no text"]])
    with pytest.raises(DataError, match=r"no question of MMMU .* can be asked \(1 have no text\)"):
        make("mmmu_val", path=str(file)).info()


def test_questions_of_one_id_are_numbered(tmp_path):
    row = ROWS["vlms_are_biased"][0][0]
    file = parquet(tmp_path / "copy.parquet", [row, row, {**row, "ID": "other"}])
    ids = [row["id"] for row in make("vlms_are_biased", path=str(file)).rows()]
    assert ids == ["animals_1_px384", "animals_1_px384#2", "other"]


def test_an_id_made_of_the_content_does_not_depend_on_the_place(tmp_path):
    rows = ROWS["scienceqa_img"][0]
    one = make("scienceqa_img", path=str(parquet(tmp_path / "a.parquet", rows)))
    other = make("scienceqa_img", path=str(parquet(tmp_path / "b.parquet", rows[::-1])))
    ids = [[row["id"] for row in source.rows()] for source in (one, other)]
    assert ids[0] == ids[1][::-1]
    assert len(set(ids[0])) == 2


def test_kinds_and_rows_can_be_chosen(tmp_path):
    file = str(parquet(tmp_path / "copy.parquet", ROWS["realworldqa"][0]))
    chosen = make("realworldqa", path=file, kinds=["mcq", "open"])
    assert [row["kind"] for row in chosen.rows()] == ["mcq", "open"]
    assert chosen.info().notice == (
        "1 of 3 questions of RealWorldQA left out: 1 are of the kind number"
    )
    part = make("realworldqa", path=file, offset=1, length=1)
    assert [row["kind"] for row in part.rows()] == ["number"]
    assert part.info().notice is None


def test_the_owner_of_the_hub_data_set_can_be_changed(monkeypatch):
    asked = []

    def refuse(hub, **options):
        asked.append((hub, options["config"], options["split"]))
        raise MissingData("offline", layout="", hub=hub)

    monkeypatch.setattr("vlm_eval.data.vqa.load.open_hub", refuse)
    for options in ({}, {"org": "lmms-lab"}, {"hub": "a/GQA-copy", "org": "b", "split": "val"}):
        with pytest.raises(MissingData):
            list(make("gqa", **options).rows())
    assert asked == [
        ("lmms-lab-encoder/GQA", "testdev_balanced_instructions", "testdev"),
        ("lmms-lab/GQA", "testdev_balanced_instructions", "testdev"),
        ("b/GQA-copy", "testdev_balanced_instructions", "val"),
    ]


def test_shifted_options_keep_their_content(tmp_path):
    file = str(parquet(tmp_path / "copy.parquet", ROWS["mmstar"][0]))
    source = make("mmstar", path=file)
    [row] = source.rows()
    for shift in range(4):
        turned = source.fields(row, {"options_order": shift})
        assert turned["answer"] == "in: the box"
        assert turned["options"] == row["options"][shift:] + row["options"][:shift]
        assert turned["content"] == row["letters"][shift:] + row["letters"][:shift]
        assert turned["content"][turned["letters"].index(turned["gold"])] == row["gold"]
    assert source.fields(row, {"options_order": 0}) == row
    assert source.fields(row, {"options_order": 1})["prompt"] == (
        "Which is right?\nOptions: A: in: the box, B: beside, C: The dog., D: on, in"
        "\nAnswer with the option's letter from the given choices directly"
    )
    fixed = make("mmstar", path=file, options_order=3)
    assert next(iter(fixed.rows())) == source.fields(row, {"options_order": 3})


def test_a_question_without_lettered_options_has_one_order(tmp_path):
    source = make("realworldqa", path=str(parquet(tmp_path / "a.parquet", ROWS["realworldqa"][0])))
    number = list(source.rows())[1]
    assert source.fields(number, {"options_order": 1}) == number
    with pytest.raises(TaskError, match="options_order has no level"):
        source.fields(number, {"options_order": "rotated"})


def test_the_digest_follows_texts_pictures_and_prompts(tmp_path):
    row = ROWS["hrbench4k"][0][0]
    variants = [row, {**row, "A": "Halt"}, {**row, "image": base64_of("blue")}]
    digests = {
        make("hrbench4k", path=str(parquet(tmp_path / f"{i}.parquet", [variant]))).info().digest
        for i, variant in enumerate(variants)
    }
    digests.add(
        make("hrbench4k", path=str(tmp_path / "0.parquet"), prompt_style="vlmevalkit").info().digest
    )
    assert len(digests) == 4
    again = make("hrbench4k", path=str(tmp_path / "0.parquet")).info().digest
    assert again in digests


@pytest.mark.parametrize("name", benchmarks())
def test_a_stand_in_has_the_fields_of_the_real_rows_and_says_that_it_is_none(name, tmp_path):
    source = make(name, embedded=True, count=16)
    found = rows_of(source)
    assert len(found) >= 16
    assert len({row["id"] for row in found}) == len(found)
    info = source.info()
    assert info.synthetic
    assert benchmarks()[name].title in info.notice
    assert "no number here is a" in info.notice
    if name in ROWS:
        file = parquet(tmp_path / "copy.parquet", ROWS[name][0])
        real = rows_of(make(name, path=str(file)))
        plain = {key for row in real for key in row if not key.startswith("image_")}
        assert {key for row in found for key in row if not key.startswith("image_")} == plain
        assert {row["kind"] for row in found} & {row["kind"] for row in real}


def test_stand_in_rows_do_not_depend_on_their_number():
    few, many = (rows_of(make("mmstar", embedded=True, count=n)) for n in (5, 12))
    assert few == many[:5]
    assert few != rows_of(make("mmstar", embedded=True, count=5, seed=1))


def test_pictures_are_small_and_drawn_when_looked_at():
    row = next(make("mmmu_val", embedded=True).rows())
    image = row["image"].load()
    assert isinstance(image, Pillow.Image)
    assert max(image.size) <= 256
    file = io.BytesIO()
    image.save(file, "PNG")
    assert file.getvalue()


def test_the_class_is_the_registered_source():
    assert isinstance(make("mmstar"), Vqa)
