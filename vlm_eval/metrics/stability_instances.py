"""What the stability metrics share: clean answers, perturbed instances, and families of levels.

A *unit* is one sample under otherwise equal conditions: its clean trial and its trials at the other
levels of one factor. An *instance* is one of those trials. A *family* is a set of levels that
perturb in one way, such as all translations.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TypeAlias

from vlm_eval.core.errors import TaskError, did_you_mean
from vlm_eval.core.types import Level, condition_key
from vlm_eval.metrics.checks import check_level
from vlm_eval.metrics.pairing import answer_for
from vlm_eval.metrics.table import Table, TableRow

Families: TypeAlias = Mapping[str, str | tuple[str, ...]]
"""Families by name: each one level, a pattern of levels (``translate_*``), or several of these."""


@dataclass(frozen=True)
class Unit:
    """One sample: its clean trial, whose answer is known, and the others by level."""

    clean: TableRow
    others: Mapping[Level, TableRow]


@dataclass(frozen=True)
class Instance:
    """One perturbed trial with the clean trial of its unit.

    Attributes
    ----------
    before, after
        The answers; ``after`` is None if the trial failed or could not be parsed.
    """

    clean: TableRow
    row: TableRow
    before: str
    after: str | None

    @property
    def changed(self) -> bool:
        """Whether there is another answer; a missing one is no change."""
        return self.after is not None and self.after != self.before


@dataclass(frozen=True)
class Units:
    """All units of a table whose clean answer is known, with the families of their levels.

    Attributes
    ----------
    units
        In the order of the table.
    families
        The levels of each family.
    score
        The score whose parser's answers are meant.
    """

    units: Sequence[Unit]
    families: Mapping[str, tuple[Level, ...]]
    score: str

    def answer(self, row: TableRow) -> str | None:
        """Return the answer of a trial; None if it failed or could not be parsed."""
        return None if row.failed else answer_for(row, self.score)

    def of(self, unit: Unit, family: str | None) -> list[Instance]:
        """Return a unit's instances of a family; of every family if it is None."""
        levels = self._levels(family)
        before = self.answer(unit.clean)
        assert before is not None  # other samples are no units
        return [
            Instance(unit.clean, unit.others[level], before, self.answer(unit.others[level]))
            for level in levels
            if level in unit.others
        ]

    def instances(self, family: str | None) -> list[Instance]:
        """Return all instances of a family; of every family if it is None."""
        return [instance for unit in self.units for instance in self.of(unit, family)]

    def _levels(self, family: str | None) -> tuple[Level, ...]:
        if family is not None:
            return self.families[family]
        return tuple(level for levels in self.families.values() for level in levels)


def collect(
    table: Table, factor: str, clean: Level, families: Mapping[str, tuple[Level, ...]], score: str
) -> Units:
    """Return the units of a table; samples whose clean trial has no answer are left out."""
    rows: dict[tuple[str, str], dict[Level, TableRow]] = {}
    for row in table.rows:
        rest = {name: level for name, level in row.condition.items() if name != factor}
        rows.setdefault((row.sample_id, condition_key(rest)), {})[row.condition[factor]] = row
    made = Units([], families, score)
    units = [
        Unit(trials[clean], {level: row for level, row in trials.items() if level != clean})
        for trials in rows.values()
        if clean in trials and made.answer(trials[clean]) is not None
    ]
    return Units(units, families, score)


def clean_level(table: Table, factor: str, clean: Level | None) -> Level:
    """Return the level without perturbation: the factor's first unless another is named.

    Raises
    ------
    TaskError
        If there is no such factor or level.
    """
    check_level(table, factor)
    found = table.factors[factor][0] if clean is None else clean
    check_level(table, factor, found)
    return found


def family_levels(
    table: Table, factor: str, clean: Level, families: Families
) -> dict[str, tuple[Level, ...]]:
    """Return the levels of each family, in the order of the task.

    Raises
    ------
    TaskError
        If a pattern fits no level, fits the clean one, or a level is in two families.
    """
    known = table.factors[factor]
    found: dict[str, tuple[Level, ...]] = {}
    owner: dict[Level, str] = {}
    for family, patterns in families.items():
        fitting: set[Level] = set()
        for pattern in (patterns,) if isinstance(patterns, str) else patterns:
            levels = {level for level in known if fnmatchcase(str(level), pattern)}
            if not levels or clean in levels:
                what = "the clean level" if levels else "no level"
                raise TaskError(
                    f"the pattern {pattern!r} of family {family!r} fits {what} of {factor!r}",
                    where=table.task,
                    hint=did_you_mean(pattern, map(str, known)),
                )
            fitting |= levels
        for level in fitting:
            if owner.setdefault(level, family) != family:
                what = f"the level {level!r} is in the families {owner[level]!r} and {family!r}"
                raise TaskError(what, where=table.task, hint="name it in one")
        found[family] = tuple(level for level in known if level in fitting)
    return found


def family_places(families: Mapping[str, object]) -> Iterator[tuple[str | None, dict[str, Level]]]:
    """Yield every family and then None, which is all of them, each with its place in results."""
    for family in families:
        yield family, {"family": family}
    yield None, {}
