"""Tests against third-party reference data that is not part of the repository."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shared(pytestconfig: pytest.Config) -> Path:
    """Return the folder given by ``--shared``; without it these tests are deselected."""
    folder: Path = pytestconfig.getoption("--shared")
    if not folder.is_dir():
        raise pytest.UsageError(f"--shared {folder} is no folder")
    return folder
