"""Whether it is safe to proceed, as somebody has labelled each image."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from vlm_eval.core.errors import DataError
from vlm_eval.core.hashing import digest_bytes
from vlm_eval.data.cells import needed_text
from vlm_eval.data.tables import open_file

FILES = ("safety_labels.csv", "safety_labels.jsonl")
"""Names under which a data folder may hold its labels."""
WORDS = ("safe", "unsafe")


@dataclass(frozen=True)
class SafetyLabels:
    """Labels of a file.

    Attributes
    ----------
    labels
        ``safe`` or ``unsafe`` by image id; an image on which annotators are tied has none.
    digest
        SHA-256 of the file.
    file
        Its name.
    """

    labels: Mapping[str, str]
    digest: str
    file: str


def read_safety_labels(path: Path) -> SafetyLabels:
    """Return the labels of a ``.csv`` or ``.jsonl`` file.

    Its columns are ``image_id`` (``frankfurt_000000_000294``), ``label`` (``safe`` or ``unsafe``)
    and, where several people labelled one image, ``annotator``; the majority decides.

    Raises
    ------
    DataError
        If it cannot be read, a column is missing, or a label is neither; names the line.
    """
    table = open_file(path)
    for column in ("image_id", "label"):
        if column not in table.columns:
            hint = "the columns are image_id, label and, if wanted, annotator"
            raise DataError(f"no column {column!r}", where=str(path), hint=hint)
    votes: dict[str, Counter[str]] = {}
    voted: set[tuple[str, str]] = set()
    for row in range(len(table)):
        image = needed_text(table, row, "image_id").strip()
        label = needed_text(table, row, "label").strip().lower()
        if label not in WORDS:
            where = table.place(row, "label")
            raise DataError(f"{label!r} is no label", where=where, hint="write safe or unsafe")
        voter = (image, str(table.cell(row, "annotator") or ""))
        if voter in voted:
            raise DataError(
                f"{image!r} is labelled twice",
                where=table.place(row),
                hint="keep one line an image, or one an image and annotator",
            )
        voted.add(voter)
        votes.setdefault(image, Counter())[label] += 1
    return SafetyLabels(_majority(votes), digest_bytes(path.read_bytes()), path.name)


def _majority(votes: Mapping[str, Counter[str]]) -> dict[str, str]:
    return {
        image: max(WORDS, key=lambda word: count[word])
        for image, count in votes.items()
        if count["safe"] != count["unsafe"]
    }
