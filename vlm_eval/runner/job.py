"""What ``vlm_eval.evaluate`` was asked to do, as one value, and the first steps of doing it."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vlm_eval.core.errors import UsageError, did_you_mean
from vlm_eval.runner.folder import SCHEMA, RunFolder, free_folder
from vlm_eval.runner.plan import Plan, Settings

if TYPE_CHECKING:
    from vlm_eval.models.base import Model
    from vlm_eval.tasks.index import TaskIndex
    from vlm_eval.tasks.task import Task

# What a model may say of itself that does not decide its answers: a run may be continued elsewhere.
MODEL_MAY_CHANGE = (
    "counters", "device", "device_map", "engine", "source", "versions",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Job:
    """The arguments of :func:`vlm_eval.evaluate`, which explains them.

    They are JSON-able, but for a model object.
    """

    model: str | Model
    tasks: str | Sequence[str]
    limit: int | None = None
    output_path: str | None = None
    resume: bool = False
    retry_failures: bool = False
    seed: int = 0
    output: str | None = None
    gen_kwargs: Mapping[str, Any] = field(default_factory=dict)
    data: Mapping[str, str] = field(default_factory=dict)
    include_path: Sequence[str] = ()
    model_args: str | Mapping[str, Any] | None = None
    batch_size: int | str | None = None
    device: str | None = None
    dtype: str | None = None
    lease: float = 600.0
    capture: bool = True
    progress: bool = True
    command: Sequence[str] | None = None

    @property
    def settings(self) -> Settings:
        """What decides, beside tasks and model, what is asked."""
        return Settings(
            seed=self.seed, limit=self.limit, output=self.output, decoding=dict(self.gen_kwargs),
            capture=self.capture,
        )  # fmt: skip

    @property
    def model_spec(self) -> str:
        """What to call the model before it is loaded."""
        return self.model if isinstance(self.model, str) else type(self.model).__name__

    def check(self) -> None:
        """Find contradictory arguments and a wrong model name before any other work.

        Raises
        ------
        UsageError
            If there are any.
        """
        self._check_model()
        if self.retry_failures and not self.resume:
            raise UsageError("retry_failures needs resume", hint="add --resume")
        if self.resume and self.output_path is None:
            raise UsageError("resume needs the run folder", hint="give --output_path")
        if not self.lease > 0:
            raise UsageError(f"--lease {self.lease} is no time", hint="give seconds, above 0")

    def _check_model(self) -> None:
        if isinstance(self.model, str):
            from vlm_eval.models.registry import resolve

            resolve(self.model)
            return
        methods = ("name", "capabilities", "describe", "generate", "loglikelihood")
        missing = [method for method in methods if not hasattr(self.model, method)]
        if missing:
            raise UsageError(
                f"a {self.model_spec} is no model: it has no {', '.join(missing)}",
                hint="give a name, or an object with the methods of vlm_eval.models.base.Model",
            )
        loading = (self.model_args, self.batch_size, self.device, self.dtype)
        if any(value is not None for value in loading):
            raise UsageError(
                "model_args, batch_size, device and dtype are for loading a model by name",
                hint="set them on the model object",
            )

    def load_tasks(self) -> list[Task]:
        """Return the tasks. Raises as :func:`load_tasks`."""
        return _load_tasks(self._index, self.tasks, self.data, self.output)

    @cached_property
    def _index(self) -> TaskIndex:
        from vlm_eval.tasks.index import TaskIndex

        return TaskIndex(self.include_path)

    def load_model(self) -> Model:
        """Return the model. Raises as :func:`vlm_eval.models.registry.load_model`."""
        if not isinstance(self.model, str):
            return self.model
        from vlm_eval.models.registry import load_model

        return load_model(
            self.model,
            args=self.model_args,
            batch_size=self.batch_size,
            device=self.device,
            dtype=self.dtype,
        )

    def manifest(self, model: Model, plans: Sequence[Plan], **session: Any) -> dict[str, Any]:
        """Return ``run.json``: what is asked and of whom, and in ``sessions`` how.

        Parameters
        ----------
        model, plans
            The loaded model, and the planned tasks.
        session
            More about this session.
        """
        from vlm_eval.models.args import parse_args
        from vlm_eval.runner import provenance

        options = {
            "model": self.model_spec,
            "model_args": parse_args(self.model_args),
            "batch_size": self.batch_size,
            "device": self.device,
            "dtype": self.dtype,
            "data": dict(self.data),
            "include_path": list(self.include_path),
        }
        decided, changing = described(model)
        begun = {
            **provenance.session(self.command, options),
            "plugins": self._plugins([plan.task for plan in plans]),
            "model": changing,
            **session,
        }
        return {
            "schema": SCHEMA,
            "model": {"name": model.name, **decided, "capabilities": asdict(model.capabilities)},
            **asdict(self.settings),
            "tasks": {plan.task.name: plan.describe() for plan in plans},
            "groups": self._groups([plan.task.name for plan in plans]),
            "sessions": [begun],
        }

    def _plugins(self, tasks: Sequence[Task]) -> dict[str, str]:
        """Return the packages that tasks and model come from, but this, by what they give."""
        from vlm_eval.core.registry import BUILT_IN
        from vlm_eval.models.registry import BACKENDS, resolve
        from vlm_eval.tasks.plugins import plugins

        found = {what: origin for task in tasks for what, origin in plugins(task).items()}
        if isinstance(self.model, str):
            backend = resolve(self.model).backend
            if BACKENDS.origin(backend) != BUILT_IN:
                found[f"{BACKENDS.kind} {backend}"] = BACKENDS.origin(backend)
        return found

    def _groups(self, tasks: Sequence[str]) -> dict[str, Any]:
        """Return the means over tasks that group files ask for, by group."""
        from vlm_eval.tasks.averages import averages

        found = {average.group: asdict(average) for average in averages(self._index, tasks)}
        for entry in found.values():
            del entry["group"]
        return found

    def run_folder(self, name: str) -> RunFolder:
        """Return the run folder; one named after the model if none was given."""
        given = self.output_path
        return RunFolder(free_folder(Path("runs"), name) if given is None else given)

    def to_json(self) -> dict[str, Any]:
        """Return the arguments for another process; ``Job(**arguments)`` is the job again."""
        return {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}


def described(model: Model) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what a model says of itself: what decides its answers, and the rest."""
    said = dict(model.describe())
    return said, {key: said.pop(key) for key in MODEL_MAY_CHANGE if key in said}


def load_tasks(
    names: str | Sequence[str],
    include_path: Sequence[str | Path],
    data: Mapping[str, str] | None,
    output: str | None,
) -> list[Task]:
    """Return the tasks that names stand for, ready to be asked.

    Raises
    ------
    UsageError
        If a name is unknown, or data is given for a task that is not asked.
    TaskError
        If a task file is at fault.
    """
    from vlm_eval.tasks.index import TaskIndex

    return _load_tasks(TaskIndex(include_path), names, data, output)


def _load_tasks(
    index: TaskIndex,
    names: str | Sequence[str],
    data: Mapping[str, str] | None,
    output: str | None,
) -> list[Task]:
    chosen = index.choose(names)
    places = {**chosen, **_data_places(index, chosen, data or {})}
    return [index.load(name, data=places[name], output=output) for name in chosen]


def _data_places(
    index: TaskIndex, chosen: Collection[str], data: Mapping[str, str]
) -> dict[str, str]:
    places: dict[str, str] = {}
    for word, place in data.items():
        found = [name for name in index.resolve(word) if name in chosen]
        if not found:
            raise UsageError(
                f"data is given for {word!r}, which is not among the tasks",
                hint=did_you_mean(word, chosen),
            )
        places |= dict.fromkeys(found, place)
    return places
