"""What an analysis found: estimates along an axis, and which of them make a figure."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from vlm_eval.core.errors import RunError
from vlm_eval.stats.results import Estimate

SCHEMA = 1


@dataclass(frozen=True, kw_only=True)
class Panel:
    """Estimates to draw together, one curve for each name and place beside the axis.

    Attributes
    ----------
    title
        What it shows, in a line.
    axis
        The key of ``Estimate.where`` that is the x axis: ``layer``, ``replaced``, ``cutoff``.
    names
        The estimates that belong to it, all in one unit.
    where
        Only the estimates at this place, if given; the other keys make curves of their own.
    marks
        Values of the axis to mark by a vertical line, each with its label.
    """

    title: str
    axis: str
    names: tuple[str, ...]
    where: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    marks: Mapping[str, float] = dataclasses.field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Findings:
    """The result of one analysis of one task of a run.

    Attributes
    ----------
    analysis, task, model
        Which analysis, of what, of whom.
    options
        The analysis's options as they were used, JSON-able.
    estimates
        Every number, with interval, n and clusters.
    panels
        The figure; empty if there is none.
    facts
        What is no estimate, by name, JSON-able: a crossover layer, provenance, counts.
    notes
        What a reader must know, a sentence each: what was left out and why, what is invalid.
    synthetic, notice
        Whether the data are a generated stand-in, and the line that must go with every number.
    """

    analysis: str
    task: str
    model: str
    options: Mapping[str, Any]
    estimates: tuple[Estimate, ...]
    panels: tuple[Panel, ...] = ()
    facts: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    notes: tuple[str, ...] = ()
    synthetic: bool = False
    notice: str | None = None

    def of(self, name: str, **where: Any) -> tuple[Estimate, ...]:
        """Return the estimates of a name whose place has these values, in their order."""
        return tuple(
            e
            for e in self.estimates
            if e.name == name and all(e.where.get(key) == value for key, value in where.items())
        )

    def to_json(self) -> dict[str, Any]:
        """Return the content of the analysis's ``findings.json``."""
        return {"schema": SCHEMA, **dataclasses.asdict(self)}

    @classmethod
    def from_json(cls, value: Mapping[str, Any], where: str) -> Findings:
        """Rebuild the findings from the content of ``findings.json``.

        Raises
        ------
        RunError
            If another version of the format wrote it, or it is damaged.
        """
        hint = "run the analysis again"
        schema = value.get("schema") if isinstance(value, Mapping) else None
        if schema != SCHEMA:
            what = f"has schema {schema!r}, this version reads {SCHEMA}"
            raise RunError(what, where=where, hint=hint)
        try:
            return cls._rebuilt(value)
        except (KeyError, TypeError, ValueError) as error:
            raise RunError(f"is damaged: {error!r}", where=where, hint=hint) from error

    @classmethod
    def _rebuilt(cls, value: Mapping[str, Any]) -> Findings:
        kept = {field.name: value[field.name] for field in dataclasses.fields(cls)}
        kept["estimates"] = tuple(Estimate(**e) for e in value["estimates"])
        kept["panels"] = tuple(
            Panel(**{**panel, "names": tuple(panel["names"])}) for panel in value["panels"]
        )
        kept["notes"] = tuple(value["notes"])
        return cls(**kept)
