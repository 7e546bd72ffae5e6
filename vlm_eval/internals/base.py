"""What an analysis is, and what it is given."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from vlm_eval.core.registry import Registry
from vlm_eval.internals.findings import Findings
from vlm_eval.metrics.table import Table, TableRow
from vlm_eval.tasks.task import Task
from vlm_eval.tasks.trials import Trial

if TYPE_CHECKING:
    from vlm_eval.models.hf import HfModel

T = TypeVar("T")


class Track(Protocol):
    """Shows how far an iteration is."""

    def __call__(self, items: Iterable[T], total: int, what: str) -> Iterable[T]:
        """Return the items, counted as they are taken."""
        ...


@dataclass(frozen=True, kw_only=True)
class Study:
    """One task of one run, as an analysis sees it.

    Attributes
    ----------
    task
        The task as it was asked.
    table
        Its scored trials. ``table.states`` holds what was captured with them, if anything.
    model
        The model's name.
    folder
        Where the analysis may write: ``RUN/analysis/NAME-TASK``, which exists.
    trials
        Renders the trials again and gives each answered one with its row. Needs the data; the
        images are made when they are loaded. Given a function of a row, only those that it wants.
    load
        Loads the model that was evaluated, with further ``model_args`` if given. It shows its
        inside, unless ``inside=False`` asks for a backend of any kind.
    track
        Shows progress.
    seed
        The run's seed, from which all randomness is derived.
    synthetic, notice
        Whether the data are a generated stand-in, and the line that must go with every number.
    base
        The same task of another run, for analyses that compare two models; None if none was given.
    """

    task: Task
    table: Table
    model: str
    folder: Path
    trials: Callable[..., Iterator[tuple[Trial, TableRow]]]
    load: Callable[..., HfModel]
    track: Track
    seed: int
    synthetic: bool
    notice: str | None
    base: Study | None = None

    def findings(self, analysis: str, options: Mapping[str, Any], **found: Any) -> Findings:
        """Return findings about this study; ``found`` are the other fields of `Findings`."""
        return Findings(
            analysis=analysis,
            task=self.task.name,
            model=self.model,
            options=options,
            synthetic=self.synthetic,
            notice=self.notice,
            **found,
        )


class Analysis(Protocol):
    """An analysis with its options. Implementations are ``configurable`` classes."""

    def __call__(self, study: Study) -> Findings:
        """Carry it out.

        Raises
        ------
        TaskError
            If the task, or what was captured, does not have what the options ask for.
        ModelError
            If the model cannot be changed or read as the analysis needs.
        """
        ...


ANALYSES: Registry[type[Analysis]] = Registry(
    "analysis",
    {
        "probe": "vlm_eval.internals.probe:Probe",
        "steer": "vlm_eval.internals.steer:Steer",
        "replace": "vlm_eval.internals.replace:Replace",
        "patch": "vlm_eval.internals.patch:Patch",
        "attack": "vlm_eval.internals.attack:Attack",
        "coherence": "vlm_eval.internals.coherence:Coherence",
        "spectrum": "vlm_eval.internals.spectrum:Spectrum",
    },
    "vlm_eval.analyses",
)
