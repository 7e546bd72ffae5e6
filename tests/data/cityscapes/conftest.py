from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

HERE = Path(__file__).parent
EXPECTED = json.loads((HERE / "mini" / "expected.json").read_text())["present"]


@pytest.fixture
def mini() -> Path:
    """The hand-made two-image tree, for reading."""
    return HERE / "mini"


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of it, for breaking."""
    shutil.copytree(HERE / "mini", tmp_path / "tree")
    return tmp_path / "tree"


@pytest.fixture
def expected() -> dict:
    return EXPECTED


def save_map(path: Path, values: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(values, dtype=np.uint8)).save(path)


@pytest.fixture
def write_map():
    return save_map
