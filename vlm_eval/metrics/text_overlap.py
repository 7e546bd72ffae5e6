"""BLEU and chrF of generated texts against references, as sacrebleu computes them.

Both are corpus scores: functions of sums over texts of matching and total n-grams (and lengths).
Clusters can therefore be resampled by resampling their sums, and every replicate is a true corpus
score, not a mean of sentence scores.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeAlias

import numpy as np

from vlm_eval.core.errors import TaskError, did_you_mean
from vlm_eval.core.hashing import derive_rng
from vlm_eval.core.options import configurable
from vlm_eval.core.types import Level
from vlm_eval.metrics.accuracy import by_level
from vlm_eval.metrics.checks import check_trials
from vlm_eval.metrics.slices import By
from vlm_eval.metrics.table import Result, Table, TableRow
from vlm_eval.stats.bootstrap import cluster_bootstrap
from vlm_eval.stats.clusters import Clusters, FloatArray
from vlm_eval.stats.intervals import UNKNOWN, Interval
from vlm_eval.stats.paired import SEED
from vlm_eval.stats.results import Estimate

_Corpus: TypeAlias = Any
"""One of sacrebleu's metrics. Its sums are read through two methods that it does not document,
``_extract_corpus_statistics`` and ``_compute_score_from_stats``; a test compares with its own
``corpus_score``."""


@configurable
class Bleu:
    """Corpus BLEU in [0, 1] (printed in %, which is sacrebleu's own scale).

    sacrebleu's defaults (Post 2018; Papineni et al. 2002): n-grams up to 4, brevity penalty,
    tokenizer 13a, exponential smoothing, case kept. Failed trials and samples without a reference
    do not enter; an empty text does, and matches nothing.

    Attributes
    ----------
    references
        The field that holds one reference or a list of them, or several such fields; absent: the
        gold answer.
    tokenize
        sacrebleu's tokenizer: ``13a``, ``intl``, ``char``, ``zh`` or ``none``.
    lowercase
        Whether case is ignored.
    by
        Factors or fields to break the result down by.
    """

    references: str | tuple[str, ...] | None = None
    tokenize: Literal["13a", "intl", "char", "zh", "none"] = "13a"
    lowercase: bool = False
    by: By = ()

    def __call__(self, table: Table) -> list[Result]:
        """Return estimates named ``bleu``: overall, at each level of each factor, and by slice."""
        return _scores(table, "bleu", self._metric(), self.references, self.by)

    def signature(self) -> str:
        """Return sacrebleu's signature of these settings, for papers."""
        return _signature(self._metric())

    def _metric(self) -> _Corpus:
        from sacrebleu.metrics.bleu import BLEU

        return BLEU(lowercase=self.lowercase, tokenize=self.tokenize)


@configurable
class ChrF:
    """Corpus chrF in [0, 1] (printed in %, which is sacrebleu's own scale).

    Character n-grams up to 6, beta 2 (Popović 2015); with ``word_order`` 2 it is chrF++.

    Attributes
    ----------
    references
        As for ``bleu``.
    word_order
        Length of the word n-grams that count too, 0 to 4.
    lowercase
        Whether case is ignored.
    by
        Factors or fields to break the result down by.
    """

    references: str | tuple[str, ...] | None = None
    word_order: Literal[0, 1, 2, 3, 4] = 0
    lowercase: bool = False
    by: By = ()

    def __call__(self, table: Table) -> list[Result]:
        """Return estimates named ``chrf``: overall, at each level of each factor, and by slice."""
        return _scores(table, "chrf", self._metric(), self.references, self.by)

    def signature(self) -> str:
        """Return sacrebleu's signature of these settings, for papers."""
        return _signature(self._metric())

    def _metric(self) -> _Corpus:
        from sacrebleu.metrics.chrf import CHRF

        return CHRF(word_order=self.word_order, lowercase=self.lowercase)


def _signature(metric: _Corpus) -> str:
    metric._extract_corpus_statistics(["a"], [["a"]])  # sacrebleu notes the references' number
    return str(metric.get_signature())


def _scores(
    table: Table,
    name: str,
    metric: _Corpus,
    references: str | tuple[str, ...] | None,
    by: By,
) -> list[Result]:
    check_trials(table, "accuracy")
    fields = (references,) if isinstance(references, str) else references
    _check_fields(table, fields)
    found: list[Result] = []
    for where, part in by_level(table, by):
        pairs = [(row, _references(row, fields)) for row in part.rows if row.text is not None]
        found.append(_estimate([pair for pair in pairs if pair[1]], name, metric, where, table))
    return found


def _check_fields(table: Table, fields: tuple[str, ...] | None) -> None:
    known = {name for row in table.rows for name in row.fields}
    for name in fields or ():
        if table.rows and name not in known:
            raise TaskError(
                f"a metric asks for the references {name!r}, which no row has",
                where=table.task,
                hint=did_you_mean(name, known),
            )


def _references(row: TableRow, fields: tuple[str, ...] | None) -> list[str]:
    found = [row.gold] if fields is None else [row.fields.get(name) for name in fields]
    texts: list[str] = []
    for entry in found:
        several = entry if isinstance(entry, (list, tuple)) else [entry]
        texts += [str(text) for text in several if text is not None]
    return texts


def _estimate(
    pairs: Sequence[tuple[TableRow, list[str]]],
    name: str,
    metric: _Corpus,
    where: Mapping[str, Level],
    table: Table,
) -> Estimate:
    if not pairs:
        return Estimate(name, dict(where), None, None, *UNKNOWN[:2], n=0, clusters=0, method="none")
    clusters = Clusters.of(row.cluster for row, _ in pairs)
    most = max(len(references) for _, references in pairs)
    streams = [[refs[i] if i < len(refs) else None for _, refs in pairs] for i in range(most)]
    texts = [row.text or "" for row, _ in pairs]
    stats = np.array(metric._extract_corpus_statistics(texts, streams), dtype=np.float64)

    def score(totals: FloatArray) -> FloatArray:
        found = [metric._compute_score_from_stats(list(row)).score / 100 for row in totals]
        return np.array(found)

    value = float(score(stats.sum(axis=0)[np.newaxis])[0])
    rng = derive_rng(SEED, table.task, name, "bootstrap")
    spread = cluster_bootstrap(clusters.sums(stats), score, rng)
    interval = UNKNOWN
    if spread.low is not None and spread.high is not None and spread.high > spread.low:
        interval = Interval(spread.low, spread.high, "cluster_bootstrap")
    return Estimate(
        name,
        dict(where),
        value,
        spread.se,
        interval.low,
        interval.high,
        n=len(pairs),
        clusters=clusters.count,
        method=interval.method,
    )
