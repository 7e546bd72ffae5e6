"""The exceptions that vlm_eval raises on purpose.

::

    VlmEvalError            anything the user can mend; the command line exits with status 2
    ├── UsageError          a wrong argument: unknown name, contradictory flags
    ├── TaskError           a fault in a task file
    ├── DataError           a missing, broken or inconsistent data file
    │   └── MissingData     a data set that is neither here nor on the hub
    ├── ModelError          a checkpoint that cannot be loaded or cannot do what a task asks
    └── RunError            a run folder that cannot be written, resumed or read

Every message is one line in three parts, "where: what; what to do", so that it reads well in a
terminal, in a CI log and in a pull request. A failure of *one trial* is not an exception but a
:class:`vlm_eval.core.types.Failure`, because it must be recorded and must not stop the others.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class VlmEvalError(Exception):
    """A fault that the user can mend.

    Parameters
    ----------
    what
        What is wrong, in one clause.
    where
        File, line, key, sample or option concerned, if known.
    hint
        What to do about it, if known.
    """

    def __init__(self, what: str, *, where: str | None = None, hint: str | None = None) -> None:
        self.what, self.where, self.hint = what, where, hint
        message = f"{where}: {what}" if where else what
        if hint:
            message = f"{message}; {hint}"
        super().__init__(" ".join(message.split()))


class UsageError(VlmEvalError):
    """A wrong argument: an unknown name, an impossible value, contradictory flags."""


class TaskError(VlmEvalError):
    """A fault in a task file."""


class DataError(VlmEvalError):
    """A missing, broken or inconsistent data file."""


class MissingData(DataError):  # noqa: N818 - named after what it is, like FileNotFound
    """A data set of which there is no local copy and which the hub does not give.

    Parameters
    ----------
    what
        What is missing, in one clause: "there is no copy of POPE".
    layout
        What a local copy must hold: "DIR/coco_pope_random.json, ... and DIR/val2014/*.jpg".
    hub
        The public hub id, if there is one.
    task
        The task that asks for it; sources leave it to :meth:`of_task`.
    """

    def __init__(
        self, what: str, *, layout: str, hub: str | None = None, task: str = "TASK"
    ) -> None:
        self.layout, self.hub = layout, hub
        online = "" if hub is None else f", or its hub copy with --data {task}=hub:{hub}"
        super().__init__(
            what,
            where=None if task == "TASK" else f"task {task}",
            hint=f"give a local copy with --data {task}=PATH ({layout}){online}, "
            f"or --data {task}=embedded runs the synthetic stand-in",
        )

    def of_task(self, task: str) -> MissingData:
        """Return the same error with the name of the task that asks for the data."""
        return MissingData(self.what, layout=self.layout, hub=self.hub, task=task)


class ModelError(VlmEvalError):
    """A checkpoint that cannot be loaded, or that cannot do what a task asks of it."""


class RunError(VlmEvalError):
    """A run folder that cannot be written, resumed or read."""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return a hint that names the nearest known words, or else lists what is known.

    >>> did_you_mean("vlm-fix-invers", ["vlm-fix-inverse", "mis"])
    'did you mean vlm-fix-inverse?'
    >>> did_you_mean("zzz", ["b", "a"])
    'known: a, b'
    """
    names = sorted(set(known))
    near = nearest(word, names)
    if near is not None:
        return near
    shown = ", ".join(names[:12])
    return f"known: {shown}{', ...' if len(names) > 12 else ''}" if names else "none are known"


def nearest(word: str, known: Iterable[str]) -> str | None:
    """Return a hint that names the nearest known words, None if none is near."""
    folded: dict[str, list[str]] = {}
    for name in known:
        folded.setdefault(name.lower(), []).append(name)
    close = difflib.get_close_matches(word.lower(), folded, n=3, cutoff=0.6)
    near = [name for fold in close for name in folded[fold]]
    return f"did you mean {' or '.join(near[:3])}?" if near else None
