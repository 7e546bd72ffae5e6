"""Every fault of the user's making: one clear line, status 2, nothing written."""

from __future__ import annotations

import json
from pathlib import Path

import pytest


@pytest.fixture
def refused(cli, tmp_path):
    """Return what runs a command that must be refused, and returns its one line."""

    def run(*arguments: object, words: list[str]) -> str:
        folder = tmp_path / "out"
        done = cli(*arguments, "--output_path", folder)
        assert done.status == 2, done
        assert done.out == ""
        assert done.err.startswith("vlm_eval: error: ")
        assert done.err.count("\n") == 1
        assert done.err.endswith("\n")
        assert "Traceback" not in done.err
        assert not folder.exists()
        for word in words:
            assert word in done.err, done.err
        return done.err

    return run


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (["--tasks", "toyy"], ["unknown task 'toyy'", "did you mean toy?"]),
        (["--tasks", "zzz*"], ["zzz*"]),
        (["--model", "mokc"], ["unknown model 'mokc'", "mock"]),
        (["--model", "mock:frist"], ["frist", "did you mean first?"]),
        (["--model", "./no/such/folder"], ["./no/such/folder"]),
        (["--model_args", "sede=3"], ["sede", "did you mean seed?"]),
        (["--limit", "0"], ["--limit 0"]),
        (["--limit", "few"], ["--limit", "few"]),
        (["--batch_size", "0"], ["batch size", "0"]),
        (["--gen_kwargs", "max_tokens=3"], ["max_tokens", "max_new_tokens"]),
        (["--gen_kwargs", "top_p=2"], ["top_p"]),
        (["--gen_kwargs", "temperature=Infinity"], ["temperature", "finite"]),
        (["--gen_kwargs", "stop="], ["stop"]),
        (["--data", "toy=hub:"], ["hub:", "OWNER/NAME"]),
        (["--tasks", "TOY"], ["unknown task 'TOY'", "did you mean toy?"]),
        (["--gen_kwargs", "hot"], ["--gen_kwargs 'hot'"]),
        (["--gen_kwargs", "{1}"], ["--gen_kwargs is no JSON"]),
        (["--data", "toy"], ["TASK=PATH"]),
        (["--data", "mis=x"], ["'mis', which is not among the tasks"]),
        (["--data", "toyy=x"], ["toyy", "did you mean toy?"]),
        (["--data", "toy=x"], ["--data toy=x", "path"]),
        (["--output", "guess"], ["guess"]),
        (["--include_path", "nowhere"], ["nowhere"]),
        (["--max_failures", "2"], ["--max_failures 2.0"]),
        (["--retry_failures"], ["--resume"]),
        (["--taks", "toy"], ["--taks", "--tasks"]),
    ],
)
def test_arguments(refused, toys, change, words) -> None:
    refused(
        "--model", "mock", "--tasks", "toy", "--include_path", toys, *change, words=words
    )  # fmt: skip


def test_resume_needs_a_folder(cli, toys) -> None:
    done = cli("--model", "mock", "--tasks", "toy", "--include_path", toys, "--resume")
    assert done.status == 2
    assert "--output_path" in done.err


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("name: yes_no", "name: yes_on", ["unknown parser 'yes_on'", "did you mean yes_no?"]),
        ("[accuracy,", "[acuracy,", ["unknown metric 'acuracy'", "did you mean accuracy"]),
        ("factor: wording}", "factor: wordings}", ["'wordings'", "did you mean wording?"]),
        (
            "chance: 0.5",
            "image: {transform: [{name: gausian_blur}]}",
            ["unknown transform 'gausian_blur'", "did you mean gaussian_blur"],
        ),
        ("source: scenes", "source: scene", ["unknown data source 'scene'", "scenes"]),
        ("count: 5", "cuont: 5", ["'cuont'", "did you mean count?"]),
        ("prompt:", "promt:", ["unknown key 'promt'", "did you mean prompt?"]),
        ("slices: [present]", "slices: [presnt]", ["'presnt'", "did you mean present?"]),
        ("factors: {", "factors: {object: [a, b], ", ["field 'object' too", "rename the factor"]),
        ("slices:", "slice:", ["unknown key 'slice'", "did you mean slices?"]),
        ("title: A toy task", "title: [A toy task", ["toy.yaml"]),
        ("title: A toy task", "title: A\ntitle: B", ["toy.yaml:", "title"]),
        ("is there a {{ object }}?", "is there a {{ obect }}?", ["'obect'", "object"]),
        ('"{{ present }}"', '"{{ presence }}"', ["'presence'", "did you mean present"]),
        ('"{{ present }}"', '"Maybe"', ["'Maybe'", "'Yes', 'No'"]),
        ('["Yes", "No"]', '["Yes", ""]', ["output", "choice is empty"]),
        ('["Yes", "No"]', '["Yes", "Yes"]', ["output", "distinct"]),
        ('["Yes", "No"]', '["Yes", "{{ present }}"]', ["'Yes'", "twice"]),
        ('["Yes", "No"]', '["Yes", "{{ article[1:] }}"]', ["option is empty"]),
        ("image: image", "image: picture", ["'picture' is no image field"]),
        ('"{{ scene_id }}-{{ object', '"{{ scene_id[:0] }}x{{ object', ["two samples have the id"]),
        ("version: 1.0.0", "version: 1", ["version"]),
    ],
)
def test_task_files(refused, toys, old, new, words) -> None:
    path = toys / "toy.yaml"
    text = path.read_text()
    assert text.count(old) >= 1
    path.write_text(text.replace(old, new))
    line = refused(
        "--model", "mock", "--tasks", "toy", "--include_path", toys, words=words
    )  # fmt: skip
    assert "toy" in line


def test_a_late_row_is_found_before_anything_is_asked(refused, toys) -> None:
    """The last sample's gold answer is wrong; the model must not be asked about the others."""
    path = toys / "toy.yaml"
    gold = "{{ 'Maybe' if scene_id == 'street-0004' else present }}"
    path.write_text(path.read_text().replace('"{{ present }}"', f'"{gold}"'))
    words = ["'Maybe'", "street-0004"]
    refused("--model", "mock", "--tasks", "toy", "--include_path", toys, words=words)


def _edit(folder: Path, **changes: object) -> None:
    """Change the second pair; None removes the column from all."""
    path = folder / "metadata.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    for name, value in changes.items():
        if value is None:
            for row in rows:
                row.pop(name)
        else:
            rows[1][name] = value
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"image_0": "images/none.png"}, ["images/none.png", "metadata.jsonl"]),
        ({"image_0": "../outside.png"}, ["../outside.png", "leaves"]),
        ({"image_0": "/etc/hostname"}, ["/etc/hostname"]),
        ({"caption_1": None}, ["caption_1"]),
        ({"image_1": None}, ["image_1"]),
        ({"caption_1": ""}, ["caption_1", "empty"]),
        ({"caption_1": "a blue page"}, ["a blue page"]),
        ({"id": "p0"}, ["p0"]),
    ],
)
def test_data(refused, pairs, change, words) -> None:
    _edit(pairs, **change)
    (pairs.parent / "outside.png").write_bytes((pairs / "images" / "red.png").read_bytes())
    refused("--model", "mock", "--tasks", "mis", "--data", f"mis={pairs}", words=words)


@pytest.mark.parametrize("damage", ["truncated", "text", "empty"])
def test_broken_images(refused, pairs, damage) -> None:
    path = pairs / "images" / "blue.png"
    whole = path.read_bytes()
    path.write_bytes(
        {"truncated": whole[: len(whole) // 2], "text": b"no image", "empty": b""}[damage]
    )
    refused("--model", "mock", "--tasks", "mis", "--data", f"mis={pairs}", words=["blue.png"])


def test_a_link_cannot_leave_the_data_folder(refused, pairs) -> None:
    inside, outside = pairs / "images" / "blue.png", pairs.parent / "outside.png"
    inside.rename(outside)
    inside.symlink_to(outside)
    refused("--model", "mock", "--tasks", "mis", "--data", f"mis={pairs}", words=["leaves"])


def test_a_data_folder_that_is_not_there(refused, tmp_path) -> None:
    refused("--model", "mock", "--tasks", "mis", "--data", f"mis={tmp_path / 'no'}", words=["no"])


def test_a_folder_that_holds_another_run(cli, toys, tmp_path) -> None:
    folder = tmp_path / "out"
    common = ("--model", "mock", "--tasks", "toy", "--include_path", toys, "--output_path", folder)
    assert cli(*common).status == 0
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    done = cli(*common)
    assert done.status == 2
    assert done.err.count("\n") == 1
    assert "holds another run" in done.err
    assert "--resume" in done.err
    assert "--output_path" in done.err
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("resume", [[], ["--resume"]])
def test_a_folder_that_holds_something_else(cli, toys, tmp_path, resume) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.tex").write_text("x")
    done = cli(
        "--model", "mock", "--tasks", "toy", "--include_path", toys,
        "--output_path", tmp_path / "out", *resume,
    )  # fmt: skip
    assert done.status == 2
    assert "is not empty and holds no run" in done.err
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["thesis.tex"]


def test_an_output_path_below_a_file(cli, toys, tmp_path) -> None:
    (tmp_path / "file").write_text("x")
    done = cli(
        "--model", "mock", "--tasks", "toy", "--include_path", toys,
        "--output_path", tmp_path / "file" / "run",
    )  # fmt: skip
    assert done.status == 2
    assert "--output_path" in done.err


@pytest.mark.parametrize(
    "config",
    [
        {"model_type": "gpt2", "architectures": ["GPT2LMHeadModel"], "n_layer": 1},
        {"model_type": "nonsense"},
        None,
    ],
)
def test_a_checkpoint_that_is_no_vision_language_model(refused, toys, tmp_path, config) -> None:
    checkpoint = tmp_path / "checkpoint"
    checkpoint.mkdir()
    if config is not None:
        (checkpoint / "config.json").write_text(json.dumps(config))
    refused(
        "--model", checkpoint, "--tasks", "toy", "--include_path", toys, words=["checkpoint"]
    )  # fmt: skip


@pytest.mark.parametrize("name", ["nowhere", "empty", "damaged"])
def test_score_of_what_is_no_run(cli, tmp_path, name) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / "run.json").write_text('{"model": ')
    done = cli("score", tmp_path / name)
    assert done.status == 2
    assert "run.json" in done.err
    assert done.err.count("\n") == 1


def test_score_when_a_task_does_not_load_any_more(cli, toys, tmp_path) -> None:
    folder = tmp_path / "out"
    common = ("--model", "mock", "--tasks", "toy", "--include_path", toys, "--output_path", folder)
    assert cli(*common).status == 0
    text = (folder / "run.json").read_text()
    (folder / "run.json").write_text(text.replace('"yes_no"', '"their_parser"'))
    before = (folder / "results.json").read_bytes()
    done = cli("score", folder)
    assert done.status == 2
    assert "their_parser" in done.err
    assert (folder / "results.json").read_bytes() == before
