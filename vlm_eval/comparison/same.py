"""What must be equal for two runs to be compared, and which field is not.

A difference between two models is one only if both were asked the same. Everything that decides
what was asked, and what counted as right, is therefore compared: first as the runs declare it in
``run.json``, then trial by trial as it was recorded.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from vlm_eval.core.errors import RunError
from vlm_eval.core.hashing import canonical_json
from vlm_eval.runner.records import Record
from vlm_eval.tasks.rendering import FIRST_ANSWER

SPEC_FIELDS = (
    "factors", "where", "applies", "follows", "sample_id", "cluster", "image", "prompt", "output",
    "gold", "parser", "scorer", "cases",
)  # fmt: skip
"""Keys of a task file that decide what is asked and what is right. Metrics, titles and where the
data lie do not; the data have a digest of their own."""

RECORD_FIELDS = ("cluster", "gold", "choices", "images", "prompt")


class Different(NamedTuple):
    """A field in which two runs differ, and its two values."""

    field: str
    a: Any
    b: Any


def differing(a: Mapping[str, Any], b: Mapping[str, Any], task: str) -> Iterator[Different]:
    """Yield what differs between two runs' declarations of a task.

    Parameters
    ----------
    a, b
        Contents of ``run.json``.
    task
        A task of both.
    """
    one, other = a["tasks"][task], b["tasks"][task]
    yield from _unequal("task version", one["version"], other["version"])
    yield from _unequal("seed", a["seed"], b["seed"])
    yield from _unequal("data digest", one["data"]["digest"], other["data"]["digest"])
    for key in SPEC_FIELDS:
        left, right = one["spec"].get(key), other["spec"].get(key)
        if key == "image" and left != right:
            transforms = [(side or {}).get("transform") for side in (left, right)]
            yield from _unequal("transforms (image.transform)", *transforms)
        yield from _unequal(key, left, right)
    yield from _unequal("limit", a["limit"], b["limit"])


def _unequal(field: str, a: Any, b: Any) -> Iterator[Different]:
    if canonical_json(a) != canonical_json(b):
        yield Different(field, a, b)


def check_declared(
    a: Mapping[str, Any], b: Mapping[str, Any], task: str, *, shared_samples: bool
) -> Different | None:
    """Refuse two runs that declare a task differently.

    Returns
    -------
    Different or None
        The two limits, if they differ and ``shared_samples`` allows it.

    Raises
    ------
    RunError
        Naming the first field that differs.
    """
    for found in differing(a, b, task):
        if found.field == "limit":
            if shared_samples:
                return found
            hint = "compare the samples that both have: --shared_samples"
        else:
            hint = "only runs that were asked the same can be compared"
        raise RunError(
            f"the runs differ in {found.field}: {short(found.a)} and {short(found.b)}",
            where=f"task {task}",
            hint=hint,
        )
    return None


def check_trial(a: Record, b: Record, *, requests: bool) -> None:
    """Refuse two records of one trial that were not asked the same, or have another right answer.

    What a trial that follows another asks may depend on the model's own answer; its prompt is not
    compared.

    Parameters
    ----------
    a, b
        Records of the same task, sample and condition.
    requests
        Whether the runs decode alike, so that their requests must be the same.

    Raises
    ------
    RunError
        Naming the field.
    """
    follows = FIRST_ANSWER in a.fields or FIRST_ANSWER in b.fields
    asked = a.request_hash and b.request_hash
    fields = [name for name in RECORD_FIELDS if name in ("cluster",) or (asked and not follows)]
    for name in fields:
        one, other = getattr(a, name), getattr(b, name)
        if one != other:
            raise _other_trial(a, name, one, other)
    if requests and asked and not follows and a.request_hash != b.request_hash:
        raise _other_trial(a, "request_hash", a.request_hash, b.request_hash)


def _other_trial(record: Record, name: str, one: Any, other: Any) -> RunError:
    condition = ", ".join(f"{factor}={level}" for factor, level in record.condition.items())
    known_as = {"images": "images (data or transforms)"}.get(name, name)
    return RunError(
        f"the runs differ in {known_as}: {short(one)} and {short(other)}",
        where=f"task {record.task}, sample {record.sample_id}, {condition}",
        hint="only runs that were asked the same can be compared",
    )


def short(value: Any) -> str:
    """Return a value as JSON of at most 60 characters."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else f"{text[:57]}..."
