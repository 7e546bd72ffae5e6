"""Progress as lines and as a bar."""

from __future__ import annotations

import io

from vlm_eval.runner.progress import Bar, Lines, Silence, duration, make_progress


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_lines_have_rate_time_left_and_failures() -> None:
    file, clock = io.StringIO(), Clock()
    with Lines(file, clock) as progress:
        progress.start(1300, 100)
        for i in range(1200):
            clock.now += 0.1
            progress.advance(failed=i == 5)
    lines = file.getvalue().splitlines()
    assert lines[0] == "vlm_eval: 100 of 1,300 trials (8 %), 100 recorded before"
    assert len(lines) in {13, 14}  # one at the start, then every ten seconds of 120
    assert "10.0/s" in lines[1]
    assert "2 min left" in lines[1]
    assert "1 failed" in lines[1]
    assert lines[-1] == "vlm_eval: 1,300 of 1,300 trials (100 %), 10.0/s, 1 failed"


def test_nothing_to_do_is_no_division_by_zero() -> None:
    file = io.StringIO()
    with Lines(file, Clock()) as progress:
        progress.start(0, 0)
    assert file.getvalue() == "vlm_eval: 0 of 0 trials (0 %)\n"


def test_the_bar_counts() -> None:
    file = io.StringIO()
    with Bar(file) as progress:
        progress.advance(failed=False)  # before the start: nothing to show
        progress.start(3, 1)
        progress.advance(failed=False)
        progress.advance(failed=True)
    assert "3/3" in file.getvalue()
    assert "1 failed" in file.getvalue()


def test_what_suits_a_stream() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    assert isinstance(make_progress(quiet=False, file=io.StringIO()), Lines)
    assert isinstance(make_progress(quiet=False, file=Terminal()), Bar)
    assert type(make_progress(quiet=True, file=Terminal())) is Silence


def test_durations() -> None:
    assert [duration(s) for s in (0, 59, 90, 5000, 9000)] == [
        "0 s", "59 s", "2 min", "83 min", "2.5 h",
    ]  # fmt: skip
