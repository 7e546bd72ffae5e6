"""``vlm_eval analyze coherence``: whether an answer needs several bands of frequency at once.

The questions of clean trials are asked again about their images low-passed and high-passed at
several cutoffs, and about the images' mean colours. What comes of it is what the metric
``coherence`` (:mod:`vlm_eval.metrics.coherence`, which has the formulas) gives of a task whose
conditions these are, such as ``pope-frequency``.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice, pairwise
from typing import Annotated, Any, Literal

from pydantic import Field

from vlm_eval.core.errors import TaskError
from vlm_eval.core.hashing import digest
from vlm_eval.core.options import configurable
from vlm_eval.core.types import Answer, ImageRef, Level, Request
from vlm_eval.internals.base import Study
from vlm_eval.internals.findings import Findings, Panel
from vlm_eval.internals.ledger import Ledger
from vlm_eval.internals.trials import any_differs, clean_rows, drawn, with_images
from vlm_eval.metrics.coherence import CUTOFFS
from vlm_eval.metrics.coherence import Coherence as Measure
from vlm_eval.metrics.table import Table, TableRow
from vlm_eval.models.base import Model
from vlm_eval.stats.results import Estimate
from vlm_eval.transforms.apply import apply
from vlm_eval.transforms.base import Transform
from vlm_eval.transforms.spectral import Cutoff, DcOnly, HighPass, LowPass

FACTOR, CLEAN, MEAN = "band", "clean", "dc_only"
_TOGETHER = 16  # samples that are asked in one call


@configurable
class Coherence:
    """Margins by band of spatial frequency, and what the bands have together and not alone.

    All of it is **our default**: the paper (arXiv 2602.06652) has no formula.

    Attributes
    ----------
    cutoffs
        Of the low and high passes, rising; a radius of the spectrum over the largest one.
    margin
        Of which option: ``anchored``, the clean answer; ``correct``, the right one.
    samples
        At most this many samples, drawn by the run's seed; None for all.
    """

    cutoffs: Annotated[tuple[Cutoff, ...], Field(min_length=1)] = CUTOFFS
    margin: Literal["anchored", "correct"] = "anchored"
    samples: Annotated[int, Field(ge=1)] | None = 100

    def __post_init__(self) -> None:
        if any(one >= other for one, other in pairwise(self.cutoffs)):
            raise ValueError("cutoffs must rise")

    def __call__(self, study: Study) -> Findings:
        """Ask what has not been asked yet, and summarise.

        Raises
        ------
        TaskError
            If no clean trial has scored options and an image.
        """
        clean = clean_rows(study, "coherence")
        rows = drawn(clean, self.samples, study.seed, "coherence")
        with Ledger(study.folder / "ledger.jsonl", study.model) as ledger:
            self._ask(study, rows, ledger)
            made = tuple(_rows(rows, list(self._bands()), ledger))
        if not made:
            raise TaskError(
                "no clean trial that shows an image was answered again",
                where=study.task.name,
                hint="coherence needs a task about images",
            )
        return self._findings(study, made, {"clean trials": len(clean), "chosen": len(rows)})

    @property
    def _measure(self) -> Measure:
        return Measure(cutoffs=self.cutoffs, margin=self.margin, dc=MEAN)

    def _places(self) -> dict[Level, dict[str, Level]]:
        """Return where a band lies, by the name that the metric has for it."""
        names = {"low": self._measure.low, "high": self._measure.high}
        return {
            name.format(cutoff): {"pass": which, "cutoff": cutoff}
            for which, name in names.items()
            for cutoff in self.cutoffs
        }

    def _bands(self) -> Mapping[Level, list[Transform]]:
        """Return what is done to the images, by the name of the band.

        At cutoff 1 the passes leave the image and its mean: next to these, which are asked once.
        """
        low, high = self._measure.low.format, self._measure.high.format
        made: dict[Level, list[Transform]] = {CLEAN: []}
        for cutoff in reversed(self.cutoffs):
            made[low(cutoff)] = [LowPass(cutoff=cutoff)]
        for cutoff in self.cutoffs:
            made[high(cutoff)] = [HighPass(cutoff=cutoff)]
        return {**made, MEAN: [DcOnly()]}

    def _ask(self, study: Study, rows: Sequence[TableRow], ledger: Ledger) -> None:
        bands = self._bands()
        missing = {
            row.request: left
            for row in rows
            if (left := [band for band in bands if _key(row.request, band) not in ledger])
        }
        if not missing:
            return
        wanted = frozenset(missing)
        trials = study.trials(lambda row: row.request in wanted and not any_differs(row, study))
        model: Model = study.load(inside=False)
        shown = iter(study.track(trials, len(missing), "asking by band"))
        while group := list(islice(shown, _TOGETHER)):
            asked: dict[str, tuple[str, Request]] = {}
            for trial, _ in group:
                left = missing.pop(trial.request.id, []) if trial.request.images else []
                for band in left:
                    request = _through(trial.request, band, bands[band])
                    asked[request.id] = _key(trial.request.id, band), request
            for response in model.loglikelihood([request for _, request in asked.values()]):
                if isinstance(response.outcome, Answer) and response.outcome.logprobs:
                    ledger[asked[response.request_id][0]] = list(response.outcome.logprobs)

    def _findings(
        self, study: Study, made: tuple[TableRow, ...], counts: Mapping[str, int]
    ) -> Findings:
        bands = tuple(self._bands())
        table = Table(study.task.name, {FACTOR: bands}, made)
        places = self._places()
        answered = {row.sample_id for row in made}
        again = [row for row in made if row.condition[FACTOR] == CLEAN]
        facts = {
            **counts,
            "asked": len(answered),
            "questions": len(made),
            "clean answers that differ from the run's": sum(
                row.answer != _best(row) for row in again
            ),
        }
        options: dict[str, Any] = dataclasses.asdict(self)
        return study.findings(
            "coherence",
            {**options, "cutoffs": list(self.cutoffs)},
            estimates=tuple(
                dataclasses.replace(e, where=places.get(e.where.get(FACTOR, ""), e.where))
                for e in self._measure(table)
                if isinstance(e, Estimate)
            ),
            panels=_PANELS,
            facts=facts,
            notes=tuple(self._notes(counts["chosen"] * len(bands) - len(made))),
        )

    def _notes(self, left_out: int) -> Iterator[str]:
        yield (
            "a filtered image is also unlike anything that a model was trained on: a margin that "
            "falls with it does not say that the model uses these frequencies"
        )
        if self.cutoffs[-1] == 1:
            yield "at cutoff 1 the low-pass is the image itself, so that the gap is 0 or less"
        if left_out:
            yield (
                f"{left_out:,} questions about a band were not answered, show no image, or could "
                "not be rendered again"
            )


_PANELS = (
    Panel(
        title="What the two bands have together and neither has alone",
        axis="cutoff",
        names=("coherence_gap", "synergy"),
    ),
    Panel(
        title="Margin of the answer on low-passed and high-passed images",
        axis="cutoff",
        names=("band_margin",),
    ),
)


def _key(request: str, band: Level) -> str:
    return f"{request} {band}"


def _through(request: Request, band: Level, transforms: Sequence[Transform]) -> Request:
    """Return a request about what is left of its images; without transforms itself."""
    if not transforms:
        return request

    def change(image: ImageRef) -> ImageRef:
        return apply(transforms, image, 0)

    match = request.match
    if match is not None:
        match = dataclasses.replace(match, images=tuple(map(change, match.images)))
    return dataclasses.replace(
        request,
        id=digest([request.id, band]),
        messages=with_images(request.messages, change),
        match=match,
    )


def _rows(clean: Sequence[TableRow], bands: Sequence[Level], scores: Ledger) -> Iterator[TableRow]:
    """Yield what was answered as trials of a task with the factor of bands."""
    for row in clean:
        for band in bands:
            key = _key(row.request, band)
            if key not in scores:
                continue
            made = dataclasses.replace(
                row, condition={FACTOR: band}, logprobs=tuple(scores[key]), token_counts=None
            )
            answer = row.answer if band == CLEAN else _best(made)
            accuracy = {"accuracy": float(answer == row.gold)}
            yield dataclasses.replace(made, answer=answer, scores=accuracy)


def _best(row: TableRow) -> str:
    """Return the first of the options with the largest score."""
    assert row.choices is not None
    assert row.logprobs is not None
    return row.choices[row.logprobs.index(max(row.logprobs))]
