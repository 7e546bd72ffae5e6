import pytest
from PIL import Image

from vlm_eval.cli.main import main
from vlm_eval.cli.sheet import TILE, contact_sheet


@pytest.fixture
def show(write, capsys):
    def show(*arguments, changes=()):
        folder = write(*changes).parent
        status = main(["show", *arguments, "--include_path", str(folder)])
        return status, capsys.readouterr()

    return show


def test_every_condition_of_a_sample_is_rendered(show, folder):
    status, captured = show("toy", "--out", "out")
    assert status == 0
    text = (folder / "out" / "prompts.txt").read_text()
    for part in (
        "toy 1.2.3: A toy",
        "sample s-a, cluster red, 5 conditions",
        "synthetic: a toy",
        "--- blur=1,ask=direct ---",
        "<image>Is it rose? Please.",
        "[images: #1] [scored: Yes | No] [gold: Yes]",
        "[system] Be brief.\n[user] Which word is it?<image>",
        "[generated: rose | stone] [gold: rose]",
    ):
        assert part in text
        assert part in captured.out
    assert text.count("\n--- ") == 5
    assert "out/prompts.txt, out/contact-sheet.png" in captured.out


def test_the_contact_sheet_shows_each_distinct_image_once(show, folder):
    show("toy", "--out", "out")
    sheet = Image.open(folder / "out" / "contact-sheet.png")
    # blur 1, blur 5, and the reverse question's image without a transform.
    assert sheet.width // TILE == 3
    reds = [sheet.getpixel((16 + i * (TILE + 16) + 20, 16 + 15)) for i in range(3)]
    assert reds == [(255, 0, 0)] * 3
    numbers = (folder / "out" / "prompts.txt").read_text()
    assert "[images: #3]" in numbers
    assert "[images: #4]" not in numbers


@pytest.mark.parametrize(
    ("wanted", "found"), [("s-c", "s-c"), ("2", "s-b"), ("3", "s-c"), (None, "s-a")]
)
def test_a_sample_is_chosen_by_id_or_number(show, wanted, found):
    status, captured = show("toy", "--out", "o", *(["--sample", wanted] if wanted else []))
    assert status == 0
    assert f"sample {found}, cluster" in captured.out


def test_an_id_that_looks_like_a_number_is_an_id(show):
    changes = [('sample_id: "s-{{ id }}"', "sample_id: \"{{ {'a': 3, 'b': 2, 'c': 1}[id] }}\"")]
    _, captured = show("toy", "--out", "o", "--sample", "3", changes=changes)
    assert "sample 3, cluster red" in captured.out
    assert "Is it rose?" in captured.out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["toyy"], "unknown task 'toyy'; did you mean toy"),
        (["vlm-fix"], "vlm-fix is a group, not a task; it holds vlm-fix-inverse"),
        (["toy", "--sample", "s-d"], "task toy has no sample 's-d'; did you mean s-"),
        (["toy", "--sample", "4"], "task toy has no sample '4'; "),
        (["toy", "--output", "chose"], "argument --output: invalid choice: 'chose'"),
    ],
)
def test_faults_write_nothing(show, folder, arguments, message):
    status, captured = show(*arguments, "--out", "out")
    assert status == 2
    assert captured.err.startswith(f"vlm_eval: error: {message}")
    assert not (folder / "out").exists()


def test_a_broken_image_writes_nothing(show, folder):
    changes = [
        (
            'kind: red, image: "colour:red", word: rose',
            'kind: red, image: "colour:broken", word: rose',
        )
    ]
    status, captured = show("toy", "--out", "out", changes=changes)
    assert status == 2
    assert captured.err == "vlm_eval: error: broken: cannot be decoded\n"
    assert not (folder / "out").exists()


def test_output_data_and_subtasks(show):
    _, captured = show("toy-blue", "--output", "generate", "--out", "o")
    assert "sample s-c" in captured.out
    assert "[scored" not in captured.out


def test_prompts_cannot_act_on_the_terminal(show, folder):
    changes = [("Is it {{ word }}?", "Is it \\e[2J{{ word }}?\\nReally?")]
    _, captured = show("toy", "--out", "out", changes=changes)
    assert "\x1b" not in captured.out
    assert "Is it \\x1b[2Jrose?\nReally?" in captured.out
    assert "\x1b[2J" in (folder / "out" / "prompts.txt").read_text(), "the file is exact"


def test_without_out_the_folder_is_named_after_the_task(show, folder):
    show("toy")
    assert sorted(p.name for p in (folder / "show" / "toy").iterdir()) == [
        "contact-sheet.png", "prompts.txt",
    ]  # fmt: skip


def test_a_task_without_images_has_no_contact_sheet(tmp_path, capsys):
    out = tmp_path / "out"
    assert main(["show", "vlm-fix-text-only", "--out", str(out)]) == 0
    assert [p.name for p in out.iterdir()] == ["prompts.txt"]
    assert "[images: none]" in capsys.readouterr().out


@pytest.mark.parametrize("count", [1, 3, 4, 5, 9])
def test_a_contact_sheet_has_a_tile_for_each_picture(count):
    colours = [(20 * i, 255 - 20 * i, 7) for i in range(count)]
    pictures = [(f"picture {i}", Image.new("RGB", (900, 900), c)) for i, c in enumerate(colours)]
    sheet = contact_sheet(pictures)
    height = (sheet.height - 16) // -(-count // 4)
    found = [
        sheet.getpixel((16 + (i % 4) * (TILE + 16) + 100, 16 + (i // 4) * height + 100))
        for i in range(count)
    ]
    assert found == colours
    assert all(picture.size == (900, 900) for _, picture in pictures), "the originals stay"


def test_a_question_that_depends_on_an_answer_is_shown_as_if_it_were_right(write, folder, capsys):
    polite = (
        "cases:\n",
        "follows: {when: \"ask == 'polite'\", condition: {ask: direct}}\ncases:\n",
    )
    write(
        polite, ("\" Please.\"", "\" Not {{ first_answer }}.\""),
        ("where: ", "applies: \"ask != 'reverse' or id == 'a'\"\nwhere: "),
    )  # fmt: skip
    assert main(["show", "toy", "--include_path", str(folder)]) == 0
    out = capsys.readouterr().out
    assert "Is it rose? Not Yes." in out
    assert "[asked after blur=1,ask=direct; shown as if its answer had been: Yes]" in out
    assert out.count("shown as if") == 1
    assert "ask=reverse" in out
    assert main(["show", "toy", "--sample", "s-b", "--include_path", str(folder)]) == 0
    assert "ask=reverse" not in capsys.readouterr().out, "it does not apply to this sample"
