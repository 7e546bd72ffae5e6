"""The metrics as modules of Hugging Face ``evaluate``, without a run, a task file or a network.

>>> from vlm_eval.metrics.modules import load
>>> blind = load("decay", factor="blur", levels=[1, 31, 61])
>>> found = blind.compute(
...     predictions=["yes", "yes", "no", "no", "no", "no"],
...     references=["yes"] * 3 + ["no"] * 3,
...     sample_ids=["a", "a", "a", "b", "b", "b"],
...     conditions=[1, 31, 61] * 2,
... )
>>> found["C"], found["C[blur=31]"], found["Acc[blur=61]"]
(0.5, 1.0, 0.5)

What a run reads from its records is given as columns instead, one entry a trial.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from vlm_eval.core.hashing import canonical_json
from vlm_eval.core.options import build
from vlm_eval.core.types import Level, condition_key
from vlm_eval.metrics.table import METRICS, Metric, Result, Table, TableRow
from vlm_eval.stats.results import Estimate

Score: TypeAlias = Callable[[str, str | None, str, Mapping[str, Any]], Mapping[str, float]]
"""A scorer: vlm_eval/scorers/base.py says what it is given and returns."""

COLUMNS = ("sample_ids", "conditions", "clusters", "choices", "logprobs")
"""Columns beside predictions and references. A sample id joins trials of one sample (absent: each
trial is its own sample); a condition is a level of the factor, or levels by factor; a cluster is
what samples share their randomness with (absent: the sample); choices and log-likelihoods are the
options of a trial and their scores. Any other column is a field of the samples."""


def load(
    name: str,
    *,
    levels: Sequence[Level] | Mapping[str, Sequence[Level]] = (),
    columns: Iterable[str] | None = None,
    task: str = "evaluate",
    chance: float | None = None,
    scorer: Score | None = None,
    **options: Any,
) -> Any:
    """Return a metric as an ``evaluate.Metric``: ``compute``, ``add``, ``add_batch``, ``combine``.

    Predictions are parsed answers (or texts, for ``bleu`` and ``chrf``); None or an empty one is
    unparsed. ``compute`` returns a flat mapping: for an estimate ``NAME`` or ``NAME[blur=31]`` its
    value, and the same with ``.low``, ``.high``, ``.se`` and ``.n``; for a comparison
    ``NAME[blur=31-1]`` (level less baseline) its difference, and ``.p`` too. Unknown is None.

    Parameters
    ----------
    name
        A registered metric (``vlm_eval ls metrics``).
    levels
        The levels of the metric's factor in order, the baseline first; for several factors, by
        factor. Absent: in the order in which they come.
    columns
        The columns that are given beside predictions and references: some of :data:`COLUMNS`, and
        fields that the metric reads. Absent: sample ids and conditions for a metric with a factor,
        and the fields that its options name. ``compute`` takes the others of :data:`COLUMNS` too,
        and all fields that the metric reads; ``add_batch`` and ``evaluate.combine`` pass on only
        these.
    task
        Names the random numbers of resampling.
    chance
        Expected accuracy of guessing.
    scorer
        Called as (text, answer, gold, fields), for example ``vlm_eval.scorers.anls.Anls()``;
        absent: ``accuracy`` is 1 if prediction and reference are equal, else 0.
    **options
        The metric's own options (docs/metrics.md).

    Raises
    ------
    TaskError
        If the metric or an option is unknown.
    """
    metric: Any = build(METRICS, {"name": name, **options}, where=f"load({name!r})")
    if getattr(metric, "references", ()) is None:
        metric = dataclasses.replace(metric, references="references")
    wanted = _columns(metric) if columns is None else tuple(columns)
    maker = _Maker(metric, levels, task, chance, scorer)
    return _module(name, wanted, maker)


def _module(name: str, wanted: tuple[str, ...], maker: _Maker) -> Any:
    """Return a new evaluate.Metric with these columns beside predictions and references."""
    import datasets
    import evaluate

    class Module(evaluate.Metric):  # type: ignore[misc]
        def _info(self) -> Any:
            text = datasets.Value("string")
            rest = {"predictions": text, **dict.fromkeys(wanted, text)}
            return evaluate.MetricInfo(
                description=type(maker.metric).__doc__,
                citation="",
                inputs_description=f"\nColumns: predictions, references, {', '.join(wanted)}.",
                # One reference, or several.
                features=[
                    datasets.Features({**rest, "references": references})
                    for references in (text, datasets.Sequence(text))
                ],
            )

        def add(self, **columns: Any) -> None:
            """Add one trial; see evaluate.Metric.add."""
            super().add(**{column: _text(column, value) for column, value in columns.items()})

        def add_batch(self, **columns: Any) -> None:
            """Add trials; see evaluate.Metric.add_batch."""
            columns = {column: values for column, values in columns.items() if values is not None}
            super().add_batch(
                **{column: [_text(column, v) for v in values] for column, values in columns.items()}
            )

        def _compute(self, **columns: Any) -> dict[str, float | None]:
            stored = ("predictions", "references", *wanted)
            strange = set(columns) - {*stored, *COLUMNS, *_fields(maker.metric)}
            if strange:
                raise TypeError(f"{name} takes no column {min(strange)!r}; see load(columns=)")
            return maker.results(
                {
                    column: values if column in stored else [_text(column, v) for v in values]
                    for column, values in columns.items()
                }
            )

    Module.__name__ = name
    return Module(keep_in_memory=True)


def _columns(metric: Metric) -> tuple[str, ...]:
    """Return the columns that a metric's options speak of."""
    fields = [
        name
        for option in ("by", "group", "truth")
        for entry in _listed(getattr(metric, option, ()))
        for name in _listed(entry)
    ]
    factored = ("sample_ids", "conditions") if hasattr(metric, "factor") else ()
    return tuple(dict.fromkeys((*factored, *fields)))


def _fields(metric: Any) -> Iterator[str]:
    """Yield the fields that a metric may read: those it always does, and its options' words."""
    yield from getattr(metric, "reads", ())
    for value in vars(metric).values():
        if isinstance(value, str | tuple):
            yield from (word for word in _listed(value) if isinstance(word, str))


def _listed(value: Any) -> Sequence[Any]:
    return [value] if isinstance(value, str) else value


def _text(column: str, value: Any) -> Any:
    """Return a value as evaluate can store it: an unparsed prediction empty, fields as JSON."""
    if column not in _PLAIN:
        return canonical_json(value)
    if column in ("references", "reference") and not isinstance(value, str):
        return [str(one) for one in value] if isinstance(value, Sequence) else str(value)
    return "" if value is None else str(value)


_PLAIN = ("predictions", "prediction", "references", "reference", "sample_ids", "clusters")


@dataclass(frozen=True)
class _Maker:
    """Makes a table of columns, and a flat mapping of its results."""

    metric: Metric
    levels: Sequence[Level] | Mapping[str, Sequence[Level]]
    task: str
    chance: float | None
    scorer: Score | None

    def results(self, columns: Mapping[str, Sequence[Any]]) -> dict[str, float | None]:
        rows = [self._row(i, columns) for i in range(len(columns["predictions"]))]
        table = Table(self.task, self._factors(rows), tuple(rows), self.chance)
        flat: dict[str, float | None] = {}
        for result in self.metric(table):
            flat.update(_flat(result))
        return flat

    def _row(self, i: int, columns: Mapping[str, Sequence[Any]]) -> TableRow:
        text, given = columns["predictions"][i], columns["references"][i]
        answer, gold = text or None, given if isinstance(given, str) else next(iter(given), "")
        read = {
            name: json.loads(values[i]) for name, values in columns.items() if name not in _PLAIN
        }
        fields = {name: value for name, value in read.items() if name not in COLUMNS}
        fields = {"references": given, "answers": given, **fields}
        sample = columns["sample_ids"][i] if "sample_ids" in columns else str(i)
        scores = (
            {"accuracy": float(answer == gold)}
            if self.scorer is None
            else self.scorer(text, answer, gold, fields)
        )
        return TableRow(
            sample_id=sample,
            cluster=columns["clusters"][i] if "clusters" in columns else sample,
            condition=self._condition(read.get("conditions", {})),
            fields=fields,
            gold=gold,
            answer=answer,
            scores=scores,
            choices=tuple(read["choices"]) if "choices" in read else None,
            logprobs=tuple(read["logprobs"]) if "logprobs" in read else None,
            text=text,
        )

    def _condition(self, given: Level | dict[str, Level]) -> dict[str, Level]:
        return given if isinstance(given, dict) else {self._factor: given}

    @property
    def _factor(self) -> str:
        return getattr(self.metric, "factor", "condition")

    def _factors(self, rows: Sequence[TableRow]) -> dict[str, tuple[Level, ...]]:
        seen: dict[str, dict[Level, None]] = {}
        for row in rows:
            for name, level in row.condition.items():
                seen.setdefault(name, {})[level] = None
        if isinstance(self.levels, Mapping):
            given = dict(self.levels)
        else:
            given = {self._factor: self.levels}
        return {name: tuple(found) for name, found in seen.items()} | {
            name: tuple(known) for name, known in given.items() if known
        }


def _flat(result: Result) -> dict[str, float | None]:
    if isinstance(result, Estimate):
        place = condition_key(result.where)
        name = f"{result.name}[{place}]" if place else result.name
        value = {name: result.value, f"{name}.n": result.n}
    else:
        change = f"{result.factor}={result.level}-{result.baseline}"
        place = ",".join(filter(None, [change, condition_key(result.where)]))
        name = f"{result.name}[{place}]"
        value = {name: result.difference, f"{name}.n": result.n_pairs, f"{name}.p": result.p}
    return {
        **value,
        f"{name}.low": result.low,
        f"{name}.high": result.high,
        f"{name}.se": result.se,
    }
