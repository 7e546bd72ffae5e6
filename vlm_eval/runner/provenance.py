"""What ``run.json`` says about the machine and the software, so that a result can be reproduced.

Nothing here is secret: no environment variable is read, and no user or host name is written.
"""

from __future__ import annotations

import datetime
import os
import platform
import subprocess
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

DISTRIBUTION = "paired-vlm-eval"
PACKAGES = (
    "torch", "transformers", "tokenizers", "accelerate", "datasets", "numpy", "scipy", "pandas",
    "pillow", "jinja2", "pydantic", "pyyaml", "safetensors",
)  # fmt: skip


def now() -> str:
    """Return the time in UTC, ISO 8601, to the second."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def session(command: Sequence[str] | None, options: dict[str, Any]) -> dict[str, Any]:
    """Return what describes one start of a run: when, how, on what.

    Parameters
    ----------
    command
        The command line, None if the run was started from Python.
    options
        Settings that may differ between the sessions of a run, such as the batch size.
    """
    return {
        "started": now(),
        "command": list(command) if command is not None else None,
        "options": options,
        "vlm_eval": {"version": _version(DISTRIBUTION), "commit": commit()},
        "versions": {"python": platform.python_version(), **versions()},
        "hardware": hardware(),
    }


def versions() -> dict[str, str | None]:
    """Return the installed version of every package that can change a number; None if absent."""
    return {name: _version(name) for name in PACKAGES}


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def commit() -> str | None:
    """Return the git commit that this package runs from, ``+dirty`` if it was changed; or None."""
    root = Path(__file__).parents[2]
    if not (root / ".git").exists():
        return None
    head = _git(root, "rev-parse", "HEAD")
    if not head:
        return None
    return f"{head}+dirty" if _git(root, "status", "--porcelain") else head


def _git(root: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(
            ["git", "-C", str(root), *arguments],
            capture_output=True, text=True, timeout=10, check=True,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()


def hardware() -> dict[str, Any]:
    """Return the processor, the memory in bytes and the accelerators that torch sees."""
    pages = os.sysconf_names.keys() >= {"SC_PAGE_SIZE", "SC_PHYS_PAGES"}
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if pages else None
    return {
        "system": f"{platform.system()} {platform.release()}",
        "machine": platform.machine(),
        "cpus": os.cpu_count(),
        "memory_bytes": memory,
        "accelerators": _accelerators(),
    }


def _accelerators() -> list[str]:
    torch = sys.modules.get("torch")  # a run that did not need torch does not import it to ask
    if torch is None or not torch.cuda.is_available():
        return []
    return [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
