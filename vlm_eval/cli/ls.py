"""``vlm_eval ls``: what there is to choose from."""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from vlm_eval.cli.options import add_include_path
from vlm_eval.cli.text import print_table
from vlm_eval.core.errors import UsageError
from vlm_eval.core.registry import BUILT_IN, Registry
from vlm_eval.data.base import SOURCES
from vlm_eval.internals.base import ANALYSES
from vlm_eval.metrics.table import METRICS
from vlm_eval.models.registry import BACKENDS, EMBEDDED, presets
from vlm_eval.parsers.base import PARSERS
from vlm_eval.scorers.base import SCORERS
from vlm_eval.tasks.index import Entry, TaskIndex
from vlm_eval.tasks.plugins import distribution_of
from vlm_eval.tasks.yaml import shown
from vlm_eval.transforms.base import TRANSFORMS

SUMMARY = (
    "list tasks, groups, tags, models, parsers, scorers, metrics, transforms, sources and analyses"
)

Row = dict[str, Any]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    kinds = [*_OF_INDEX, *_OF_REGISTRY, "models"]
    parser.add_argument("kind", nargs="?", choices=kinds, default="tasks", help="default: tasks")
    parser.add_argument("--subtasks", action="store_true", help="list subtasks too")
    parser.add_argument("--json", action="store_true", help="print JSON")
    add_include_path(parser)


def run(args: argparse.Namespace) -> int:
    """Print the list."""
    notes: list[str] = []
    if args.kind in _OF_INDEX:
        index = TaskIndex(args.include_path)
        rows = _OF_INDEX[args.kind](index)
        notes = [f"not read: {fault}" for fault in index.broken]
        subtasks = [row for row in rows if row.get("subtask_of")]
        if subtasks and not args.subtasks:
            rows = [row for row in rows if not row.get("subtask_of")]
            notes.insert(0, f"and {len(subtasks)} subtasks: vlm_eval ls tasks --subtasks")
    elif args.kind in _OF_REGISTRY:
        rows = _registered(_OF_REGISTRY[args.kind])
    else:
        rows = _models()
    if args.json:
        print(json.dumps(rows, indent=2, ensure_ascii=False))
    else:
        notes += _from_elsewhere(rows)
        print_table([{k: v for k, v in row.items() if k not in _JSON_ONLY} for row in rows], notes)
    return 0


_JSON_ONLY = {"file", "subtask_of", "from"}


def _from_elsewhere(rows: list[Row]) -> list[str]:
    """Return a line for each place but this package that some of the rows come from."""
    found: dict[str, list[str]] = {}
    for row in rows:
        found.setdefault(row.get("from", BUILT_IN), []).append(row["name"])
    found.pop(BUILT_IN, None)
    return [f"from {place}: {', '.join(names)}" for place, names in found.items()]


def _origin(file: Path) -> str:
    """Return the distribution that a task file belongs to, or else the folder that it lies in."""
    return distribution_of(file) or shown(file.parent)


def _tasks(index: TaskIndex) -> list[Row]:
    return [_task(entry) for entry in index.tasks]


def _task(entry: Entry) -> Row:
    return {
        "name": entry.name,
        "version": entry.version,
        "title": entry.title,
        "tags": list(entry.tags),
        "from": _origin(entry.file),
        "file": shown(entry.file),
        "subtask_of": entry.parent,
    }


def _groups(index: TaskIndex) -> list[Row]:
    return [
        {
            "name": group.name,
            "title": group.title,
            "tasks": list(group.members),
            "from": _origin(group.file),
            "file": shown(group.file),
        }
        for group in index.groups
    ]


def _tags(index: TaskIndex) -> list[Row]:
    return [{"name": f"tag:{tag}", "tasks": names} for tag, names in index.tags.items()]


def _registered(registry: Registry[type[Any]]) -> list[Row]:
    return [_described(registry, name) for name in registry]


_ROLE = re.compile(r":[a-z]+:`~?([^`]+)`")  # of reStructuredText


def _described(registry: Registry[type[Any]], name: str) -> Row:
    """Return an entry's name and the first line of its docstring, or why it does not load."""
    try:
        lines = (registry.get(name).__doc__ or "").strip().splitlines()
    except UsageError as error:
        lines = [f"broken: {error.what}"]
    summary = _ROLE.sub(r"\1", lines[0]) if lines else ""
    return {"name": name, "summary": summary, "from": registry.origin(name)}


def _models() -> list[Row]:
    named = [
        {"name": name, "checkpoint": preset.hub, "notes": preset.notes, "from": BUILT_IN}
        for name, preset in presets().items()
    ]
    embedded = [
        {
            "name": name,
            "checkpoint": "in the package",
            "notes": "shows the benchmark at work",
            "from": BUILT_IN,
        }
        for name in EMBEDDED
    ]
    backends = [
        {
            "name": f"{name}:...",
            "checkpoint": "-",
            "notes": "a backend, with what it loads",
            "from": BACKENDS.origin(name),
        }
        for name in BACKENDS
    ]
    return [*embedded, *named, *backends]


_OF_INDEX: dict[str, Callable[[TaskIndex], list[Row]]] = {
    "tasks": _tasks,
    "groups": _groups,
    "tags": _tags,
}
_OF_REGISTRY: dict[str, Registry[type[Any]]] = {
    "parsers": PARSERS,
    "scorers": SCORERS,
    "metrics": METRICS,
    "transforms": TRANSFORMS,
    "sources": SOURCES,
    "analyses": ANALYSES,
}
