"""The accepted answers of a sample, from the field that holds them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from vlm_eval.core.errors import TaskError, did_you_mean

Answers: TypeAlias = str | tuple[Any, ...] | None
"""A field's name, a list (as a template gives), or None: the gold answer alone."""


def accepted(answers: Answers, gold: str, fields: Mapping[str, Any]) -> list[str]:
    """Return the accepted answers as texts.

    An entry is a text, a number, or a mapping with the key ``answer``, as VQAv2 has them.

    Raises
    ------
    TaskError
        If there is no such field, or an entry is something else.
    """
    if answers is None:
        return [gold]
    found = fields.get(answers) if isinstance(answers, str) else answers
    if isinstance(answers, str) and answers not in fields:
        raise TaskError(
            f"a scorer asks for the field {answers!r}, which the sample does not have",
            hint=did_you_mean(answers, fields),
        )
    if found is None:
        return [gold]
    entries = found if isinstance(found, Sequence) and not isinstance(found, str) else [found]
    return [_text(entry) for entry in entries] or [gold]


def _text(entry: Any) -> str:
    answer = entry.get("answer") if isinstance(entry, Mapping) else entry
    if isinstance(answer, bool) or not isinstance(answer, str | int | float):
        raise TaskError(
            f"an accepted answer is {entry!r}", hint="give texts, or mappings with `answer`"
        )
    return str(answer)
