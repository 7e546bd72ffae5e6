"""Object hallucination in free text, counted by mention and by text: CHAIR.

Rohrbach et al. 2018 (arXiv 1809.02156): CHAIRi is the share of object mentions that are
hallucinated, every repetition counting; CHAIRs the share of texts with one. Recall and cover are
what AMBER (arXiv 2311.07397) sets beside it: a text that mentions nothing hallucinates nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import field
from functools import lru_cache

from vlm_eval.core.errors import TaskError
from vlm_eval.core.options import configurable
from vlm_eval.core.types import Level
from vlm_eval.data.lexicon.lexicon import load_lexicon
from vlm_eval.data.lexicon.mentions import Profile, find_mentions
from vlm_eval.metrics.checks import check_field, check_level, check_trials
from vlm_eval.metrics.slices import By, crossed, slices
from vlm_eval.metrics.table import Result, Table, TableRow
from vlm_eval.stats.clusters import Clusters
from vlm_eval.stats.mean import clustered_mean
from vlm_eval.stats.ratio import clustered_ratio
from vlm_eval.stats.results import Estimate

_ERRORS = ("chair_i", "chair_s")


@configurable
class Chair:
    """CHAIR of generated texts, against a field that lists what is there.

    ``chair_i``
        Hallucinated mentions / all mentions, repetitions included; None if nothing is mentioned.
    ``chair_s``
        Share of texts with a hallucinated mention.
    ``chair_recall``
        Classes mentioned / classes there, over all texts together.
    ``chair_cover``
        Mean share of the classes there that a text mentions; texts on scenes without any are left
        out.

    Trials that failed do not enter; neither do those whose options were scored.

    Attributes
    ----------
    truth
        The field that lists the classes that are there, as the lexicon names them.
    lexicon
        ``cityscapes`` or a file, see :func:`vlm_eval.data.lexicon.lexicon.load_lexicon`.
    profile
        ``literal`` counts every term; ``robust`` leaves out what the text takes back.
    where
        Levels of factors to look at: ``{question: description}``.
    by
        Factors or fields to break the results down by. By factors, nothing is pooled over them.
    """

    truth: str
    lexicon: str = "cityscapes"
    profile: Profile = "literal"
    where: Mapping[str, Level] = field(default_factory=dict)
    by: By = ()

    def __post_init__(self) -> None:
        load_lexicon(self.lexicon)

    def __call__(self, table: Table) -> list[Result]:
        """Return the estimates.

        Raises
        ------
        TaskError
            If a factor or level is unknown, or the field is no list.
        """
        for name, level in self.where.items():
            check_level(table, name, level)
        check_trials(table, "accuracy")
        texts = table.where(**self.where)
        self._check(texts)
        count = lru_cache(maxsize=None)(self._mentioned)
        conditions = any(name in table.factors for entry in self.by for name in crossed(entry))
        return [
            estimate
            for place, part in slices(texts, self.by)
            if place or not (conditions and texts.rows)
            for estimate in self._estimates(part, place, count)
        ]

    def _check(self, table: Table) -> None:
        for row in table.rows:
            if not isinstance(row.fields.get(self.truth), list | tuple):
                check_field(table, self.truth)
                raise TaskError(
                    f"chair: the field {self.truth!r} is no list of classes", where=table.task
                )

    def _mentioned(self, text: str) -> tuple[str, ...]:
        found = find_mentions(text, load_lexicon(self.lexicon), self.profile)
        return tuple(mention.name for mention in found)

    def _estimates(
        self, table: Table, where: Mapping[str, Level], count: Callable[[str], tuple[str, ...]]
    ) -> list[Estimate]:
        rows = [
            (row, count(row.text), frozenset(row.fields[self.truth]))
            for row in table.rows
            if row.text is not None and not row.failed
        ]
        wrong = [sum(name not in there for name in said) for _, said, there in rows]
        found = [len(there.intersection(said)) for _, said, there in rows]
        clusters = _clusters([row for row, _, _ in rows])
        known = [
            (row, hit / len(there))
            for (row, _, there), hit in zip(rows, found, strict=True)
            if there
        ]
        cover = [share for _, share in known]
        covered = _clusters([row for row, _ in known])
        means = {
            "chair_i": clustered_ratio(wrong, [len(said) for _, said, _ in rows], clusters),
            "chair_s": clustered_mean([float(n > 0) for n in wrong], clusters),
            "chair_recall": clustered_ratio(found, [len(there) for _, _, there in rows], clusters),
            "chair_cover": clustered_mean(cover, covered),
        }
        return [
            mean.share().estimate(name, where, lower_is_better=name in _ERRORS)
            for name, mean in means.items()
        ]


def _clusters(rows: list[TableRow]) -> Clusters:
    return Clusters.of(row.cluster for row in rows)
