"""The names of all tasks, groups and tags, and how to get from a name to a task.

Looking up names reads the YAML but constructs nothing: no data source, no model, no spec. Tasks
come from the shipped folder, from ``--include_path`` and from packages that declare the entry point
``vlm_eval.tasks`` (a folder, a function that returns one, or a package that holds the files).
"""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import Any, TypeAlias

from vlm_eval.core.errors import TaskError, UsageError, VlmEvalError, did_you_mean
from vlm_eval.tasks.factory import make_task
from vlm_eval.tasks.loader import group_spec, load
from vlm_eval.tasks.spec import Macro
from vlm_eval.tasks.task import Task
from vlm_eval.tasks.yaml import Document, shown

ENTRY_POINTS = "vlm_eval.tasks"
_Chosen: TypeAlias = tuple[str, str | None]  # a task, and what the group above it says of its data
# What another package's module raises when it is at fault; none of it may stop the built-in tasks.
_PLUGIN_FAULTS = (
    ImportError, SyntaxError, NameError, AttributeError, TypeError, ValueError, LookupError,
    OSError, VlmEvalError,
)  # fmt: skip


@dataclass(frozen=True)
class Entry:
    """What the index knows of a task.

    Attributes
    ----------
    name, version, title, tags
        As in the file.
    file
        The task file.
    parent
        For a subtask, the task that it is a part of; None for others.
    value
        For a subtask, its value of the parent's subtask option.
    """

    name: str
    version: str
    title: str
    tags: tuple[str, ...]
    file: Path
    parent: str | None = None
    value: str | None = None


@dataclass(frozen=True)
class Group:
    """A name for several tasks."""

    name: str
    title: str
    members: tuple[str, ...]
    file: Path
    data: str | None = None
    macro: Macro | None = None


@dataclass(frozen=True)
class _Found:
    documents: dict[Path, Document] = field(default_factory=dict)
    tasks: dict[str, Entry] = field(default_factory=dict)
    groups: dict[str, Group] = field(default_factory=dict)
    broken: dict[str, TaskError] = field(default_factory=dict)


class TaskIndex:
    """Task files by name.

    Parameters
    ----------
    include_paths
        Folders (searched at every depth) or files to add to the shipped ones.

    Raises
    ------
    UsageError
        If an include path does not exist.
    TaskError
        If two files define one name; both are named.
    """

    def __init__(self, include_paths: Iterable[str | Path] = ()) -> None:
        self._found = _Found()
        for root in [shipped_tasks(), *map(Path, include_paths)]:
            self._add_root(root)
        for point in entry_points(group=ENTRY_POINTS):
            try:
                self._add_root(_folder(point.load()))
            except _PLUGIN_FAULTS as error:
                what = f"entry point {point.name} ({point.value}) does not load: {error}"
                self._found.broken[point.name] = TaskError(what)

    @property
    def tasks(self) -> list[Entry]:
        """All tasks and subtasks, sorted by name."""
        return sorted(self._found.tasks.values(), key=lambda entry: entry.name)

    @property
    def groups(self) -> list[Group]:
        """All groups, sorted by name."""
        return sorted(self._found.groups.values(), key=lambda group: group.name)

    @property
    def tags(self) -> dict[str, list[str]]:
        """Task names (no subtasks) by tag, both sorted."""
        whole = [entry for entry in self.tasks if entry.parent is None]
        tags = sorted({tag for entry in whole for tag in entry.tags})
        return {tag: [e.name for e in whole if tag in e.tags] for tag in tags}

    @property
    def broken(self) -> list[TaskError]:
        """Why files and entry points could not be read; they do not stop the others."""
        return list(self._found.broken.values())

    def resolve(self, names: str | Sequence[str]) -> list[str]:
        """Return the tasks that names stand for. Parameters and errors are those of `choose`."""
        return list(self.choose(names))

    def choose(self, names: str | Sequence[str]) -> dict[str, str | None]:
        """Return the tasks that names stand for, without repetition and in the order given.

        The value of a task is what the group through which it was chosen says of its data; None if
        there is no such group, or the task was also chosen in another way.

        Parameters
        ----------
        names
            Comma-separated, or a sequence of such: tasks, subtasks, groups, globs, ``tag:T``.
            Where a glob or tag fits a task it does not add that task's subtasks.

        Raises
        ------
        UsageError
            If a name or tag is unknown (with the nearest), or a glob fits nothing.
        TaskError
            If a name is unknown and a file could not be read, or a group is at fault.
        """
        given = [names] if isinstance(names, str) else names
        words = [word.strip() for text in given for word in text.split(",") if word.strip()]
        if not words:
            raise UsageError("no task is named", hint="`vlm_eval ls` lists them")
        found: dict[str, str | None] = {}
        for name, data in (pair for word in words for pair in self._expand(word, ())):
            found[name] = data and found.get(name, data)
        return found

    def entry(self, name: str) -> Entry:
        """Return what is known of a task. Raises UsageError or TaskError as `resolve`."""
        if name in self._found.tasks:
            return self._found.tasks[name]
        if name in self._found.groups:
            members = ", ".join(self.resolve(name))
            raise UsageError(f"{name} is a group, not a task", hint=f"it holds {members}")
        raise self._unknown(name)

    def group(self, name: str) -> Group:
        """Return what is known of a group, whose name is known."""
        return self._found.groups[name]

    def document(self, name: str) -> Document:
        """Return a task's merged file; of a subtask, with its own name and its one value."""
        entry = self.entry(name)
        document = self._found.documents[entry.file]
        if entry.parent is None:
            return document
        data: dict[str, Any] = {k: v for k, v in document.data.items() if k != "subtasks"}
        option = document.data["subtasks"]["option"]
        data |= {"task": name, "data": {**data.get("data", {}), option: [entry.value]}}
        return Document(data, document.places)

    def load(self, name: str, data: str | None = None, output: str | None = None) -> Task:
        """Return a task, ready to be asked.

        Parameters
        ----------
        name
            A task or subtask.
        data
            Where its data lies instead: a path, or ``hub:`` and the id of a data set.
        output
            ``choice`` or ``generate`` instead of the task's own output kind.

        Raises
        ------
        UsageError
            If the name is unknown, or data or output do not suit the task.
        TaskError
            If the task file is at fault.
        """
        return make_task(self.document(name), data=data, output=output)

    def _add_root(self, root: Path) -> None:
        if not root.exists():
            raise UsageError(f"there is no task folder {str(root)!r}")
        for path in task_files(root):
            path = path.resolve()
            if path in self._found.documents or shown(path) in self._found.broken:
                continue
            try:
                self._add(path, load(path))
            except TaskError as error:
                self._found.broken[shown(path)] = error

    def _add(self, path: Path, document: Document) -> None:
        self._found.documents[path] = document
        if "group" in document.data:
            spec = group_spec(document)
            self._claim(spec.group, path)
            self._found.groups[spec.group] = Group(
                spec.group, spec.title, spec.tasks, path, spec.data, spec.macro
            )
            return
        for entry in _entries(path, document):
            self._claim(entry.name, path)
            self._found.tasks[entry.name] = entry

    def _claim(self, name: str, path: Path) -> None:
        other = self._found.tasks.get(name) or self._found.groups.get(name)
        if other is not None:
            what = f"two files define {name!r}: {shown(other.file)} and {shown(path)}"
            raise _DuplicateNameError(what, hint="rename one of them")

    def _expand(self, word: str, above: tuple[str, ...]) -> list[_Chosen]:
        if word in self._found.tasks:
            return [(word, None)]
        if word in self._found.groups:
            return self._members(self._found.groups[word], above)
        if word.startswith("tag:"):
            tag = word.removeprefix("tag:")
            if tag not in self.tags:
                raise UsageError(f"unknown tag {tag!r}", hint=did_you_mean(tag, self.tags))
            return [(name, None) for name in self.tags[tag]]
        if any(sign in word for sign in "*?["):
            return self._glob(word, above)
        raise self._unknown(word)

    def _members(self, group: Group, above: tuple[str, ...]) -> list[_Chosen]:
        if group.name in above:
            raise TaskError(f"group {group.name} holds itself", where=shown(group.file))
        above = (*above, group.name)
        try:
            found = [pair for member in group.members for pair in self._expand(member, above)]
        except UsageError as error:
            where = f"{shown(group.file)}: key 'tasks'"
            raise TaskError(error.what, where=where, hint=error.hint) from error
        return [(name, data or group.data) for name, data in found]

    def _glob(self, pattern: str, above: tuple[str, ...]) -> list[_Chosen]:
        groups = [group for group in self.groups if fnmatch.fnmatchcase(group.name, pattern)]
        tasks = {e.name: e for e in self.tasks if fnmatch.fnmatchcase(e.name, pattern)}
        found = [
            pair
            for group in groups
            if group.name not in above
            for pair in self._members(group, above)
            if self._found.tasks[pair[0]].parent not in tasks
        ]
        found += [(name, None) for name, entry in tasks.items() if entry.parent not in tasks]
        if not found:
            known = [*self._found.tasks, *self._found.groups]
            hint = did_you_mean(pattern, known)
            raise UsageError(f"no task fits {pattern!r}", hint=hint)
        return found

    def _unknown(self, name: str) -> UsageError | TaskError:
        known = [*self._found.tasks, *self._found.groups]
        hint = did_you_mean(name, known)
        if self.broken:  # the name may be in the file that could not be read
            if not hint.startswith("did you mean"):
                return self.broken[0]
            hint = f"{hint} (or is it in the file that could not be read: {self.broken[0]})"
        return UsageError(f"unknown task {name!r}", hint=hint)


class _DuplicateNameError(UsageError):
    """Not a fault of one file, so that it stops the index."""


def shipped_tasks() -> Path:
    """Return the folder of the shipped task files: the wheel's, or else the checkout's."""
    package = Path(__file__).parents[1]
    wheel = package / "_tasks"
    return wheel if wheel.is_dir() else package.parent / "tasks"


def task_files(root: Path) -> list[Path]:
    """Return the task and group files below a folder, sorted; a file stands for itself.

    Files whose name begins with an underscore are parts to include, with a dot none at all.
    """
    if not root.is_dir():
        return [root]
    files = (p for p in root.rglob("*") if p.suffix in {".yaml", ".yml"} and p.is_file())
    return sorted(p for p in files if not p.name.startswith(("_", ".")))


def _folder(target: Any) -> Path:
    if isinstance(target, ModuleType):
        return Path(str(target.__file__)).parent
    return Path(target() if callable(target) else target)


def _entries(path: Path, document: Document) -> Iterator[Entry]:
    data = document.data
    name = data.get("task")
    if not isinstance(name, str):
        hint = "a file to be included only begins with an underscore"
        raise TaskError("the key 'task' is missing", where=document.place(("task",)), hint=hint)
    tags = data.get("tags")
    entry = Entry(
        name=name,
        version=str(data.get("version", "-")),
        title=str(data.get("title", "")),
        tags=tuple(map(str, tags)) if isinstance(tags, list) else (),
        file=path,
    )
    yield entry
    subtasks = data.get("subtasks")
    values = subtasks.get("values") if isinstance(subtasks, dict) else None
    for value in values if isinstance(values, list) else []:
        yield Entry(
            f"{name}-{value}",
            entry.version,
            f"{entry.title}: {value}",
            entry.tags,
            path,
            parent=name,
            value=str(value),
        )
