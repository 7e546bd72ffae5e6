"""What all tests share: the ``--shared`` option, and a toy task with a source of its own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings

HERE = Path(__file__).parent
TOY = (HERE / "toy.yaml").read_text()

# Deadlines measure the machine; example counts bound the time instead.
settings.register_profile("vlm_eval", deadline=None, max_examples=50, derandomize=True)
settings.load_profile("vlm_eval")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--shared",
        type=Path,
        default=None,
        metavar="DIR",
        help="folder of third-party reference data; without it tests/acceptance is deselected",
    )
    parser.addoption(
        "--browser",
        default=None,
        metavar="PROGRAM",
        help="a Chromium, such as /usr/bin/chromium; without it tests/browser is deselected",
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    needed = {"acceptance": "--shared", "browser": "--browser"}
    absent = [HERE / name for name, option in needed.items() if config.getoption(option) is None]
    left_out = [item for item in items if any(folder in item.path.parents for folder in absent)]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Return a function that installs a distribution with these entry points for one test."""

    def install(group: str, **points: str) -> None:
        name = "_".join(["plugin", group.replace(".", "_"), *points])
        info = tmp_path / "site" / f"{name}-1.0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Name: {name}\nVersion: 1.0\n")
        lines = [f"{name} = {target}" for name, target in points.items()]
        (info / "entry_points.txt").write_text("\n".join([f"[{group}]", *lines]) + "\n")
        monkeypatch.syspath_prepend(str(info.parent))

    return install


@pytest.fixture
def toy(plugin, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the data source ``toy`` (toy_source.py) known, through its entry point."""
    monkeypatch.syspath_prepend(str(HERE))
    plugin("vlm_eval.sources", toy="toy_source:Toy")


@pytest.fixture
def folder(tmp_path: Path, toy: None, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an empty folder for task files; it is the current one, so that names are short."""
    path = tmp_path / "mine"
    path.mkdir()
    monkeypatch.chdir(path)
    return path


@pytest.fixture
def write(folder: Path) -> Callable[..., Path]:
    """Return a function that writes the toy task (toy.yaml), with texts replaced."""

    def write(*changes: tuple[str, str], name: str = "toy.yaml", text: str = TOY) -> Path:
        for old, new in changes:
            assert text.count(old) == 1, f"{old!r} is there {text.count(old)} times"
            text = text.replace(old, new)
        (folder / name).write_text(text)
        return folder / name

    return write


@pytest.fixture
def load_toy(write: Callable[..., Path]):
    """Return a function that writes the toy task, with texts replaced, and loads it."""
    from vlm_eval.tasks.index import TaskIndex

    def load_toy(*changes: tuple[str, str], name: str = "toy", **options: str):
        return TaskIndex([write(*changes).parent]).load(name, **options)

    return load_toy
