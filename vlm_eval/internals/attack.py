"""``vlm_eval analyze attack``: how little must change in the image for another answer, by band.

For each clean trial with options, projected gradient descent (:mod:`vlm_eval.internals.pgd`) makes
the log-likelihood s(y0) of the clean answer's text small, over all pixels (``pixel``), or within
the low or high spatial frequencies. y0 and y' are the options of largest s before and after::

    success = y' != y0 and s'(y0) < s(y0)
    margin  = s(y0) - max over y != y0 of s(y)      after: with s', y0 as before
    leakage = share of the change's energy outside the band, after the clamps
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal

import torch
from pydantic import Field
from torch import Tensor

from vlm_eval.core.errors import TaskError
from vlm_eval.core.hashing import derive_rng
from vlm_eval.core.options import configurable
from vlm_eval.core.types import Request
from vlm_eval.internals.bands import Mode, energies, mask
from vlm_eval.internals.base import Study
from vlm_eval.internals.findings import Findings, Panel
from vlm_eval.internals.ledger import Ledger
from vlm_eval.internals.pgd import Budget, Clamp, Score, descend
from vlm_eval.internals.pixels import Bounds, layout_of
from vlm_eval.internals.trials import any_differs, clean_rows, drawn
from vlm_eval.metrics.table import TableRow
from vlm_eval.stats.clusters import Clusters
from vlm_eval.stats.mean import clustered_mean, measured_mean
from vlm_eval.stats.results import Estimate

SHARES = ("success", "flip", "flip_without_decrease")
NATS = ("score_change", "margin_before", "margin_after")
ENERGY = ("leakage", "low_frequency_share")
NORMS = ("largest_change", "rms_change")
_WHICH = ("modes", "samples")  # options that say what is attacked, not how
Value = Mapping[str, Any]


@configurable
class Attack:
    """Band-limited PGD on the image of clean trials.

    Attributes
    ----------
    modes
        Which frequencies may change: ``pixel`` (all), ``low``, ``high`` (**code**).
    eps, step
        Largest change of a pixel, and change in one step (8/255 and 2/255: **code**), on the scale
        below.
    scale
        ``normalized``: the [-1, 1] scale of processors with mean and std 0.5, as in the published
        code, so that 8/255 is 4/255 in true pixels (**code**); with other means the same true
        change is meant. ``pixel``: true pixels in [0, 1], twice as much (**our default** variant).
    steps
        How many (10: **code**).
    cutoff
        Radius between low and high, over the largest radius (0.25: **code**).
    clamp
        ``literal``: projection, clamp to eps, clamp to valid pixels, in this order (**code**).
        ``shrink``: in place of the first clamp the change is scaled down, which keeps the band.
    random_start
        Begin with a uniform change within eps, drawn by the run's seed (False: **code**).
    samples
        At most this many samples, drawn by the run's seed; None for all. **Our default**.
    """

    modes: tuple[Mode, ...] = ("pixel", "low", "high")
    eps: Annotated[float, Field(gt=0, le=2)] = 8 / 255
    step: Annotated[float, Field(gt=0, le=2)] = 2 / 255
    scale: Literal["normalized", "pixel"] = "normalized"
    steps: Annotated[int, Field(ge=1)] = 10
    cutoff: Annotated[float, Field(gt=0, lt=1)] = 0.25
    clamp: Clamp = "literal"
    random_start: bool = False
    samples: Annotated[int, Field(ge=1)] | None = 100

    def __post_init__(self) -> None:
        if not self.modes or len(set(self.modes)) < len(self.modes):
            raise ValueError("modes must be distinct, and at least one")

    def __call__(self, study: Study) -> Findings:
        """Attack what has not been attacked yet, and summarise.

        Raises
        ------
        TaskError
            If no clean trial has options and an image.
        ModelError
            If the model's images are prepared to something else than pictures or Qwen's patches.
        """
        clean = clean_rows(study, "attack")
        rows = drawn(clean, self.samples, study.seed, "attack")
        asks = {name: value for name, value in self._options().items() if name not in _WHICH}
        with Ledger(study.folder / "ledger.jsonl", [asks, study.model, study.seed]) as ledger:
            self._attack(study, rows, ledger)
            found = {
                mode: [(row, ledger[key]) for row in rows if (key := _key(row, mode)) in ledger]
                for mode in self.modes
            }
        if not any(found.values()):
            raise TaskError(
                "no clean trial shows an image to the model",
                where=study.task.name,
                hint="attack needs a task about images",
            )
        return self._findings(study, found, {"clean trials": len(clean), "chosen": len(rows)})

    def _options(self) -> dict[str, Any]:
        values: dict[str, Any] = dataclasses.asdict(self)
        return {**values, "modes": list(self.modes)}

    def _attack(self, study: Study, rows: Sequence[TableRow], ledger: Ledger) -> None:
        missing = {
            row.request: left
            for row in rows
            if (left := [mode for mode in self.modes if _key(row, mode) not in ledger])
        }
        if not missing:
            return
        wanted = frozenset(missing)
        trials = study.trials(lambda row: row.request in wanted and not any_differs(row, study))
        model = study.load()
        for trial, row in study.track(trials, len(missing), "attacking"):
            if not trial.request.images or row.request not in missing:
                continue
            one = _Target(model, trial.request)
            for mode in missing.pop(row.request, ()):
                rng_names = ("attack", row.request, mode)
                ledger[_key(row, mode)] = self._one(one, mode, study.seed, rng_names)

    def _one(self, one: _Target, mode: Mode, seed: int, names: Sequence[str]) -> dict[str, Any]:
        budget = self._budget(one.bounds)
        masks = [mask(mode, view, self.cutoff) for view in one.views]
        start = self._start(one, budget, seed, names) if self.random_start else None
        changes = descend(one.score, one.views, budget, masks, start)
        return {**one.compare(changes), **self._spectrum(changes, mode), **one.norms(changes)}

    def _budget(self, bounds: Bounds) -> Budget:
        unit = (0.5 if self.scale == "normalized" else 1.0) / bounds.std
        return Budget(
            eps=self.eps * unit, step=self.step * unit, low=bounds.low, high=bounds.high,
            steps=self.steps, clamp=self.clamp,
        )  # fmt: skip

    def _start(self, one: _Target, budget: Budget, seed: int, names: Sequence[str]) -> list[Tensor]:
        found = []
        for i, view in enumerate(one.views):
            drawn = derive_rng(seed, *names, i).uniform(-1, 1, tuple(view.shape))
            found.append(torch.from_numpy(drawn).to(view) * budget.eps)
        return found

    def _spectrum(self, changes: Sequence[Tensor], mode: Mode) -> dict[str, float | None]:
        """Return the share of energy out of the mode's band, and at low frequencies."""
        bands: dict[str, Mode] = {"leakage": mode, "low_frequency_share": "low"}
        shares: dict[str, float | None] = {}
        for name, band in bands.items():
            kept = [(change, mask(band, change, self.cutoff)) for change in changes]
            parts = [energies(change, m) for change, m in kept if m is not None]
            whole = sum(total for _, total in parts)
            inside = sum(part for part, _ in parts) / whole if whole else None
            shares[name] = inside if inside is None or name != "leakage" else max(0.0, 1 - inside)
        return shares

    def _findings(
        self,
        study: Study,
        found: Mapping[Mode, Sequence[tuple[TableRow, Value]]],
        counts: Mapping[str, int],
    ) -> Findings:
        attacked = max(map(len, found.values()))
        estimates = [e for mode, rows in found.items() for e in _estimates(mode, rows)]
        names = {e.name for e in estimates}
        eps = self.eps * 255 / (2 if self.scale == "normalized" else 1)
        every = [pair for rows in found.values() for pair in rows]
        views = max(value["views"] for _, value in every)
        differing = {row.request for row, value in every if row.answer != value["clean"]}
        facts = {
            **counts,
            "attacked": attacked,
            "largest change, levels of 255": round(eps, 6),
            "views of an image": views,
            "clean answers that differ from the run's": len(differing),
        }
        return study.findings(
            "attack",
            self._options(),
            estimates=tuple(estimates),
            panels=tuple(panel for panel in _PANELS if names & set(panel.names)),
            facts=facts,
            notes=tuple(self._notes(eps, views, counts["chosen"] - attacked)),
        )

    def _notes(self, eps: float, views: int, left_out: int) -> Iterator[str]:
        if self.scale == "normalized":
            yield (
                f"eps is {255 * self.eps:g}/255 on the [-1, 1] scale of the published code, which "
                f"is {eps:g}/255 in true pixels; scale=pixel means true pixels"
            )
        yield (
            "an attack sees the model's gradients: it shows how near another answer is, not how "
            "often a change of this size by chance leads to it"
        )
        if self.clamp == "literal":
            yield (
                "the clamps come after the projection, as published, so that part of the change "
                "lies outside its band: see leakage"
            )
        if views > 1:
            yield (
                f"the processor cuts an image into up to {views} views; each is changed on its "
                "own, and a band is a band of a view"
            )
        if left_out:
            yield f"{left_out:,} chosen trials show no image, or could not be rendered again"


class _Target:
    """One request: its views, and the scores of its options as a function of them."""

    def __init__(self, model: Any, request: Request) -> None:
        self._scores = model.pixel_scores(request)
        self._choices = request.choices or ()
        self._layout = layout_of(self._scores.tensors, model.image_processor)
        self.views = self._layout.views(self._scores.pixels)
        self.bounds = Bounds.of(model.image_processor).to(self._scores.pixels.device)
        self.bounds.check(self.views)
        self._before = self._all(self.views)
        self._answer = _best(self._before)

    @property
    def score(self) -> Score:
        """s(y0) as a function of the views."""
        return lambda views: self._scores(self._layout.values(views), [self._answer])[0]

    @torch.no_grad()
    def _all(self, views: Sequence[Tensor]) -> list[float]:
        found: list[float] = self._scores(self._layout.values(views)).tolist()
        return found

    def compare(self, changes: Sequence[Tensor]) -> dict[str, Any]:
        """Return the options' scores, answers and margins before and after."""
        views = [view + change for view, change in zip(self.views, changes, strict=True)]
        before, after, y0 = self._before, self._all(views), self._answer
        flip, less = _best(after) != y0, after[y0] < before[y0]
        return {
            "clean": self._choices[y0],
            "answer": self._choices[_best(after)],
            "before": before,
            "after": after,
            "flip": flip,
            "success": flip and less,
            "flip_without_decrease": flip and not less,
            "score_change": after[y0] - before[y0],
            "margin_before": _margin(before, y0),
            "margin_after": _margin(after, y0),
            "views": sum(len(view) for view in self.views),
        }

    def norms(self, changes: Sequence[Tensor]) -> dict[str, float]:
        """Return the largest and the root mean square change, in levels of 255 of true pixels."""
        true = [255 * change.double() * self.bounds.std for change in changes]
        count = sum(change.numel() for change in true)
        square = sum(float(change.square().sum()) for change in true) / count
        largest = max(float(change.abs().max()) for change in true)
        return {"largest_change": largest, "rms_change": square**0.5}


_PANELS = (
    Panel(title="Clean answers that the attack changes", axis="mode", names=SHARES),
    Panel(
        title="Margin of the clean answer over the next one",
        axis="mode",
        names=("margin_before", "margin_after"),
    ),
    Panel(title="Where the energy of the change lies", axis="mode", names=ENERGY),
)


def _estimates(mode: Mode, rows: Sequence[tuple[TableRow, Value]]) -> Iterator[Estimate]:
    kinds = {"": SHARES + ENERGY, "nats": NATS, "levels of 255": NORMS}
    for unit, names in kinds.items():
        for name in names:
            known = [(row, float(v[name])) for row, v in rows if v[name] is not None]
            if not known and name == "leakage":
                continue  # there is no outside of all pixels
            average = clustered_mean if name in SHARES else measured_mean
            mean = average(
                [value for _, value in known], Clusters.of(row.cluster for row, _ in known)
            )
            yield mean.estimate(
                name, {"mode": mode}, unit=unit, signed=name in NATS,
                lower_is_better=name in SHARES,
            )  # fmt: skip


def _key(row: TableRow, mode: Mode) -> str:
    return f"{row.request} {mode}"


def _best(scores: Sequence[float]) -> int:
    """Return the first of the largest scores."""
    return max(range(len(scores)), key=lambda i: (scores[i], -i))


def _margin(scores: Sequence[float], y0: int) -> float:
    return scores[y0] - max(score for i, score in enumerate(scores) if i != y0)
