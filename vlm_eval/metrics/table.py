"""The scored table that metrics read: one row a trial, joined by sample id and condition."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import repeat
from typing import Any, Protocol, TypeAlias

from vlm_eval.core.capture import Captured
from vlm_eval.core.registry import Registry
from vlm_eval.core.types import Condition, Level, condition_key
from vlm_eval.stats.results import Comparison, Estimate

Result: TypeAlias = Estimate | Comparison


@dataclass(frozen=True)
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


@dataclass(frozen=True)
class Table:
    """All scored trials of one task and one model.

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

    def where(self, **values: Level) -> Table:
        """Return the table of the rows with these factor levels or fields."""
        kept = self
        for name, wanted in values.items():
            rows = zip(kept.rows, kept.column(name), strict=True)
            kept = replace(self, rows=tuple([row for row, found in rows if found == wanted]))
        return kept

    def split(self, *names: str) -> dict[tuple[Level | None, ...], Table]:
        """Return the tables of the rows that are alike in these factor levels or fields."""
        found: dict[tuple[Level | None, ...], list[TableRow]] = {}
        places = zip(*map(self.column, names), strict=True) if names else repeat(())
        for row, place in zip(self.rows, places, strict=False):
            found.setdefault(place, []).append(row)
        return {place: replace(self, rows=tuple(rows)) for place, rows in found.items()}

    def column(self, name: str) -> list[Level | None]:
        """Return the factor level or field of each row, as `TableRow.value` does."""
        return [
            row.condition[name] if name in row.condition else row.fields.get(name)
            for row in self.rows
        ]

    @cached_property
    def scores(self) -> frozenset[str]:
        """The names of the scores that rows have."""
        return frozenset(name for row in self.rows for name in row.scores)

    @cached_property
    def twice(self) -> tuple[str, str] | None:
        """Sample and condition of the first trial that is there twice, None if none is."""
        seen: set[tuple[str, str]] = set()
        for row in self.rows:
            trial = (row.sample_id, condition_key(row.condition))
            if trial in seen:
                return trial
            seen.add(trial)
        return None


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
        "prior_bias": "vlm_eval.metrics.bias:PriorBias",
    },
    "vlm_eval.metrics",
)
