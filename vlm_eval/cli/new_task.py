"""``vlm_eval new-task``: the files of a new task, which validate as they are."""

from __future__ import annotations

import argparse
import io
import json
import os
import re
import shlex
from collections.abc import Mapping
from importlib import resources
from pathlib import Path

import pydantic

from vlm_eval.cli.options import add_include_path
from vlm_eval.cli.text import printable
from vlm_eval.core.errors import UsageError
from vlm_eval.data.pen import Colour, Pen
from vlm_eval.tasks.index import TaskIndex, shipped_tasks
from vlm_eval.tasks.spec import Name
from vlm_eval.tasks.yaml import shown

SUMMARY = "write the files of a new task: YAML, stand-in data, a test and a page"
SIZE = 160
_PAPER, _PAINT = (238, 236, 228), (200, 40, 40)
_PICTURES: Mapping[str, str] = {"p1": "disc", "p2": "box"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "name", metavar="NAME", help="of the task: lower case letters, digits, dash, underscore"
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=Path(),
        metavar="DIR",
        help="where tasks/, tests/ and docs/ are: a clone or any folder (default: this one)",
    )
    add_include_path(parser)


def run(args: argparse.Namespace) -> int:
    """Write the files and say what to do with them."""
    root: Path = args.out
    if os.path.lexists(root) and not root.is_dir():
        raise UsageError("is no folder", where=f"--out {root}")
    _check_name(args.name)
    files = scaffold(args.name)
    for path in (Path("tasks", args.name), *files):
        if os.path.lexists(root / path):
            raise UsageError(
                "is there already", where=str(root / path), hint="choose another name or --out"
            )
    _check_free(args.name, root, args.include_path)
    _write({root / path: data for path, data in files.items()})
    _say(args.name, root, files)
    return 0


def scaffold(name: str) -> dict[Path, bytes]:
    """Return what the files of a new task hold, by path below the root of a clone."""
    folder = Path("tasks", name)
    test = f"test_{re.sub('[.-]', '_', name)}.py"
    return {
        folder / f"{name}.yaml": _filled("task.yaml.in", name),
        folder / "data" / "metadata.jsonl": _metadata(),
        **{
            folder / "data" / "images" / f"{picture}.png": _drawing(shape)
            for picture, shape in _PICTURES.items()
        },
        Path("tests", "tasks", test): _filled("test.py.in", name),
        Path("docs", "tasks", f"{name}.md"): _filled("page.md.in", name),
    }


def _filled(template: str, name: str) -> bytes:
    file = resources.files("vlm_eval") / "assets" / "new_task" / template
    return file.read_bytes().replace(b"@NAME@", name.encode())


def _metadata() -> bytes:
    """Return one JSON object a line: each picture asked about each shape."""
    lines = [
        {
            "id": f"{picture}-{asked}",
            "image": f"images/{picture}.png",
            "picture": picture,
            "shape": asked,
            "present": "Yes" if asked == shape else "No",
        }
        for picture, shape in _PICTURES.items()
        for asked in _PICTURES.values()
    ]
    return "".join(json.dumps(line) + "\n" for line in lines).encode()


def _drawing(shape: str) -> bytes:
    paper: Colour = _PAPER
    pen = Pen(SIZE, paper)
    if shape == "disc":
        pen.disc(0.5, 0.5, 0.28, _PAINT)
    else:
        pen.box(0.24, 0.24, 0.76, 0.76, _PAINT)
    file = io.BytesIO()
    pen.image.save(file, "PNG")
    return file.getvalue()


def _check_name(name: str) -> None:
    try:
        pydantic.TypeAdapter(Name).validate_python(name)
    except pydantic.ValidationError as error:
        near = re.sub(r"[^a-z0-9_.-]+", "-", name.lower()).strip("-_.")
        rule = "lower case letters, digits, dash, underscore and dot, a letter or digit first"
        raise UsageError(
            f"{name!r} is no name of a task: {rule}",
            hint=f"did you mean {near}?" if near else None,
        ) from error


def _check_free(name: str, root: Path, include_paths: list[str]) -> None:
    here = [root / "tasks"] if (root / "tasks").is_dir() else []
    index = TaskIndex([*include_paths, *here])
    files = {entry.name: entry.file for entry in index.tasks}
    files |= {group.name: group.file for group in index.groups}
    if name in files:
        what = f"there is a task or group {name!r} already"
        raise UsageError(what, where=shown(files[name]), hint="choose another name")


def _write(files: Mapping[Path, bytes]) -> None:
    """Write all files or, if one cannot be written, none."""
    made: list[Path] = []
    try:
        for path, data in files.items():
            for folder in reversed(path.parents):
                if not folder.is_dir():
                    folder.mkdir()
                    made.append(folder)
            with path.open("xb") as stream:
                made.append(path)
                stream.write(data)
    except BaseException:  # an interrupt too leaves nothing behind
        for path in reversed(made):
            path.rmdir() if path.is_dir() else path.unlink()
        raise


def _say(name: str, root: Path, files: Mapping[Path, bytes]) -> None:
    tasks = root / "tasks"
    here = tasks.resolve() == shipped_tasks().resolve()
    found = "" if here else f" --include_path {shlex.quote(str(tasks))}"
    test = next(path for path in files if path.suffix == ".py")
    lines = [
        *(f"written: {root / path}" for path in files),
        "",
        "It runs as it is; make it yours file by file:",
        f"  vlm_eval validate {shlex.quote(str(tasks / name))}",
        f"  vlm_eval show {name}{found}",
        f"  vlm_eval --model tiny --tasks {name}{found}",
        f"  pytest {shlex.quote(str(root / test))}",
    ]
    print("\n".join(map(printable, lines)))
