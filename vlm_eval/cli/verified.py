"""What ``--verify`` has found, in one line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def verified(run: Mapping[str, Any]) -> tuple[str, bool] | None:
    """Return what the last session of a run has verified, and whether that is as it should be.

    None if nothing was asked again.

    Parameters
    ----------
    run
        The run's ``run.json``.
    """
    model = run["sessions"][-1].get("model", {}) if run.get("sessions") else {}
    found = model.get("counters", {}).get("verified", {})
    if not found.get("groups"):
        return None
    apart = found["largest_per_token"]
    line = (
        f"verified: {found['groups']:,} groups, {found['requests']:,} requests asked again "
        f"without sharing: {_count(found['flips'], 'flip')}"
    )
    if apart is not None:
        line += f", log-probabilities at most {apart:.2g} nats a token apart"
    if found["failures"]:
        line += f"; {_count(found['failures'], 'request')} answered only one of the two times"
    far = apart is not None and "rounding" in found and apart > found["rounding"]
    if far:
        line += f", more than rounding explains ({found['rounding']:g}): use --engine naive"
    return line, not (far or found["flips"] or found["failures"])


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"
