"""Layer-wise supervised probes: what can be read at which layer, the truth or the prior's answer.

After the probing of "Diagnosing Visual Ignorance in Vision-Language Models" (arXiv 2606.06890),
whose code is not public: of the probe itself only "a three-layer MLP per layer, supervised,
ground truth against prior" is confirmed (spec A1). Everything else is our default (spec A4).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from itertools import product
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BeforeValidator, Field

from vlm_eval.core.capture import Site
from vlm_eval.core.errors import TaskError, VlmEvalError
from vlm_eval.core.options import configurable
from vlm_eval.internals.base import Study
from vlm_eval.internals.findings import Findings
from vlm_eval.internals.ledger import Ledger
from vlm_eval.internals.probe_data import States, Wording, context, make_target, texts
from vlm_eval.internals.probe_fits import Fits, Place
from vlm_eval.internals.probe_lens import read_lens
from vlm_eval.internals.probe_nets import Training
from vlm_eval.internals.probe_report import Report
from vlm_eval.models.checkpoint import pick_device
from vlm_eval.prompts import templates

Kind = Literal["mlp", "linear"]
Train = Literal["both", "agreement"]
MIN_GROUPS = 5
"""So that each side of a 60/20/20 split has one."""


def _listed(given: Any) -> Any:
    """Take "mlp+linear" of a command line for a list."""
    return given.split("+") if isinstance(given, str) else given


def _given(text: Any) -> Any:
    """Take the nothing behind "prior=" of a command line for None."""
    return None if text == "" else text


Source = Annotated[str | None, BeforeValidator(_given)]


@configurable
class Probe:
    """Train a probe at every captured layer, and evaluate it on trials of groups held out.

    Rows are split by group into 60, 20 and 20 % for training, validation and test, anew for each
    seed. A probe learns from all rows of its training groups, in conflict with the prior or not,
    and is evaluated on the rows of the test groups that are in conflict: trained on conflict alone
    it could learn "not the prior". Its probabilities are calibrated on validation by a temperature,
    so that layers compare. What is beside the three-layer MLP is our default.

    Attributes
    ----------
    label
        A template, or the name of a field or factor: what is probed for. Several as a mapping from
        names to such; `prior`, `conflict`, `text_only` and `lens` are about the first. Templates
        may use ``gold`` (the right answer), the fields and the factors.
    prior
        The same for the answer that the prior gives, in the words of the first label. None: every
        held-out row is evaluated, and ground truth and prior are not compared.
    conflict
        An expression over fields and factors: the rows that are evaluated. None: those whose label
        is not the prior's.
    group
        A template: rows of one group are never on two sides of a split, and are one cluster. None:
        the trial's cluster.
    among
        A template of what is known of a row without the model (its game, its topic). Control
        labels are drawn among the labels that occur there, and chance is what that gives. None:
        among all.
    control_type
        A template: the rows that have one label in the control task. None: the group.
    text_only
        An expression over fields and factors: trials without the image. Probes of their own are
        trained on them, from which the prior should be read and not the truth.
    train
        ``both``: on rows in conflict and not. ``agreement``: of the first label, also probes that
        are trained only on rows whose right answer is the prior's. These cannot learn to undo the
        prior: of a row in conflict they say which of the two answers its state shows.
    sites
        Where the states are taken.
    probes
        ``mlp`` (confirmed: three layers) and ``linear``.
    control
        Whether probes are also trained on random labels, but for those trained on agreement or on
        trials without the image.
    lens
        Whether the logit lens is read for contrast; loads the model.
    seeds
        How many splits, each with its own probes.
    hidden, dropout, lr, weight_decay, batch, epochs, patience
        See `vlm_eval.internals.probe_nets.Training`.
    train_device
        Where the probes are trained; the lens is read where the model is.
    """

    label: str | dict[str, str] = "gold"
    prior: Source = None
    conflict: Source = None
    group: Source = None
    among: Source = None
    control_type: Source = None
    text_only: Source = None
    train: Annotated[tuple[Train, ...], BeforeValidator(_listed), Field(min_length=1)] = ("both",)
    sites: Annotated[tuple[Site, ...], BeforeValidator(_listed), Field(min_length=1)] = (
        "prompt_last",
    )
    probes: Annotated[tuple[Kind, ...], BeforeValidator(_listed), Field(min_length=1)] = (
        "mlp",
        "linear",
    )
    control: bool = True
    lens: bool = False
    seeds: Annotated[int, Field(ge=1)] = 5
    hidden: Annotated[
        tuple[Annotated[int, Field(ge=1)], ...], BeforeValidator(_listed), Field(min_length=1)
    ] = (1024, 256)
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1
    lr: Annotated[float, Field(gt=0)] = 1e-3
    weight_decay: Annotated[float, Field(ge=0)] = 1e-2
    batch: Annotated[int, Field(ge=1)] = 256
    epochs: Annotated[int, Field(ge=1)] = 100
    patience: Annotated[int, Field(ge=1)] = 10
    train_device: str = "cpu"

    def __post_init__(self) -> None:
        if "agreement" in self.train and self.prior is None and self.conflict is None:
            raise ValueError("agreement needs a prior, or a conflict, that rows can agree with")
        if not self.labels:
            raise ValueError("label names nothing")
        for site in self.sites:
            if site not in ("prompt_last", "vision_mean", "answer_mean", "answer_last"):
                raise ValueError(f"sites: {site} is no single vector a layer")
        for source in (self.conflict, self.text_only):
            if source is not None:
                templates.check_expression(source)
        given = (self.prior, self.group, self.among, self.control_type)
        for source in (*self.labels.values(), *(one for one in given if one is not None)):
            templates.check_template(source)

    @property
    def labels(self) -> dict[str, str]:
        """What is probed for, by name; a template that is one field is called by it."""
        if isinstance(self.label, str):
            name = self.label.strip("{} ")
            return {name if name.isidentifier() else "label": self.label}
        return self.label

    def __call__(self, study: Study) -> Findings:
        """Carry it out. Raises TaskError as the protocol says."""
        fits = self._fits(study)
        with Ledger(study.folder / "probe.jsonl", self._asks(study, fits)) as ledger:
            for place, layer, seed in study.track(fits, len(fits), "probes"):
                name = place.name(layer, seed)
                if name not in ledger:
                    ledger[name] = fits.carry_out(place, layer, seed)
            lens = self._lens(study, fits, ledger)
            return self._findings(study, fits, ledger, lens)

    def _asks(self, study: Study, fits: Fits) -> list[Any]:
        """Return what determines a probe besides its name."""
        names = {"seeds", "sites", "probes", "lens"}
        options = {k: v for k, v in dataclasses.asdict(self).items() if k not in names}
        return [options, study.task.name, study.model, study.seed, fits.digest()]

    def _fits(self, study: Study) -> Fits:
        states, where = States(study, self.sites), f"{study.task.name}: probe"
        rows = states.rows
        groups = [row.cluster for row in rows]
        if self.group is not None:
            groups = texts(self.group, rows, where)
        if len(set(groups)) < MIN_GROUPS:
            raise TaskError(
                f"{len(set(groups))} groups are too few to hold some out", where=where,
                hint=f"{MIN_GROUPS} are needed; evaluate more samples, or group by something finer",
            )  # fmt: skip
        return Fits(
            states=states,
            places=tuple(self._places(states, where)),
            groups=tuple(groups),
            types=tuple(groups if self.control_type is None else
                        texts(self.control_type, rows, where)),
            training=self._training(),
            seed=study.seed,
            seeds=self.seeds,
        )  # fmt: skip

    def _training(self) -> Training:
        names = {field.name for field in dataclasses.fields(Training)} - {"device"}
        given: dict[str, Any] = {name: getattr(self, name) for name in names}
        return Training(**given, device=str(pick_device(self.train_device)))

    def _places(self, states: States, where: str) -> Iterator[Place]:
        rows = states.rows
        blind = np.array([
            self.text_only is not None
            and templates.holds(self.text_only, context(row), where=where)
            for row in rows
        ])  # fmt: skip
        for number, (name, label) in enumerate(self.labels.items()):
            first = number == 0
            target = make_target(name, label, rows, Wording(
                prior=self.prior if first else None,
                conflict=self.conflict if first else None,
                among=self.among, where=where,
            ))  # fmt: skip
            for site, kind in product(self.sites, self.probes):
                at = {"label": name, "site": site, "probe": kind}
                having = states.having(site)
                shown, hidden = having[~blind[having]], having[blind[having]]
                if "both" in self.train or not first:
                    yield Place(target, site, kind, shown, at, control=self.control)
                if first and "agreement" in self.train:
                    of = {**at, "trained": "agreement"}
                    yield Place(target, site, kind, shown, of, agreement=True)
                if first and len(hidden):
                    yield Place(target, site, kind, hidden, {**at, "input": "text only"})

    def _lens(self, study: Study, fits: Fits, ledger: Ledger) -> Mapping[str, Any] | str | None:
        """Return what the lens shows, why there is none, or None if none is asked for."""
        place = next((p for p in fits.places if p.site == "prompt_last"), None)
        if not self.lens:
            return None
        if place is None:
            return "it reads the end of the prompt, which is not among the sites"
        rows = place.rows[place.target.evaluated[place.rows]]
        if "lens" not in ledger:
            try:
                ledger["lens"] = read_lens(study, fits.states, place.target, rows)
            except VlmEvalError as error:
                return str(error)
        found: Mapping[str, Any] = ledger["lens"]
        return found

    def _findings(
        self, study: Study, fits: Fits, ledger: Ledger, lens: Mapping[str, Any] | str | None
    ) -> Findings:
        report = Report(study.task.name, fits, ledger)
        if isinstance(lens, Mapping):
            report.add_lens(lens)
        elif lens is not None:
            report.notes.append(f"no logit lens: {lens}")
        return study.findings("probe", dataclasses.asdict(self), **report.found())
