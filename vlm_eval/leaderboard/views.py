"""What the pages show, arranged: plain groupings, no new numbers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from vlm_eval.core.types import Level
from vlm_eval.leaderboard.boards import Board, Entry
from vlm_eval.leaderboard.reported import Reported
from vlm_eval.leaderboard.rows import version_of
from vlm_eval.leaderboard.runs import Cell, Run
from vlm_eval.reports.svg import domain
from vlm_eval.reports.text import slug
from vlm_eval.stats.results import Comparison, Estimate

MEASURES = 8  # columns of a table of measures, if papers do not report more
LEVELS = 40  # columns of a table of levels, at most
Measure = tuple[str, tuple[tuple[str, Level], ...]]
"""Name and place of an estimate."""


@dataclass(frozen=True)
class Place:
    """An entry with the board that it is on and the page of its task."""

    board: Board
    entry: Entry

    @property
    def page(self) -> str:
        """The task's page."""
        return f"task/{slug(self.board.task)}.html"

    @property
    def anchor(self) -> str:
        """Where on the model's page its provenance is, and on the task's page its row."""
        return slug(f"{self.board.task}--{self.entry.cell.run.id}")


@dataclass(frozen=True)
class Model:
    """One model: everything that was measured of it.

    Attributes
    ----------
    name
        What it is called, with a run's id where another model has its name.
    runs
        Its runs, by id.
    places
        Its entries, by task.
    """

    name: str
    runs: tuple[Run, ...]
    places: tuple[Place, ...]

    @property
    def page(self) -> str:
        """Its page."""
        return f"model/{slug(self.name)}.html"

    def at(self, task: str, *, measured: bool) -> list[Place]:
        """Return its entries on the boards of a kind of a task."""
        return [
            place
            for place in self.places
            if place.board.task == task and place.board.measured == measured
        ]


def models_of(runs: Sequence[Run], boards: Mapping[str, Sequence[Board]]) -> list[Model]:
    """Return every model, those first that stand best on the first task."""
    places: dict[str, list[Place]] = {}
    order: dict[str, int] = {}
    for found in boards.values():
        for board in found:
            for entry in board.entries:
                digest = entry.cell.run.model_digest
                places.setdefault(digest, []).append(Place(board, entry))
                order.setdefault(digest, len(order))
    by_digest: dict[str, list[Run]] = {}
    for run in runs:
        by_digest.setdefault(run.model_digest, []).append(run)
    names = [same[0].model for same in by_digest.values()]
    return [
        Model(
            same[0].model if names.count(same[0].model) == 1 else f"{same[0].model} ({same[0].id})",
            tuple(same),
            tuple(places.get(digest, ())),
        )
        for digest, same in sorted(by_digest.items(), key=lambda item: order.get(item[0], 0))
    ]


@dataclass(frozen=True)
class BoardView:
    """A board as a task's page shows it."""

    board: Board
    models: Mapping[str, Model]

    @property
    def places(self) -> list[Place]:
        """Its entries."""
        return [Place(self.board, entry) for entry in self.board.entries]

    def model(self, entry: Entry) -> Model:
        """Return the model of an entry."""
        return self.models[entry.cell.run.model_digest]

    @cached_property
    def span(self) -> tuple[float, float]:
        """Ends of the axis of the accuracies."""
        low, high = domain(
            [
                e
                for one in self.board.entries
                for e in (one.score.value, one.score.low, one.score.high)
            ],
            least=0.1,
        )
        return max(0.0, low), min(1.0, high)

    @cached_property
    def change_span(self) -> tuple[float, float]:
        """Ends of the axis of the changes."""
        changes = [one.change for one in self.board.entries if one.change is not None]
        low, high = domain(
            [e for c in changes for e in (c.value, c.low, c.high)], include=(0.0,), least=0.1
        )
        return max(-1.0, low), min(1.0, high)

    @cached_property
    def levels(self) -> list[tuple[str, Level, Level, str]]:
        """Name, baseline, level and factor of each comparison over all samples."""
        seen: dict[tuple[str, Level, Level, str], None] = {}
        for entry in self.board.entries:
            for c in entry.cell.result.comparisons:
                if not c.where and c.factor == self.board.headline.factor:
                    seen[c.name, c.baseline, c.level, c.factor] = None
        names = [key for key in seen if key[0] == next(iter(seen))[0]]
        return names[:LEVELS]

    def at_level(self, entry: Entry, key: tuple[str, Level, Level, str]) -> Comparison | None:
        """Return an entry's comparison."""
        for c in entry.cell.result.comparisons:
            if not c.where and (c.name, c.baseline, c.level, c.factor) == key:
                return c
        return None

    @cached_property
    def pairs(self) -> tuple[int, int]:
        """How many pairs of entries were tested, and how many differ."""
        differ = [d for d in self.board.duels if d.p_adjusted is not None and d.p_adjusted < 0.05]
        return len(self.board.duels), len(differ)


def measures(board: Board, reported: Sequence[Reported]) -> list[Measure]:
    """Return the columns of a table of measures: all that papers report, then others."""
    beside: dict[Measure, None] = {}
    others: dict[Measure, None] = {}
    printed = {key_of(one.name, one.where) for one in reported}
    for entry in board.entries:
        factors = entry.cell.declared["factors"].keys()
        for e in entry.cell.result.estimates:
            key = key_of(e.name, e.where)
            if key in printed:
                beside[key] = None
            elif e.where.keys() <= factors and len(e.where) <= 1:
                others[key] = None
    return [*beside, *list(others)[: max(0, MEASURES - len(beside))]]


def key_of(name: str, where: Mapping[str, Level]) -> Measure:
    """Return the identity of an estimate on a task."""
    return name, tuple(sorted(where.items()))


def by_measure(cell: Cell) -> dict[Measure, Estimate]:
    """Return a cell's estimates by name and place."""
    return {key_of(e.name, e.where): e for e in cell.result.estimates}


def by_model(reported: Iterable[Reported]) -> dict[str, dict[Measure, Reported]]:
    """Return reported numbers by model, then by name and place."""
    found: dict[str, dict[Measure, Reported]] = {}
    for one in reported:
        found.setdefault(one.model, {})[key_of(one.name, one.where)] = one
    return found


def provenance(cell: Cell) -> dict[str, Any]:
    """Return everything that is known about how a cell came about, in words and digests."""
    manifest, declared = cell.run.manifest, cell.declared
    session = (manifest.get("sessions") or [{}])[-1]
    model = {
        f"model {key}": value
        for key, value in manifest["model"].items()
        if key not in ("name", "capabilities")
    }
    return {
        "run": cell.run.id,
        "model": cell.run.model,
        **model,
        "task": f"{cell.task} {cell.result.version}",
        "task digest": declared.get("digest"),
        "data source": declared["data"].get("source"),
        "data digest": declared["data"]["digest"],
        "notice": cell.result.notice,
        "seed": manifest["seed"],
        "limit": manifest["limit"],
        "output": manifest.get("output"),
        "decoding": manifest.get("decoding"),
        "vlm_eval": version_of(session),
        "versions": session.get("versions"),
        "hardware": session.get("hardware"),
        "started": session.get("started"),
        "sessions": len(manifest.get("sessions") or ()),
        "results computed": cell.run.results.finished,
        "records": {name: entry["sha256"] for name, entry in cell.run.results.records.items()},
        "trials": cell.result.counts.trials,
        "failed": cell.result.counts.failed,
        "unparsed": cell.result.counts.unparsed,
    }
