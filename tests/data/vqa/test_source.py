"""Every benchmark in its publisher's schema, by every road, to its prompt and gold answer."""

import io
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import Dataset, Features, Image, List, Value
from PIL import Image as Pillow

from vlm_eval.core.errors import DataError, MissingData, TaskError
from vlm_eval.core.options import build
from vlm_eval.core.types import ImageRef
from vlm_eval.data.base import SOURCES
from vlm_eval.data.vqa.benchmarks import benchmarks
from vlm_eval.data.vqa.source import Vqa

from .upstream import LETTER, ROWS, base64_of, picture, png


def make(name, **options):
    return build(SOURCES, {"name": "vqa", "benchmark": name, **options}, where=None)


def parquet(file, rows):
    file.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows), file)
    return file


def rows_of(source):
    """The rows as a task sees them: every field of the condition."""
    return [dict(source.fields(row, {})) for row in source.rows()]


def assert_wanted(found, wanted):
    assert len(found) == len(wanted)
    for row, fields in zip(found, wanted, strict=True):
        assert {name: row[name] for name in fields} == fields
        assert row["prompt"] == "".join(row["chunks"])
        assert len(row["chunks"]) == len(row["shown"]) + 1
        assert all(isinstance(row[name], ImageRef) for name in row["shown"])


@pytest.mark.parametrize("name", ROWS)
def test_a_parquet_copy_gives_the_published_prompt_and_answer(name, tmp_path):
    given, wanted = ROWS[name]
    source = make(name, path=str(parquet(tmp_path / "copy.parquet", given)))
    assert_wanted(rows_of(source), wanted)
    assert (source.info().synthetic, source.info().notice) == (False, None)


def test_every_benchmark_is_tested_in_its_own_schema():
    assert {*ROWS, "gqa"} == set(benchmarks())


@pytest.mark.parametrize("name", ["hrbench4k", "realworldqa", "vqav2_val"])
def test_a_jsonl_copy_gives_the_same(name, tmp_path):
    given, wanted = ROWS[name]
    (tmp_path / "red.png").write_bytes(png("red"))
    lines = [{**row, "image": "red.png" if isinstance(row["image"], dict) else row["image"]}
             for row in given]  # fmt: skip
    file = tmp_path / "copy.jsonl"
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert_wanted(rows_of(make(name, path=str(file))), wanted)


def test_a_hub_data_set_with_its_own_features_gives_the_same(tmp_path):
    """SEED-Bench keeps a list of images; the others one image, decoded or not."""
    given, wanted = ROWS["seedbench_img"]
    texts = {
        name: Value("string") for name in given[0] if name not in ("image", "question_type_id")
    }
    features = Features({**texts, "question_type_id": Value("int32"), "image": List(Image())})
    data = Dataset.from_list(given, features=features)
    data.to_parquet(tmp_path / "data" / "test-00000-of-00001.parquet")
    source = make("seedbench_img", hub=str(tmp_path), split="test")
    assert_wanted(rows_of(source), wanted)
    [row] = source.rows()
    assert row["image"].load().getpixel((0, 0)) == (255, 0, 0)


def test_vlmevalkits_file_of_seedbench_is_read_too(tmp_path):
    lines = [
        ["index", "image", "question", "A", "B", "C", "D", "answer", "category"],
        ["7", base64_of("red"), "How many?", "One", "Two", "Three", "Four", "C", "Counting"],
        ["8", "7", 'A "quoted" one?', "Yes", "No", "", "", "B", "Counting"],  # the picture of 7
    ]
    text = "\n".join("\t".join(f'"{cell}"'.replace('"quoted"', '""quoted""') for cell in line)
                     for line in lines)  # fmt: skip
    file = tmp_path / "SEEDBench_IMG.tsv"
    file.write_text(text)
    first, second = rows_of(make("seedbench_img", path=str(file)))
    assert first["prompt"] == "How many?\nA. One\nB. Two\nC. Three\nD. Four" + LETTER
    assert (first["gold"], first["category"]) == ("C", "Counting")
    assert second["prompt"] == 'A "quoted" one?\nA. Yes\nB. No' + LETTER
    assert second["choices"] == ["A", "B"]
    assert first["image_id"] == second["image_id"]


def test_a_base64_picture_is_decoded_to_its_pixels(tmp_path):
    file = parquet(tmp_path / "copy.parquet", ROWS["hrbench4k"][0])
    [row] = make("hrbench4k", path=str(file)).rows()
    image = row["image"].load()
    assert (image.size, image.getpixel((3, 3))) == ((24, 16), (255, 0, 0))


def test_gqa_joins_questions_with_the_table_of_their_pictures(tmp_path):
    questions = [
        {"id": "20", "imageId": "n1", "question": "Is it clear?", "answer": "yes"},
        {"id": "21", "imageId": "n2", "question": "Who is it?", "answer": "man"},
        {"id": "22", "imageId": "n1", "question": "What is it?", "answer": "sky"},
    ]
    name = "testdev-00000-of-00001.parquet"
    parquet(tmp_path / "testdev_balanced_instructions" / name, questions)
    images = [{"id": "n2", "image": picture("blue")}, {"id": "n1", "image": picture("red")}]
    parquet(tmp_path / "testdev_balanced_images" / name, images)
    found = rows_of(make("gqa", path=str(tmp_path)))
    assert [row["image"].load().getpixel((0, 0)) for row in found] == [
        (255, 0, 0), (0, 0, 255), (255, 0, 0),
    ]  # fmt: skip
    assert found[0]["image_id"] == found[2]["image_id"] != found[1]["image_id"]
    assert found[1]["prompt"] == "Who is it?\nAnswer the question using a single word or phrase."


def test_gqa_without_its_pictures_says_what_is_missing(tmp_path):
    row = {"id": "20", "imageId": "n1", "question": "Is it clear?", "answer": "yes"}
    parquet(tmp_path / "testdev_balanced_instructions" / "testdev-00000-of-00001.parquet", [row])
    with pytest.raises(MissingData, match="testdev_balanced_images"):
        make("gqa", path=str(tmp_path)).info()


# Which file of a folder


def test_shards_of_a_split_are_read_in_order_and_other_splits_are_not(tmp_path):
    row = ROWS["mmstar"][0][0]
    for shard, index in ((1, 2), (0, 1)):
        file = tmp_path / "data" / f"val-0000{shard}-of-00002.parquet"
        parquet(file, [{**row, "index": index}])
    parquet(tmp_path / "data" / "test-00000-of-00001.parquet", [{**row, "index": 3}])
    assert [row["id"] for row in make("mmstar", path=str(tmp_path)).rows()] == ["1", "2"]


def test_mmmus_thirty_folders_are_one_benchmark(tmp_path):
    row = ROWS["mmmu_val"][0][0]
    for subject in ("Art", "Math"):
        file = tmp_path / subject / "validation-00000-of-00001.parquet"
        parquet(file, [{**row, "id": f"validation_{subject}_1"}])
        parquet(file.with_name("dev-00000-of-00001.parquet"), [{**row, "id": f"dev_{subject}_1"}])
    found = [row["category"] for row in make("mmmu_val", path=str(tmp_path)).rows()]
    assert found == ["Art", "Math"]


def test_hrbenchs_files_are_told_apart_by_the_split(tmp_path):
    row = ROWS["hrbench4k"][0][0]
    for name, index in (("hr_bench_4k", 1), ("hr_bench_8k", 2)):
        parquet(tmp_path / f"{name}.parquet", [{**row, "index": index}])
    for name, wanted in (("hrbench4k", "1"), ("hrbench8k", "2")):
        assert [row["id"] for row in make(name, path=str(tmp_path)).rows()] == [wanted]


def test_a_folder_of_several_tables_is_not_guessed_at(tmp_path):
    for name in ("one", "two"):
        parquet(tmp_path / f"{name}.parquet", ROWS["mmstar"][0])
    with pytest.raises(
        DataError, match=r"several tables: one\.parquet, two\.parquet.*name the file"
    ):
        make("mmstar", path=str(tmp_path)).info()


# Nothing there


def test_a_missing_copy_is_told_with_hub_id_split_and_columns(tmp_path):
    for path in (tmp_path / "nowhere", tmp_path):
        with pytest.raises(MissingData) as caught:
            list(make("vstar_bench", path=str(path)).rows())
        message = str(caught.value.of_task("blur-decay-vstar_bench"))
        for part in (
            "V*Bench", "hub:lmms-lab-encoder/vstar-bench", "split test", "label", "text",
            "--data blur-decay-vstar_bench=embedded",
        ):  # fmt: skip
            assert part in message


def test_other_columns_are_told_with_those_that_are_missing(tmp_path):
    [given] = ROWS["vstar_bench"][0]
    rows = [{("label_" if name == "label" else name): cell for name, cell in given.items()}]
    file = parquet(tmp_path / "copy.parquet", rows)
    with pytest.raises(DataError, match=r"no column label; found .*label_"):
        make("vstar_bench", path=str(file)).info()


def test_contradictory_options_and_unknown_benchmarks_are_refused():
    with pytest.raises(TaskError, match="did you mean mmstar"):
        make("mmstarr")
    with pytest.raises(TaskError, match="more than one of path, hub and embedded"):
        make("mmstar", path="x", embedded=True)
    with pytest.raises(TaskError, match="benchmark is one name"):
        make(["mmstar", "mmvp"])
    assert make(["mmstar"], embedded=True).name == "mmstar"


# What cannot be asked


def mmmu_row(**changes):
    return {**ROWS["mmmu_val"][0][0], "question": "<image 1> Which?", **changes}


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


# Choosing rows


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


# Order of the options


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


# Provenance


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


CONFIGS = benchmarks()["blink"].config


def blink(folder, names, file="{}/val-00000-of-00001.parquet"):
    rows, _ = ROWS["blink"]
    for name in names:
        row = {**rows[0], "idx": f"val_{name}_1", "sub_task": name}
        parquet(folder / file.format(name), [row])
    return make("blink", path=str(folder))


def test_all_configurations_are_read_in_their_order(tmp_path):
    source = blink(tmp_path, CONFIGS)
    assert [row["category"] for row in source.rows()] == list(CONFIGS)
    one = make("blink", path=str(tmp_path), config="Jigsaw")
    assert [row["category"] for row in one.rows()] == ["Jigsaw"]


def test_a_copy_that_lacks_configurations_is_refused(tmp_path):
    source = blink(tmp_path, CONFIGS[2:])
    with pytest.raises(MissingData, match="with Art_Style, Counting in") as caught:
        list(source.rows())
    assert "config Art_Style and Counting and" in str(caught.value)


def test_a_file_may_be_named_after_its_configuration(tmp_path):
    rows, _ = ROWS["cv_bench"]
    for kind in ("2d", "3d"):
        row = {**rows[0], "type": kind.upper()}
        parquet(tmp_path / f"test_{kind}.parquet", [row])
    found = list(make("cv_bench", path=str(tmp_path)).rows())
    assert [row["topic"] for row in found] == ["2D", "3D"]
    assert [row["id"] for row in make("cv_bench", path=str(tmp_path), config="3D").rows()] == [
        "3D-0"
    ]


def test_one_file_stands_for_all_configurations(tmp_path):
    rows, wanted = ROWS["blink"]
    assert_wanted(rows_of(make("blink", path=str(parquet(tmp_path / "x.parquet", rows)))), wanted)
