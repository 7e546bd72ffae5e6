import pytest

from vlm_eval.core.errors import DataError, TaskError
from vlm_eval.data.pairs.columns import NAMED, REQUIRED, check_columns, column_map

# The columns of published data sets and of the forms that spec A.2 names.
PUBLISHED = {
    "winoground": "id image_0 image_1 caption_0 caption_1 tag secondary_tag num_main_preds "
    "collapsed_tag",
    "vismin": "image_path caption edited_image_path edited_caption edit_id",
    "vismin_bench": "image_0 text_0 image_1 text_1 id category question_1",
    "safe_unsafe": "id safe_image unsafe_image safe_caption unsafe_caption",
    "image1_image2": "id image1 image2 caption1 caption2",
    "image0_image1": "id image0 image1 caption0 caption1",
    "image_a_image_b": "id image_a image_b caption_a caption_b",
}


def test_every_named_map_reads_the_data_set_that_it_is_named_after():
    assert PUBLISHED.keys() == NAMED.keys()
    for name, columns in PUBLISHED.items():
        check_columns(column_map(name), columns.split(), where=name)


@pytest.mark.parametrize("name", [n for n in PUBLISHED if n != "winoground"])
def test_without_a_map_the_error_lists_what_is_there_and_the_map_that_fits(name):
    found = PUBLISHED[name].split()
    with pytest.raises(DataError) as error:
        check_columns(column_map(None), found, where="m.jsonl")
    assert error.value.hint == f"the named map that fits: columns: {name}"
    assert all(column in error.value.what for column in (*found, *REQUIRED))
    assert error.value.where == "m.jsonl"


def test_without_a_fitting_map_the_error_says_how_to_write_one():
    with pytest.raises(DataError, match=r"no column image_0, .* found id, picture; .*columns: \{"):
        check_columns(column_map(None), ["id", "picture"], where="m.csv")


def test_an_own_map_renames_what_it_names_and_keeps_the_rest():
    columns = column_map({"id": "edit_id", "image_1": "edited"})
    assert columns.column("id") == "edit_id"
    assert columns.column("image_0") == "image_0"
    check_columns(
        columns, ["edit_id", "image_0", "edited", "caption_0", "caption_1"], where="m.json"
    )


def test_an_optional_column_that_a_map_names_must_exist():
    columns = column_map({"category": "topic"})
    with pytest.raises(DataError, match="no column topic;"):
        check_columns(columns, REQUIRED, where="m.json")


def test_safe_unsafe_says_the_labels_by_its_column_names():
    assert column_map("safe_unsafe").constants == {"label_0": "safe", "label_1": "unsafe"}
    assert column_map("safe_unsafe").column("image_1") == "unsafe_image"


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("winogroun", "did you mean winoground"),
        ({"caption0": "text"}, "did you mean caption_0"),
        ({"image_1": "image_0"}, "two fields are read from column 'image_0'"),
    ],
)
def test_a_wrong_option_is_named(option, message):
    with pytest.raises(TaskError, match=message):
        column_map(option)
