import pytest

from vlm_eval.core.errors import DataError
from vlm_eval.core.hashing import digest_bytes
from vlm_eval.data.cityscapes.safety import read_safety_labels


def test_csv_and_jsonl_say_the_same(tmp_path):
    csv, jsonl = tmp_path / "a.csv", tmp_path / "a.jsonl"
    csv.write_text("image_id,label\nx,safe\ny,UNSAFE\n")
    jsonl.write_text('{"image_id": "x", "label": "safe"}\n{"image_id": "y", "label": "unsafe"}\n')
    one, other = read_safety_labels(csv), read_safety_labels(jsonl)
    assert one.labels == other.labels == {"x": "safe", "y": "unsafe"}
    assert one.digest == digest_bytes(csv.read_bytes())


def test_the_majority_of_annotators_decides_and_a_tie_is_no_label(tmp_path):
    file = tmp_path / "a.csv"
    rows = ["x,safe,1", "x,unsafe,2", "x,unsafe,3", "y,safe,1", "y,unsafe,2"]
    file.write_text("\n".join(["image_id,label,annotator", *rows]))
    assert read_safety_labels(file).labels == {"x": "unsafe"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("image,label\nx,safe\n", "no column 'image_id'"),
        ("image_id,label\nx,maybe\n", "line 2, column label: 'maybe' is no label"),
        ("image_id,label\nx,\n", "line 2, column label: empty"),
        ("image_id,label\nx,safe\nx,safe\n", "line 3: 'x' is labelled twice"),
    ],
)
def test_faults_name_their_line(tmp_path, text, words):
    file = tmp_path / "a.csv"
    file.write_text(text)
    with pytest.raises(DataError, match=words):
        read_safety_labels(file)
