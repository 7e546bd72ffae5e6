"""A task: a spec with its source, parsers and metrics constructed and its conditions laid out."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

from vlm_eval.core.errors import MissingData, TaskError
from vlm_eval.core.hashing import canonical_json, digest
from vlm_eval.core.options import build
from vlm_eval.core.types import Condition, Level
from vlm_eval.data.base import Row, Source, SourceInfo
from vlm_eval.data.check import Checkup, Progress, check_source
from vlm_eval.metrics.table import Metric, States, Table, TableRow
from vlm_eval.parsers.base import PARSERS, Parser
from vlm_eval.prompts import templates
from vlm_eval.scorers.base import SCORERS, Scorer
from vlm_eval.tasks.spec import Ask, Named, TaskSpec
from vlm_eval.tasks.yaml import Document, PathInFile


@dataclass(frozen=True)
class Readers:
    """The parsers of generated answers: the task's, the paper's own, and the others by name."""

    parser: Parser | None
    literal: Parser | None
    also: Mapping[str, Parser]


@dataclass(frozen=True, eq=False)
class Task:
    """A task that is ready to be asked. Made by `TaskIndex.load`.

    Attributes
    ----------
    spec
        The merged task file, with the output kind that was asked for.
    document
        Where the spec's keys stand, for messages.
    source
        The data source, with the data that was asked for.
    metrics
        What to compute, in the file's order.
    place
        Where the data lies, as ``--data`` or a group says it; None where the task file says it.
    """

    spec: TaskSpec
    document: Document
    source: Source
    metrics: tuple[Metric, ...]
    place: str | None = None

    @property
    def name(self) -> str:
        """The task's name."""
        return self.spec.task

    @property
    def version(self) -> str:
        """The task's version."""
        return self.spec.version

    @property
    def chance(self) -> float | None:
        """Expected accuracy of guessing, if known."""
        return self.spec.chance

    @property
    def factors(self) -> Mapping[str, tuple[Level, ...]]:
        """Levels by factor; the first is the baseline."""
        return self.spec.factors

    @cached_property
    def digest(self) -> str:
        """Digest of the merged spec. Where the data lies does not enter: its digest is its own."""
        return digest(self.spec.model_dump(mode="json"))

    def where(self, path: PathInFile) -> str:
        """Return "file:line: key 'path'" for messages."""
        if path not in self._places:
            self._places[path] = self.document.key(path)
        return self._places[path]

    @cached_property
    def _places(self) -> dict[PathInFile, str]:
        return {}

    def rows(self) -> Iterator[Row]:
        """Yield the rows of the data.

        Raises
        ------
        MissingData
            If there is no data, saying how this task is given some.
        DataError
            If it cannot be read.
        """
        with self._data():
            yield from self.source.rows()

    def check_data(self, progress: Progress) -> Checkup:
        """Return what the data holds, lacks and has wrong. Errors are those of `rows`."""
        with self._data():
            return check_source(self.source, progress)

    def data_info(self) -> SourceInfo:
        """Return the provenance of the data. Errors are those of `rows`."""
        with self._data():
            return self.source.info()

    @contextmanager
    def _data(self) -> Iterator[None]:
        try:
            yield
        except MissingData as error:
            raise error.of_task(self.name) from error

    def conditions(self) -> list[dict[str, Level]]:
        """Return the conditions that exist, in the order of the levels, last factor fastest.

        Raises
        ------
        TaskError
            If `where` uses a name that is no factor, or leaves no condition.
        """
        levels = itertools.product(*self.factors.values())
        product = [dict(zip(self.factors, combination, strict=True)) for combination in levels]
        place = self.where(("where",))
        found = [c for c in product if templates.holds(self.spec.where, c, where=place)]
        if not found:
            raise TaskError("no condition is left", where=place)
        return found

    def ask(self, condition: Condition) -> Ask:
        """Return what a condition asks, after the cases. Raises TaskError as `TaskSpec.ask`."""
        key = tuple(condition.items())
        if key not in self._asks:
            self._asks[key] = self.spec.ask(condition, where=self.where)
        return self._asks[key]

    @cached_property
    def _asks(self) -> dict[tuple[tuple[str, Level], ...], Ask]:
        return {}

    def first(self, condition: Condition) -> dict[str, Level] | None:
        """Return the condition whose answer a condition's question depends on, None if on none.

        Raises
        ------
        TaskError
            If `follows.when` uses a name that is no factor.
        """
        follows = self.spec.follows
        if follows is None or not templates.holds(
            follows.when, condition, where=self.where(("follows", "when"))
        ):
            return None
        return {**condition, **follows.condition}

    def captures(self, condition: Condition) -> bool:
        """Say whether the states of trials under a condition are kept, of the samples drawn.

        Raises
        ------
        TaskError
            If `capture.when` uses a name that is no factor.
        """
        capture = self.spec.capture
        where = self.where(("capture", "when"))
        return capture is not None and templates.holds(capture.when, condition, where=where)

    def readers(self, ask: Ask, fields: Mapping[str, Any] | None = None) -> Readers:
        """Return all parsers of the answers to what a condition asks; fields as for `parser`."""
        if ask in self._readers:
            return self._readers[ask]
        made = Readers(self.parser(ask, fields), self.literal(ask, fields), self.also(ask, fields))
        if not ask.read_by_fields:
            self._readers[ask] = made
        return made

    @cached_property
    def _readers(self) -> dict[Ask, Readers]:
        return {}

    def parser(self, ask: Ask, fields: Mapping[str, Any] | None = None) -> Parser | None:
        """Return the parser of generated answers, if the task has one.

        With the fields of a trial the templates in its options are rendered.
        """
        return None if ask.parser is None else self._parser(ask, ask.parser, fields)

    def literal(self, ask: Ask, fields: Mapping[str, Any] | None = None) -> Parser | None:
        """Return the paper's own parser, if the task names one; fields as for `parser`."""
        literal = None if ask.parser is None else ask.parser.literal
        return None if literal is None else self._parser(ask, literal, fields)

    def also(self, ask: Ask, fields: Mapping[str, Any] | None = None) -> dict[str, Parser]:
        """Return the other published parsers by name; fields as for `parser`."""
        also = () if ask.parser is None else ask.parser.also
        return {named.name: self._parser(ask, named, fields) for named in also}

    def scorer(self, ask: Ask, fields: Mapping[str, Any] | None = None) -> Scorer | None:
        """Return what says how right an answer is, if the task names it; fields as for `parser`."""
        if ask.scorer is None:
            return None
        options = ask.scorer.options()
        if fields is not None:
            options = templates.value(options, fields, where=self.where(ask.origin["scorer"]))
        return _scorer(canonical_json(options))

    def _parser(self, ask: Ask, named: Named, fields: Mapping[str, Any] | None) -> Parser:
        options = named.options()
        if fields is not None:
            options = templates.value(options, fields, where=self.where(ask.origin["parser"]))
        return _parser(canonical_json(options))

    def table(self, rows: Sequence[TableRow], states: States | None = None) -> Table:
        """Return the table of these scored trials, with the states captured with them, if any."""
        factors: dict[str, tuple[Level, ...]] = dict(self.factors)
        partial = self.spec.applies is not None
        return Table(self.name, factors, rows, self.chance, self.spec.controls, partial, states)

    def info(self) -> dict[str, Any]:
        """Return JSON-able provenance for ``run.json``.

        Raises
        ------
        DataError
            If the data cannot be read.
        """
        data = self.data_info()
        return {
            "task": self.name,
            "version": self.version,
            "title": self.spec.title,
            "paper": None if self.spec.paper is None else self.spec.paper.model_dump(),
            "digest": self.digest,
            "factors": {name: list(levels) for name, levels in self.factors.items()},
            "conditions": len(self.conditions()),
            "chance": self.chance,
            "data": {
                "source": self.spec.data.source,
                "place": self.place,
                "digest": data.digest,
                "synthetic": data.synthetic,
                "notice": data.notice,
            },
        }


@lru_cache(maxsize=256)
def _parser(options: str) -> Parser:
    return build(PARSERS, json.loads(options), where=None)


@lru_cache(maxsize=256)
def _scorer(options: str) -> Scorer:
    return build(SCORERS, json.loads(options), where=None)
