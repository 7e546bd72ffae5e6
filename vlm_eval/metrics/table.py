"""The scored table that metrics read: one row a trial, joined by sample id and condition."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from vlm_eval.core.capture import Captured
from vlm_eval.core.registry import Registry
from vlm_eval.core.types import Level, condition_key
from vlm_eval.metrics.columns import Coded
from vlm_eval.metrics.rows import TableRow, TableRows
from vlm_eval.stats.clusters import BoolArray, Clusters, FloatArray, IntArray
from vlm_eval.stats.results import Comparison, Estimate

__all__ = ["METRICS", "Metric", "Result", "States", "Table", "TableRow"]

Result: TypeAlias = Estimate | Comparison
Array: TypeAlias = npt.NDArray[Any]


class States(Protocol):
    """The hidden states that were captured with trials, read from disk as they are asked for."""

    def of(self, row: TableRow) -> Captured | None:
        """Return what was captured of a trial, None if nothing."""
        ...


@dataclass(frozen=True)
class Table:
    """All scored trials of one task and one model, or a part of them.

    What metrics read of rows again and again (scores, clusters, levels) is an array with an entry a
    row; parts that are made by `where`, `split` or `take` use those of the whole table. A row is a
    view of columns, see `vlm_eval.metrics.rows`.

    Attributes
    ----------
    task
        The task's name; seeds of resampling are derived from it.
    factors
        Levels of each factor in declared order; the first is the baseline.
    rows
        One a trial, at most one for each (sample, condition).
    chance
        Expected accuracy of guessing, if known.
    controls
        For each factor, the levels that are noise-floor controls.
    partial
        Whether some samples have no trial under some conditions by the task's design (`applies`).
        A trial that is not in the table then drops no pair: there may never have been one.
    states
        Captured hidden states; None if the run captured none.
    """

    task: str
    factors: Mapping[str, tuple[Level, ...]]
    rows: Sequence[TableRow]
    chance: float | None = None
    controls: Mapping[str, tuple[Level, ...]] | None = None
    partial: bool = False
    states: States | None = None
    _within: tuple[Table, IntArray] | None = field(
        default=None, init=False, repr=False, compare=False
    )  # the whole, and where in it the rows are

    def take(self, places: IntArray) -> Table:
        """Return the table of the rows at these places."""
        whole, within = self._place
        made = replace(self, rows=self._rows.part(places))
        object.__setattr__(made, "_within", (whole, places if within is None else within[places]))
        return made

    def where(self, **values: Level) -> Table:
        """Return the table of the rows with these factor levels or fields."""
        return self.take(np.flatnonzero(self.mask(**values)))

    def mask(self, **values: Level) -> BoolArray:
        """Return which rows have these factor levels or fields, shape (rows,)."""
        kept = np.ones(len(self.rows), dtype=bool)
        for name, wanted in values.items():
            kept &= self.codes(name).equal(wanted)
        return kept

    def split(self, *names: str) -> dict[tuple[Level | None, ...], Table]:
        """Return the tables of the rows that are alike in these factor levels or fields."""
        return {values: self.take(places) for values, places in self.groups(*names).items()}

    def groups(self, *names: str) -> dict[tuple[Level | None, ...], IntArray]:
        """Return the places of the rows that are alike in these factor levels or fields."""
        columns = list(map(self.codes, names))
        number = np.zeros(len(self.rows), dtype=np.intp)
        for values, codes in columns:
            number = number * len(values) + codes
        _, first, group = np.unique(number, return_index=True, return_inverse=True)
        ends = np.cumsum(np.bincount(group))[:-1]
        places = np.split(np.argsort(group, kind="stable"), ends) if len(first) else []
        return {
            tuple(values[codes[first[i]]] for values, codes in columns): places[i]
            for i in np.argsort(first)
        }

    def codes(self, name: str) -> Coded:
        """Return the factor level or field of each row, coded."""
        whole, within = self._place
        if name not in whole._coded:
            whole._coded[name] = whole._rows.value(name)
        coded = whole._coded[name]
        return coded if within is None else coded.part(within)

    def attribute(self, name: str) -> Coded:
        """Return an attribute of each row, coded: one that recurs, such as condition or answer."""
        return self._rows.attribute(name)

    def derived(self, key: Hashable, make: Callable[[Table], Array]) -> Array:
        """Return an array with one entry a row that is computed once, of the whole table.

        Parameters
        ----------
        key
            Names the array.
        make
            Computes it, given a table, whose rows are at least those of this one.
        """
        whole, within = self._place
        if key not in whole._arrays:
            whole._arrays[key] = make(whole)
        array = whole._arrays[key]
        return array if within is None else array[within]

    def score(self, name: str) -> FloatArray:
        """Return the score of each row, NaN where it has none, shape (rows,)."""
        return self._rows.score(name)

    def has_score(self, name: str) -> BoolArray:
        """Return which rows have a score, shape (rows,)."""
        return self._rows.scores.where(lambda names: name in names)

    @property
    def failed(self) -> BoolArray:
        """Which trials failed, shape (rows,)."""
        return self.attribute("failed").equal(True)

    def clusters(self, among: IntArray | BoolArray | None = None) -> Clusters:
        """Return the partition of the rows, or of those at some places."""
        whole, within = self._place
        if among is not None:
            within = np.arange(len(self.rows))[among] if within is None else within[among]
        return whole._clusters if within is None else whole._clusters.part(within)

    @cached_property
    def scores(self) -> frozenset[str]:
        """The names of the scores that rows have."""
        return frozenset(name for names in self._rows.scores.present for name in names)

    @cached_property
    def twice(self) -> tuple[str, str] | None:
        """Sample and condition of the first trial that is there twice, None if none is."""
        samples, conditions = self.attribute("sample_id"), self.attribute("condition")
        keys = Coded(list(map(condition_key, conditions.values)), conditions.codes).merged()
        trials = samples.codes.astype(np.intp) * len(keys.values) + keys.codes
        again = np.ones(len(trials), dtype=bool)
        again[np.unique(trials, return_index=True)[1]] = False
        for place in np.flatnonzero(again)[:1]:
            return samples.values[samples.codes[place]], keys.values[keys.codes[place]]
        return None

    @cached_property
    def _rows(self) -> TableRows:
        return TableRows.of(self.rows)

    @property
    def _place(self) -> tuple[Table, IntArray | None]:
        return (self, None) if self._within is None else self._within

    @cached_property
    def _coded(self) -> dict[str, Coded]:
        return {}

    @cached_property
    def _arrays(self) -> dict[Hashable, Array]:
        return {}

    @cached_property
    def _clusters(self) -> Clusters:
        return Clusters.numbered(self.attribute("cluster").ranks(str))


class Metric(Protocol):
    """Turns a table into results. Implementations are ``configurable`` classes."""

    def __call__(self, table: Table) -> list[Result]:
        """Compute the metric; an empty table gives results whose value is None."""
        ...


METRICS: Registry[type[Metric]] = Registry(
    "metric",
    {
        "accuracy": "vlm_eval.metrics.accuracy:Accuracy",
        "paired_difference": "vlm_eval.metrics.paired:PairedDifference",
        "parse_failures": "vlm_eval.metrics.accuracy:ParseFailures",
        "fixation": "vlm_eval.metrics.fixation:Fixation",
        "versus_base": "vlm_eval.metrics.fixation:VersusBase",
        "minimal_pairs": "vlm_eval.metrics.minimal_pairs:MinimalPairs",
        "order_consistency": "vlm_eval.metrics.consistency:OrderConsistency",
        "misalignment": "vlm_eval.metrics.misalignment:Misalignment",
        "top_k": "vlm_eval.metrics.top_k:TopK",
        "chair": "vlm_eval.metrics.chair:Chair",
        "presence": "vlm_eval.metrics.presence:Presence",
        "stability": "vlm_eval.metrics.stability:Stability",
        "margins": "vlm_eval.metrics.margins:Margins",
        "prior_agreement": "vlm_eval.metrics.prior_agreement:PriorAgreement",
        "decay": "vlm_eval.metrics.decay:Decay",
        "bleu": "vlm_eval.metrics.text_overlap:Bleu",
        "chrf": "vlm_eval.metrics.text_overlap:ChrF",
        "grouped_accuracy": "vlm_eval.metrics.grouped:GroupedAccuracy",
        "pair_scores": "vlm_eval.metrics.pair_scores:PairScores",
        "prior_bias": "vlm_eval.metrics.bias:PriorBias",
        "representation_stability": (
            "vlm_eval.metrics.representation_stability:RepresentationStability"
        ),
        "drift": "vlm_eval.metrics.representation_drift:Drift",
        "drift_flips": "vlm_eval.metrics.representation_flips:DriftFlips",
        "dirichlet": "vlm_eval.metrics.representation_energy:Dirichlet",
        "cka": "vlm_eval.metrics.representation_cka:Cka",
        "coherence": "vlm_eval.metrics.coherence:Coherence",
    },
    "vlm_eval.metrics",
)
