from __future__ import annotations

from typing import Any

import torch

from vlm_eval.models.inputs import Encoded, Row, Tokens
from vlm_eval.models.jobs import Job, alone, shared


def tokens(ids: list[int]) -> Tokens:
    return Tokens(torch.tensor(ids), {})


def row(ids: list[int], *, start: int, covered: int) -> Row:
    nothing: Any = None
    encoded = Encoded(nothing, nothing, tokens(ids[:start]), (), start, covered)
    return Row(encoded, tokens(ids))


def test_rows_that_agree_on_their_images_share_what_they_agree_on() -> None:
    rows = [row([1, 2, 3, 4, n, 9], start=6, covered=3) for n in (5, 6, 7)]
    (job,) = shared(rows)
    assert (job.prefix, job.rows) == (4, tuple(rows))
    assert job.tokens == 4 + 3 * 2


def test_what_options_of_one_prompt_share_is_fed_once() -> None:
    """Two prompts of two options each: 2 tokens of the image, then 5 6 (8 | 9) and 7 (8 | 9)."""
    prompts = (([1, 2, 5, 6], 4), ([1, 2, 7], 3))
    rows = [row([*ids, o], start=start, covered=2) for ids, start in prompts for o in (8, 9)]
    (job,) = shared(rows)
    assert job.prefix == 2
    assert job.new_tokens == (3, 1, 2, 1)
    assert job.tokens == 2 + 7


def test_what_is_read_from_is_not_shared() -> None:
    """The log-probability of the token after the prompt is read at the prompt's last token."""
    (job,) = shared([row([1, 2, 3, 4], start=4, covered=2) for _ in range(2)])
    assert job.prefix == 3


def test_a_shared_prefix_holds_every_image() -> None:
    text_first = [row([1, n, 3, 3, 4], start=5, covered=4) for n in (7, 8)]
    assert [job.prefix for job in shared(text_first)] == [0, 0]


def test_prompts_that_differ_before_the_image_share_options_only() -> None:
    rows = [row([1, n, 3, 4, o], start=4, covered=3) for n in (7, 8) for o in (5, 6)]
    assert [(job.prefix, job.rows) for job in shared(rows)] == [
        (3, (rows[0], rows[1])),
        (3, (rows[2], rows[3])),
    ]


def test_rows_of_one_length_where_padding_is_not_allowed() -> None:
    rows = [row([1, 2, 3, *range(4, 4 + n)], start=3 + n, covered=2) for n in (2, 3, 2)]
    assert len(shared(rows)) == 1
    assert [len(job.rows) for job in shared(rows, ragged=False)] == [2, 1]


def test_a_row_alone_has_no_prefix() -> None:
    one = row([1, 2, 3], start=3, covered=1)
    assert [job.prefix for job in [*shared([one]), *alone([one])]] == [0, 0]


def test_halves_keep_all_rows_and_the_prefix() -> None:
    job = Job(tuple(row([1, 2, n], start=3, covered=1) for n in range(5)), 2)
    one, other = job.halves()
    assert (*one.rows, *other.rows) == job.rows
    assert one.prefix == other.prefix == 2
