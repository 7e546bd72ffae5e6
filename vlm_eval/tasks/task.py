"""A task: a spec with its source, parsers and metrics constructed and its conditions laid out."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

from vlm_eval.core.errors import TaskError
from vlm_eval.core.hashing import canonical_json, digest
from vlm_eval.core.options import build
from vlm_eval.core.types import Condition, Level
from vlm_eval.data.base import Source
from vlm_eval.metrics.table import Metric
from vlm_eval.parsers.base import PARSERS, Parser
from vlm_eval.prompts import templates
from vlm_eval.tasks.spec import Ask, Named, TaskSpec
from vlm_eval.tasks.yaml import Document, PathInFile


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
    """

    spec: TaskSpec
    document: Document
    source: Source
    metrics: tuple[Metric, ...]

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
        return self.document.key(path)

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
        return self.spec.ask(condition, where=self.where)

    def parser(self, ask: Ask, fields: Mapping[str, Any] | None = None) -> Parser | None:
        """Return the parser of generated answers, if the task has one.

        With the fields of a trial the templates in its options are rendered.
        """
        return None if ask.parser is None else self._parser(ask, ask.parser, fields)

    def literal(self, ask: Ask, fields: Mapping[str, Any] | None = None) -> Parser | None:
        """Return the paper's own parser, if the task names one; fields as for `parser`."""
        literal = None if ask.parser is None else ask.parser.literal
        return None if literal is None else self._parser(ask, literal, fields)

    def _parser(self, ask: Ask, named: Named, fields: Mapping[str, Any] | None) -> Parser:
        options = named.options()
        if fields is not None:
            options = templates.value(options, fields, where=self.where(ask.origin["parser"]))
        return _parser(canonical_json(options))

    def info(self) -> dict[str, Any]:
        """Return JSON-able provenance for ``run.json``.

        Raises
        ------
        DataError
            If the data cannot be read.
        """
        data = self.source.info()
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
                "digest": data.digest,
                "synthetic": data.synthetic,
                "notice": data.notice,
            },
        }


@lru_cache(maxsize=256)
def _parser(options: str) -> Parser:
    return build(PARSERS, json.loads(options), where=None)
