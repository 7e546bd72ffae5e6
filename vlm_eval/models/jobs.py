"""What is computed together: rows on their own, and rows that share a prefix.

A *job* is a list of rows that begin with the same tokens and images. Those tokens, the *prefix*,
are computed once and what follows them, the *tails*, once a row. A row that shares nothing is a job
by itself, without a prefix.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from vlm_eval.models.inputs import Row


@dataclass(frozen=True, eq=False)
class Job:
    """Rows that are computed together.

    Attributes
    ----------
    rows
        One or more; with a prefix two or more.
    prefix
        How many leading tokens all rows share and are computed once; 0 for a row by itself.
    """

    rows: tuple[Row, ...]
    prefix: int = 0

    @cached_property
    def tokens(self) -> int:
        """How many tokens the model is fed as a tree: prefix, and what is new in each tail."""
        return self.prefix + sum(self.new_tokens)

    @cached_property
    def new_tokens(self) -> tuple[int, ...]:
        """How many tokens each row's tail adds to that before it: options follow one prompt."""
        tails = [row.tokens.ids[self.prefix :].tolist() for row in self.rows]
        return tuple(
            len(tail) - common([before, tail])
            for before, tail in zip([[], *tails], tails, strict=False)
        )

    def halves(self) -> tuple[Job, Job]:
        """Return the job in two, of two rows or more."""
        half = len(self.rows) // 2
        return Job(self.rows[:half], self.prefix), Job(self.rows[half:], self.prefix)


def alone(rows: Sequence[Row]) -> list[Job]:
    """Return each row as a job by itself."""
    return [Job((row,)) for row in rows]


def shared(rows: Sequence[Row], *, ragged: bool = True, equal: bool = False) -> list[Job]:
    """Return the rows, which show the same images, in jobs that share what can be shared.

    Rows belong together if they agree up to their last image token, so that no image is computed
    twice. Their prefix ends before the first position from which a row is read.

    Parameters
    ----------
    rows
        Rows with the same images.
    ragged
        Whether the rows of a job may differ in length.
    equal
        Whether the rows of a job must agree up to where they are read.
    """
    alike: dict[tuple[bytes, int], list[Row]] = {}
    for row in rows:
        same = row.encoded.start - 1 if equal else row.encoded.covered
        head = row.tokens.ids[:same].numpy().tobytes()
        alike.setdefault((head, 0 if ragged else len(row.tokens)), []).append(row)
    jobs: list[Job] = []
    for members in alike.values():
        prefix = _prefix(members)
        if len(members) > 1 and prefix >= max(1, members[0].encoded.covered):
            jobs.append(Job(tuple(members), prefix))
        else:
            jobs += alone(members)
    return jobs


def _prefix(rows: Sequence[Row]) -> int:
    """Return how many leading tokens the rows share, none of which is read from."""
    limit = min(row.encoded.start for row in rows) - 1
    return common([row.tokens.ids[:limit].tolist() for row in rows])


def common(sequences: Sequence[list[int]]) -> int:
    """Return how many leading tokens some sequences share."""
    first, last = min(sequences), max(sequences)  # what these two share, all do
    length = min(map(len, sequences))
    return next((i for i in range(length) if first[i] != last[i]), length)
