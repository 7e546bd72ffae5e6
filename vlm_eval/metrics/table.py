"""The scored table that metrics read: one row a trial, joined by sample id and condition."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, NamedTuple, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from vlm_eval.core.capture import Captured
from vlm_eval.core.registry import Registry
from vlm_eval.core.types import Condition, Level, condition_keys
from vlm_eval.core.values import value
from vlm_eval.stats.clusters import BoolArray, Clusters, FloatArray, IntArray
from vlm_eval.stats.results import Comparison, Estimate

Result: TypeAlias = Estimate | Comparison
Array: TypeAlias = npt.NDArray[Any]


@value(frozen=True, slots=True)
class TableRow:
    """One scored trial.

    Attributes
    ----------
    sample_id, cluster, condition
        Identity of the trial, and what it shares randomness with.
    fields
        The JSON-able fields of the sample under this condition, for slices (game, category).
    gold
        The right answer.
    answer
        The parsed answer; None if unparsed or failed.
    scores
        Per-trial scores by name; ``accuracy`` is 1.0 when the answer equals the gold answer and
        0.0 otherwise, unparsed included. Empty when the trial failed.
    failed
        Whether the model gave no answer at all. Failed trials carry no score and drop their pair.
    choices, logprobs, token_counts
        The options and their log-likelihoods, where options were scored.
    image_tokens
        How many tokens stood for the images in the prompt; None if the backend could not tell.
    parser_rule
        The parser rule that fired.
    literal
        What the paper's own parser made of the same text: answer (None if nothing), where the task
        has one and text was generated; absent otherwise (see ``scores["accuracy_literal"]``).
    also
        The same of each other parser that the task names, by its name
        (see ``scores["accuracy_NAME"]``).
    text
        The generated text, unchanged; None where options were scored or the trial failed.
    request
        The hash of what the model was asked, by which captured states are found.
    """

    sample_id: str
    cluster: str
    condition: Condition
    fields: Mapping[str, Any]
    gold: str
    answer: str | None
    scores: Mapping[str, float]
    failed: bool = False
    choices: tuple[str, ...] | None = None
    logprobs: tuple[float, ...] | None = None
    token_counts: tuple[int, ...] | None = None
    image_tokens: int | None = None
    parser_rule: str = ""
    literal: str | None = None
    also: Mapping[str, str | None] = field(default_factory=dict)
    text: str | None = None
    request: str = ""

    def value(self, name: str) -> Level | None:
        """Return a factor level or, failing that, a field of this row."""
        if name in self.condition:
            return self.condition[name]
        found: Level | None = self.fields.get(name)
        return found


class States(Protocol):
    """The hidden states that were captured with trials, read from disk as they are asked for."""

    def of(self, row: TableRow) -> Captured | None:
        """Return what was captured of a trial, None if nothing."""
        ...


class Coded(NamedTuple):
    """One value a row, each value written once: that of row i is ``values[codes[i]]``.

    Attributes
    ----------
    values
        Distinct values; some may be of no row.
    codes
        Shape (rows,).
    """

    values: Sequence[Any]
    codes: IntArray

    @classmethod
    def of(cls, column: Iterable[Any]) -> Coded:
        """Code a column; values that cannot be hashed are alike if they are written alike."""
        values = list(column)
        try:
            number = {value: code for code, value in enumerate(dict.fromkeys(values))}
            codes = map(number.__getitem__, values)
            return cls(list(number), np.fromiter(codes, dtype=np.intp, count=len(values)))
        except TypeError:
            texts = list(map(repr, values))
            written = dict(zip(texts, values, strict=True))
            coded = cls.of(texts)
            return cls([written[text] for text in coded.values], coded.codes)

    def equal(self, wanted: Any) -> BoolArray:
        """Return which rows have a value, shape (rows,)."""
        places = [code for code, value in enumerate(self.values) if value == wanted]
        return np.isin(self.codes, places)


@dataclass(frozen=True)
class Table:
    """All scored trials of one task and one model, or a part of them.

    What metrics read of rows again and again (scores, clusters, levels) is read once, of the whole
    table, and kept as arrays; parts that are made by `where`, `split` or `take` use these.

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
    rows: tuple[TableRow, ...]
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
        made = replace(self, rows=tuple(map(self.rows.__getitem__, places.tolist())))
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

    def column(self, name: str) -> list[Level | None]:
        """Return the factor level or field of each row, as `TableRow.value` does."""
        return [
            row.condition[name] if name in row.condition else row.fields.get(name)
            for row in self.rows
        ]

    def codes(self, name: str) -> Coded:
        """Return the factor level or field of each row, coded."""
        whole, within = self._place
        if name not in whole._coded:
            whole._coded[name] = Coded.of(whole.column(name))
        coded = whole._coded[name]
        return coded if within is None else Coded(coded.values, coded.codes[within])

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
        return self.derived(
            ("score", name),
            lambda whole: np.array([row.scores.get(name, np.nan) for row in whole.rows], float),
        )

    def has_score(self, name: str) -> BoolArray:
        """Return which rows have a score, shape (rows,)."""
        return self.derived(
            ("has_score", name),
            lambda whole: np.array([name in row.scores for row in whole.rows], bool),
        )

    @property
    def failed(self) -> BoolArray:
        """Which trials failed, shape (rows,)."""
        return self.derived(
            "failed", lambda whole: np.array([row.failed for row in whole.rows], bool)
        )

    def clusters(self, among: IntArray | BoolArray | None = None) -> Clusters:
        """Return the partition of the rows, or of those at some places."""
        whole, within = self._place
        if among is not None:
            within = np.arange(len(self.rows))[among] if within is None else within[among]
        return whole._clusters if within is None else whole._clusters.part(within)

    @cached_property
    def scores(self) -> frozenset[str]:
        """The names of the scores that rows have."""
        return frozenset(name for row in self.rows for name in row.scores)

    @cached_property
    def twice(self) -> tuple[str, str] | None:
        """Sample and condition of the first trial that is there twice, None if none is."""
        seen: set[tuple[str, str]] = set()
        conditions = condition_keys(row.condition for row in self.rows)
        for row, condition in zip(self.rows, conditions, strict=True):
            trial = (row.sample_id, condition)
            if trial in seen:
                return trial
            seen.add(trial)
        return None

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
        return Clusters.of(row.cluster for row in self.rows)


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
