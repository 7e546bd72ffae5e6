"""Every benchmark in its publisher's schema, by every road, to its prompt and gold answer."""

import json

import pytest
from datasets import Dataset, Features, Image, List, Value

from vlm_eval.core.errors import DataError, MissingData
from vlm_eval.data.vqa.benchmarks import benchmarks

from .copies import assert_wanted, make, parquet, rows_of
from .upstream import ROWS
from .upstream_lettered import LETTER
from .upstream_pictures import base64_of, picture, png


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
