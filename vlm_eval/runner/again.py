"""The data of a run's task, found again: a run folder says where it lay and what its digest was."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vlm_eval.core.errors import MissingData, VlmEvalError
from vlm_eval.tasks.factory import make_task
from vlm_eval.tasks.task import Task


def with_data(
    task: Task, manifest: Mapping[str, Any], place: str | None
) -> tuple[Task | None, str]:
    """Return the task with the data that was asked, recognised by its digest; or why there is none.

    Parameters
    ----------
    task
        The task as it was asked.
    manifest
        The content of ``run.json``.
    place
        Where the data lies now, as ``--data`` takes it; None to look where it lay.

    The places are the task's own in the run, then those that the run was given for other tasks.
    """
    entry = manifest["tasks"][task.name]["data"]
    places: list[str | None] = [place]
    if place is None:
        given = [s.get("options", {}).get("data") or {} for s in manifest["sessions"]]
        places = [entry.get("place"), *(p for one in given for p in one.values())]
        places += ["embedded"] if entry["synthetic"] else []
        # Without one last: what is said of the data is then said of the task's own.
        places = [*(p for p in dict.fromkeys(places) if p is not None), None]
    why = "the data is not at hand"
    for candidate in places:
        try:
            found = task if candidate is None else make_task(task.document, data=candidate)
            if found.data_info().digest == entry["digest"]:
                return found, ""
            why = "the data at hand is not the data that was asked (its digest differs)"
        except MissingData as error:
            why = str(error)
        except VlmEvalError as error:
            why = f"the data is not at hand ({error})"
    return None, why
