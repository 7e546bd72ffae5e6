"""Records survive what kills a run: a torn line, a full disk, a second process."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vlm_eval.core.errors import RunError
from vlm_eval.runner.records import Record, RecordIndex, RecordWriter, record_key


def make(sample: str = "a", request: str = "r1", **changes: object) -> Record:
    record = Record(
        request_hash=request, task="t", sample_id=sample, cluster="c", condition={"rule": "std"},
        fields={"game": "chess"}, gold="X", prompt="<image>\nWho?", images=("k",),
        choices=("X", "O"), outcome="answer", logprobs=(-0.5, -1.5), token_counts=(1, 1),
        finish="scored", answer="X", parser_rule="argmax", scores={"accuracy": 1.0}, seconds=0.25,
    )  # fmt: skip
    return replace(record, **changes)


def failed(sample: str = "a", request: str = "r1") -> Record:
    return make(
        sample, request, outcome="failure", logprobs=None, token_counts=None, answer=None,
        failure={"kind": "oom", "message": "too big", "attempts": 3}, scores={},
    )  # fmt: skip


def write(path: Path, *records: Record) -> None:
    with RecordWriter(path) as writer:
        for record in records:
            writer.append(record)


def test_a_line_of_before_there_were_image_sizes_is_read() -> None:
    values = json.loads(make(image_sizes=((448, 336), None)).to_line())
    assert values["image_sizes"] == [[448, 336], None]
    del values["image_sizes"]
    assert Record.from_line(json.dumps(values).encode()).image_sizes is None


def test_a_line_has_every_field_that_the_issue_names() -> None:
    line = json.loads(make().to_line())
    assert {
        "request_hash", "task", "sample_id", "cluster", "condition", "prompt", "choices",
        "logprobs", "token_counts", "raw", "answer", "parser_rule", "scores", "outcome", "seconds",
    } <= line.keys()  # fmt: skip
    assert line["logprobs"] == [-0.5, -1.5]
    assert line["outcome"] == "answer"
    assert line["failure"] is None


@given(
    raw=st.text(st.characters(), max_size=40) | st.just("half a pair \ud800, line\u2028, \x1b"),
    logprob=st.floats(allow_nan=False, allow_infinity=False),
)
def test_a_record_is_the_same_after_writing_and_reading(raw: str, logprob: float) -> None:
    record = make(raw=raw, logprobs=(logprob, -1.0))
    line = record.to_line()
    assert line.count(b"\n") == 1
    assert Record.from_line(line) == record


def test_the_key_ignores_the_order_of_factors_and_nothing_else() -> None:
    key = record_key("t", "a", {"rule": "std", "blur": 5}, "r")
    assert key == record_key("t", "a", {"blur": 5, "rule": "std"}, "r")
    others = [
        record_key("u", "a", {"rule": "std", "blur": 5}, "r"),
        record_key("t", "b", {"rule": "std", "blur": 5}, "r"),
        record_key("t", "a", {"rule": "std", "blur": "5"}, "r"),
        record_key("t", "a", {"rule": "std", "blur": 5}, "s"),
    ]
    assert len({key, *others}) == 5


def test_a_torn_last_line_is_counted_and_then_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "rank-000.jsonl"
    write(path, make("a", "r1"), make("b", "r2"))
    whole = path.read_bytes()
    torn = make("c", "r3").to_line()
    for cut in (1, 10, len(torn) - 1):  # the last: all but the newline
        path.write_bytes(whole + torn[:cut])
        index = RecordIndex(tmp_path)
        assert (index.count(), index.torn) == (2, 1)
        write(path, make("d", "r4"))
        index = RecordIndex(tmp_path)
        assert (index.count(), index.torn) == (3, 0)
        assert path.read_bytes() == whole + make("d", "r4").to_line()


def test_a_file_that_is_one_long_torn_line_is_emptied(tmp_path: Path) -> None:
    path = tmp_path / "rank-000.jsonl"
    path.write_bytes(b"x" * 200_000)
    write(path, make())
    assert path.read_bytes() == make().to_line()


def test_the_tail_is_found_behind_a_long_torn_line(tmp_path: Path) -> None:
    path = tmp_path / "rank-000.jsonl"
    path.write_bytes(make().to_line() + b"x" * 200_000)
    write(path, make("b", "r2"))
    assert [r.sample_id for r in RecordIndex(tmp_path)] == ["a", "b"]


def test_a_damaged_line_in_the_middle_is_skipped_and_counted(tmp_path: Path) -> None:
    path = tmp_path / "rank-000.jsonl"
    path.write_bytes(make("a", "r1").to_line() + b"\0\0\0\n[1]\n{}\n" + make("b", "r2").to_line())
    index = RecordIndex(tmp_path)
    assert [r.sample_id for r in index] == ["a", "b"]
    assert index.torn == 3


def test_the_last_record_of_a_key_wins(tmp_path: Path) -> None:
    write(tmp_path / "rank-000.jsonl", make(answer="X"), make("b", "r2"), make(answer="O"))
    index = RecordIndex(tmp_path)
    assert [(r.sample_id, r.answer) for r in index] == [("b", "X"), ("a", "O")]


@pytest.mark.parametrize("first", ["rank-000.jsonl", "rank-001.jsonl"])
def test_an_answer_is_never_replaced_by_a_failure(tmp_path: Path, first: str) -> None:
    second = {"rank-000.jsonl": "rank-001.jsonl", "rank-001.jsonl": "rank-000.jsonl"}[first]
    write(tmp_path / first, make())
    write(tmp_path / second, failed())
    index = RecordIndex(tmp_path)
    (record,) = index
    assert record.outcome == "answer"
    asked = index.asked("r1", answered=True)
    assert asked is not None
    assert asked.outcome == "answer"


def test_the_index_tells_failures_from_answers(tmp_path: Path) -> None:
    write(tmp_path / "rank-000.jsonl", failed())
    index = RecordIndex(tmp_path)
    key = failed().key
    assert index.has(key)
    assert not index.has(key, answered=True)
    assert (index.count(), index.count(answered=True)) == (1, 0)
    assert index.asked("r1") == failed()
    assert index.asked("r1", answered=True) is None
    assert index.asked("other") is None


def test_a_record_added_while_running_can_be_looked_up(tmp_path: Path) -> None:
    index = RecordIndex(tmp_path / "records")
    with RecordWriter(tmp_path / "records" / "rank-000.jsonl") as writer:
        for record in (make("a", "r1"), make("b", "r2")):
            index.add(record, writer.append(record))
        assert index.asked("r2") == make("b", "r2")
        assert index.has(make("a", "r1").key)


def test_a_second_writer_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "rank-000.jsonl"
    with RecordWriter(path), pytest.raises(RunError, match="another process is writing"):
        RecordWriter(path)
    write(path, make())  # free again


def test_a_full_disk_is_an_error_and_keeps_what_was_written(tmp_path: Path) -> None:
    """A limit on the file's size is what a full disk is to ``write``: a part, then an error."""
    path = tmp_path / "rank-000.jsonl"
    size = len(make("0000").to_line())
    limit = 10 * size + size // 2
    code = textwrap.dedent(f"""
        import resource
        from dataclasses import replace
        from pathlib import Path
        from vlm_eval.core.errors import RunError
        from vlm_eval.runner.records import Record, RecordWriter
        record = Record.from_line({make("0000").to_line()!r})
        resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, resource.RLIM_INFINITY))
        try:
            with RecordWriter(Path({str(path)!r})) as writer:
                for number in range(100):
                    writer.append(replace(record, sample_id=f"{{number:04}}"))
        except RunError as error:
            print(error)
    """)
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )  # fmt: skip
    assert "cannot be written" in done.stdout
    assert "--resume" in done.stdout
    index = RecordIndex(tmp_path)
    assert [r.sample_id for r in index] == [f"{n:04}" for n in range(10)]
    assert index.torn == 0


def test_an_error_of_write_becomes_a_run_error(tmp_path: Path) -> None:
    """``/dev/full`` says that there is no space, as a full disk does."""
    writer = RecordWriter(tmp_path / "rank-000.jsonl")
    writer.append(make())
    full = os.open("/dev/full", os.O_WRONLY)
    os.dup2(full, writer._fd)
    os.close(full)
    with pytest.raises(RunError, match="No space left on device"):
        writer.append(make("b", "r2"))
    assert RecordIndex(tmp_path).count() == 1


def test_a_killed_writer_loses_at_most_the_line_it_was_writing(tmp_path: Path) -> None:
    path = tmp_path / "rank-000.jsonl"
    code = textwrap.dedent(f"""
        from dataclasses import replace
        from pathlib import Path
        from vlm_eval.runner.records import Record, RecordWriter
        record = replace(Record.from_line({make().to_line()!r}), raw="x" * 50_000)
        with RecordWriter(Path({str(path)!r})) as writer:
            number = 0
            while True:
                writer.append(replace(record, sample_id=str(number)))
                print(number, flush=True)
                number += 1
    """)
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )  # fmt: skip
    assert process.stdout is not None
    for _ in range(20):
        process.stdout.readline()
    process.send_signal(signal.SIGKILL)
    said = [int(line) for line in process.stdout.read().split()]
    process.wait()
    index = RecordIndex(tmp_path)
    ids = [int(r.sample_id) for r in index]
    assert ids == list(range(len(ids)))
    assert len(ids) > max([19, *said])
    assert index.torn <= 1
    write(path, make("last", "r9"))
    assert RecordIndex(tmp_path).torn == 0


def test_an_unreadable_place_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="cannot be written"):
        RecordWriter(tmp_path / "file" / "rank-000.jsonl")
    (tmp_path / "rank-000.jsonl").mkdir()
    with pytest.raises(RunError, match="cannot be read"):
        RecordIndex(tmp_path)


@pytest.mark.parametrize(
    "change",
    [
        {"condition": [1]}, {"fields": 3}, {"logprobs": 3}, {"logprobs": ["a", "b"]},
        {"sample_id": None}, {"seconds": "x"}, {"scores": None}, {"choices": "XO"},
        {"outcome": "failure"}, {"failure": {"kind": "oom"}}, {"failure": 3}, {"prompt": 1},
        {"image_sizes": [3]}, {"image_sizes": [[3]]}, {"image_sizes": ["ab"]}, {"image_sizes": 3},
    ],
)  # fmt: skip
def test_a_line_of_other_kinds_is_no_record_and_stops_nothing(tmp_path: Path, change) -> None:
    line = json.dumps({**json.loads(make("a").to_line()), **change}).encode() + b"\n"
    (tmp_path / "rank-000.jsonl").write_bytes(line + make("b").to_line())
    index = RecordIndex(tmp_path)
    assert [record.sample_id for record in index] == ["b"]
    assert index.torn == 1


def test_a_task_s_records_are_found_in_any_order_of_the_files(tmp_path: Path) -> None:
    write(tmp_path / "rank-000.jsonl", make("a"), make("b", task="u"), make("c"))
    write(tmp_path / "rank-001.jsonl", make("d", task="u"), make("e"))
    index = RecordIndex(tmp_path)
    assert [record.sample_id for record in index.of_task("t")] == ["a", "c", "e"]
    assert [record.sample_id for record in index.of_task("u")] == ["b", "d"]
    assert list(index.of_task("v")) == []


def test_levels_that_python_takes_for_equal_have_keys_of_their_own() -> None:
    assert len({record_key("t", "a", {"n": level}, "r") for level in (1, 1.0, True, "1")}) == 4


def test_what_was_added_is_forgotten_unit_by_unit_but_not_what_was_found(tmp_path: Path) -> None:
    write(tmp_path / "rank-000.jsonl", make("a", "r1"))
    index = RecordIndex(tmp_path)
    first = make("b", "r2", fields={"first_answer": "X"})
    with RecordWriter(tmp_path / "rank-000.jsonl") as writer:
        for record in (make("a", "r1", answer="O"), first, failed("c", "r3"), make("d", "r4")):
            index.add(record, writer.append(record))
    index.forget({"r4"})
    assert not any(index.has(record.key) for record in (first, failed("c", "r3"), make("d", "r4")))
    assert index.asked("r2") is None
    assert index.asked("r3") is None
    assert index.asked("r4") == make("d", "r4"), "other units may ask this"
    index.forget(())
    assert index.asked("r4") == make("d", "r4"), "only what came since"
    assert RecordIndex(tmp_path).count() == 4, "nothing is lost on the disk"
