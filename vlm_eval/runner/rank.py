"""The process of a rank that was started by :mod:`vlm_eval.runner.local`."""

from __future__ import annotations

import json
import os
import sys
import threading
from typing import Any

from vlm_eval.core.errors import RunError, VlmEvalError

FAULT_MARK = "\x1evlm_eval fault "  # begins the line that says a fault to the parent


def main(order: dict[str, Any]) -> int:
    """Do what the parent has ordered; return the exit status.

    Parameters
    ----------
    order
        ``job`` and ``launch``: the arguments of `Job` and `Launch`.
    """
    threading.Thread(target=_end_with_parent, daemon=True).start()
    from vlm_eval.runner.job import Job
    from vlm_eval.runner.meeting import Launch
    from vlm_eval.runner.part import take_part

    try:
        take_part(Job(**order["job"]), Launch(**order["launch"]), supervised=True)
    except VlmEvalError as error:
        return _tell(error)
    except OSError as error:
        return _tell(RunError(error.strerror or str(error), where=error.filename))
    return 0


def _tell(error: VlmEvalError) -> int:
    kind = type(error).__name__
    said = {"kind": kind, "what": error.what, "where": error.where, "hint": error.hint}
    if kind == "MissingData":  # has other parameters
        said["kind"] = "DataError"
    print(FAULT_MARK + json.dumps(said), file=sys.stderr, flush=True)
    return 2


def _end_with_parent() -> None:
    """Wait for the end of what the parent writes, which is the parent's own end."""
    while os.read(0, 4096):
        pass
    os._exit(1)
