import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vlm_eval.core.errors import TaskError
from vlm_eval.tasks.yaml import MAX_BYTES, key_text, read, shown


@pytest.fixture
def parse(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def parse(text):
        Path("x.yaml").write_bytes(text if isinstance(text, bytes) else text.encode())
        return read(Path("x.yaml"))

    return parse


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("Yes", "Yes"), ("no", "no"), ("on", "on"), ("Off", "Off"), ("y", "y"),
        ("12:30", "12:30"), ("1_000", "1_000"), ("2020-01-01", "2020-01-01"), ("=", "="),
        ("<<", "<<"), ("010", 10), ("0o17", 15), ("0x1F", 31), ("-3", -3), ("+4", 4),
        ("1e-5", 1e-5), (".5", 0.5), ("2.", 2.0), ("1.0", 1.0), ("-1.5E3", -1500.0),
        ("true", True), ("False", False), ("null", None), ("~", None), ("", None),
        ("'5'", "5"), ('"true"', "true"), (".inf", ".inf"), (".nan", ".nan"), ("1e999", "1e999"),
        ("9" * 5000, "9" * 5000), ("1.0.0", "1.0.0"),
    ],
)  # fmt: skip
def test_scalars_follow_the_yaml_1_2_core_schema(parse, written, meant):
    found = parse(f"a: {written}\nb: [x]").data["a"]
    assert found == meant
    assert type(found) is type(meant)


# Unescaped, YAML allows no control characters and folds Unicode's line ends.
texts = st.text(st.characters(exclude_categories=["Cs", "Cc", "Cn", "Zl", "Zp"]))
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | texts
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=12,
)  # fmt: skip


@given(st.dictionaries(texts, json_values, min_size=1, max_size=4))
def test_every_json_mapping_reads_as_itself(tmp_path_factory, value):
    path = tmp_path_factory.mktemp("json") / "x.yaml"
    path.write_text(json.dumps(value, indent=1, ensure_ascii=False), encoding="utf-8")
    assert read(path).data == value


def test_every_key_and_item_knows_its_line(parse):
    document = parse("a: 1\nb:\n  c: [x,\n    y]\n  d:\n    - e: 2\n      f: 3\n")
    lines = {key_text(path): place for path, place in document.places.items() if path}
    assert lines == {
        "a": "x.yaml:1", "b": "x.yaml:2", "b.c": "x.yaml:3", "b.c[0]": "x.yaml:3",
        "b.c[1]": "x.yaml:4", "b.d": "x.yaml:5", "b.d[0]": "x.yaml:6", "b.d[0].e": "x.yaml:6",
        "b.d[0].f": "x.yaml:7",
    }  # fmt: skip
    assert document.place(("b", "d", 0, "missing", 4)) == "x.yaml:6"
    assert document.place(("z",)) == "x.yaml"
    assert document.key(("b", "c", 1)) == "x.yaml:4: key 'b.c[1]'"


def test_anchors_are_copied_where_they_are_used(parse):
    assert parse("a: &x {n: [1]}\nb: *x\nc: [*x, *x]").data == {
        "a": {"n": [1]}, "b": {"n": [1]}, "c": [{"n": [1]}, {"n": [1]}],
    }  # fmt: skip


BOMB = "a: &a [1,1,1,1,1,1,1,1,1]\n" + "".join(
    f"{chr(98 + i)}: &{chr(98 + i)} [{','.join([f'*{chr(97 + i)}'] * 9)}]\n" for i in range(9)
)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb:\n  c: 1\n  c: 2", "x.yaml:4: duplicate key 'c', first on line 3"),
        ("a: 1\n\na: 2", "x.yaml:3: duplicate key 'a', first on line 1"),
        ("a: 1\ngold: {{ answer }}", "x.yaml:2: a key must be text; put it in quotes"),
        ("a: 1\n{{ x }}: 2", "x.yaml:2: a key must be text"),
        ("? [a]\n: b", "x.yaml:1: a key must be text"),
        ("1: a", "x.yaml:1: a key must be text"),
        ("true: a", "x.yaml:1: a key must be text"),
        ("a: 1\nb: c: d", "x.yaml:2: YAML: mapping values are not allowed"),
        ("a:\n\t- b", "x.yaml:2: YAML: found character that cannot start any token; indent with"),
        ("a: 'x\n", "x.yaml:2: YAML: found unexpected end of stream"),
        ("a: [1, 2\nb: 3", "x.yaml:2: YAML: "),
        ("a: 1\nb: !!python/object:os.system {}", "x.yaml:2: the tag "),
        ("a: !!str 5", "x.yaml:1: the tag tag:yaml.org,2002:str is not allowed"),
        ("a: !thing 5", "x.yaml:1: the tag !thing is not allowed"),
        ("a: 1\n---\nb: 2", "x.yaml:2: a second YAML document"),
        ("a: &a [*a]", "x.yaml:1: the alias *a names nothing that is complete"),
        ("a: *b", "x.yaml:1: the alias *b names nothing"),
        ("", "x.yaml: holds no mapping"),
        ("# only a comment", "x.yaml: holds no mapping"),
        ("- a", "x.yaml: holds no mapping"),
        ("text", "x.yaml: holds no mapping"),
        ("a: \0", "x.yaml: YAML: "),
        (b"a: \xff", "x.yaml: is no UTF-8 text"),
        ("a: " + "[" * 100_000, "x.yaml:1: nested deeper than 50"),
        ("a: " + "{b: " * 1_000, "x.yaml:1: nested deeper than 50"),
        (BOMB, "x.yaml: holds more than 50000 values"),
        ("a: 1" + "\n#" * MAX_BYTES, "x.yaml: is larger than 256 KiB"),
    ],
)
def test_a_fault_names_file_and_line(parse, text, message):
    with pytest.raises(TaskError) as caught:
        parse(text)
    assert str(caught.value).startswith(message)


def test_a_missing_file_is_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(TaskError, match=r"^nowhere\.yaml: cannot be read: No such file"):
        read(Path("nowhere.yaml"))


def test_a_byte_order_mark_is_no_part_of_the_first_key(parse):
    assert parse(b"\xef\xbb\xbfa: 1").data == {"a": 1}


@given(st.text(max_size=60))
def test_no_text_raises_anything_but_a_task_error(tmp_path_factory, text):
    path = tmp_path_factory.mktemp("fuzz") / "x.yaml"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    try:
        outcome = str(read(path).place(()))
    except TaskError as error:
        outcome = str(error)
    assert "x.yaml" in outcome


def test_paths_are_shown_relative_to_the_current_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert shown(tmp_path / "a" / "b.yaml") == str(Path("a/b.yaml"))
    assert shown(tmp_path.parent / "c.yaml") == str(tmp_path.parent / "c.yaml")
