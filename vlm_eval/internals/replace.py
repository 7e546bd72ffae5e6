"""Which decoder layers carry a change of behaviour: put back to the base model's weights, by sets.

B is a base model, F the same tuned, H(S) is F with the decoder layers S put back to B's weights
(specification: counterfactual layer replacement, weight level). Everything but the decoder blocks
is F's, and must be B's too. This is no patching of hidden states.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BeforeValidator, Field

from vlm_eval.core.errors import ModelError, RunError, UsageError
from vlm_eval.core.hashing import derive_seed, digest
from vlm_eval.core.options import configurable
from vlm_eval.core.types import Answer, Failure, Outcome, Request, condition_key
from vlm_eval.internals.base import Study
from vlm_eval.internals.findings import Findings
from vlm_eval.internals.ledger import Ledger
from vlm_eval.internals.replace_layers import (
    Hybrid,
    Weights,
    check_alike,
    demand_identical,
    elsewhere,
    weights_of,
)
from vlm_eval.internals.replace_measures import Case, Measures, Point, Reading
from vlm_eval.models.hf import HfModel
from vlm_eval.prompts import templates
from vlm_eval.tasks.scoring import score
from vlm_eval.tasks.trials import Trial

Sweep: TypeAlias = Literal["suffix", "prefix", "window", "single"]
IDENTITY = 1e-5
"""How far log-probabilities of a hybrid may be from those of the model that it must equal, nats."""

_PROBED = 4


def _listed(value: object) -> object:
    return value.split("+") if isinstance(value, str) else value


@configurable
class Replace:
    """Sweeps over sets S of decoder layers and asks the run's own questions of each hybrid H(S).

    Attributes
    ----------
    sweeps
        ``suffix``: the last N layers, N = 0 to all (*confirmed*). ``prefix``: the first N.
        ``window``: ``width`` neighbours. ``single``: one layer. The last three are *our default*.
        On the command line joined by ``+``.
    width
        Of a window, layers; a ninth of the decoder, at least 1, if None (*our default*).
    stride
        From window to window, layers; half the width, at least 1, if None (*our default*).
    prior
        Template of the answer that prior knowledge gives: ``{{ bias }}`` for VLMBias. A trial whose
        fields leave it null has none. Without it there is no bias ratio, and no margin.
    spelled
        Template of how the answer ``option`` is written, for the margin of generated answers:
        VLMBias's ``{{ '{' ~ option ~ '}' }}``.
    strict
        Whether the models must be byte-identical but for their decoder blocks (*confirmed*). If
        not, what differs is taken from F, and noted.
    limit
        Ask only so many samples, drawn with the run's seed and dealt in turn to the values of the
        task's first slice field; None asks all.
    parsed
        A point where less than this share of the answers is parsed is marked invalid: the hybrid
        may be broken (*our default*).
    """

    sweeps: Annotated[tuple[Sweep, ...], BeforeValidator(_listed)] = (
        "suffix", "prefix", "window", "single",
    )  # fmt: skip
    width: Annotated[int, Field(ge=1)] | None = None
    stride: Annotated[int, Field(ge=1)] | None = None
    prior: str | None = None
    spelled: str = "{{ option }}"
    strict: bool = True
    limit: Annotated[int, Field(ge=1)] | None = None
    parsed: Annotated[float, Field(ge=0, le=1)] = 0.95

    def __call__(self, study: Study) -> Findings:
        """Swap, ask and measure; hybrids that were asked before are not asked again."""
        if study.base is None:
            raise UsageError(
                "replace compares two models", hint="give the base model's run: --base RUN"
            )
        cases = self._cases(study, study.base)
        probes = [_probe(case.trial) for case in cases[:_PROBED]]
        before, reference = _base(study.base, probes)
        model = study.load()
        tuned = weights_of(model.module, copy=False)
        check_alike(before, tuned)
        apart = elsewhere(before, tuned)
        if self.strict:
            demand_identical(apart)
        hybrid = Hybrid(model.module, before)
        count = len(before.blocks)
        own = _logprobs(model, probes)
        with hybrid.put_back(range(1, count + 1)):
            base_gap = _gap(_logprobs(model, probes), reference)
        own_gap = _gap(_logprobs(model, probes), own)
        _check(own_gap, None if apart else base_gap, model)
        points = list(sweep_points(count, self.sweeps, self.width, self.stride))
        asks = [before.digest, tuned.digest, self.spelled, [c.key for c in cases]]
        found = self._ask(study, model, hybrid, cases, points, asks)
        measures = Measures(study, cases, points, found, self.parsed)
        facts = {
            "base": study.base.model,
            "layers": count,
            "samples": len({case.trial.sample_id for case in cases}),
            "identities": {"H(empty) - F, nats": own_gap, "H(all) - B, nats": base_gap},
            "differs_elsewhere": {"tensors": len(apart), "such as": apart[:20]},
            **measures.facts(),
        }
        notes = [*measures.notes(), *self._notes(apart, base_gap)]
        return study.findings(
            "replace", self._options(), estimates=tuple(measures.estimates()),
            panels=tuple(measures.panels()), facts=facts, notes=tuple(notes),
        )  # fmt: skip

    def _options(self) -> dict[str, Any]:
        return {**vars(self), "sweeps": list(self.sweeps)}

    def _notes(self, apart: Sequence[str], gap: float) -> Iterator[str]:
        if apart:
            yield (
                f"{len(apart)} tensors outside the decoder blocks differ between the two models "
                f"(such as {apart[0]}) and are the tuned model's throughout: with all layers put "
                f"back the model is not the base model (its log-probabilities are up to {gap:.2g} "
                "nats from it), and what happens outside the decoder is not told apart"
            )

    def _cases(self, study: Study, base: Study) -> list[Case]:
        """Return the trials to ask, with what the base model's run has of each."""
        wanted = self._samples(study)
        rows = {(r.sample_id, condition_key(r.condition)): r for r in base.table.rows}
        cases = []
        for trial, row in study.trials():
            if trial.sample_id not in wanted:
                continue
            other = rows.get((trial.sample_id, condition_key(trial.condition)))
            if other is None or other.failed or other.request != row.request:
                continue
            cases.append(Case(trial, self._prior(study, trial), other.scores["accuracy"]))
        if not cases:
            raise RunError(
                "the base model's run answers none of this run's questions",
                hint="give a run of the same task, version and data: --base RUN",
            )
        return cases

    def _prior(self, study: Study, trial: Trial) -> str | None:
        if self.prior is None:
            return None
        context = {**trial.fields, **trial.condition}
        made = templates.value(self.prior, context, where=f"{study.task.name}: replace, prior")
        return None if made is None else str(made)

    def _samples(self, study: Study) -> set[str]:
        slices = study.task.spec.slices
        strata: dict[str, dict[str, int]] = {}
        for row in study.table.rows:
            stratum = str(row.fields.get(slices[0])) if slices else ""
            order = strata.setdefault(stratum, {})
            if row.sample_id not in order:
                order[row.sample_id] = derive_seed(study.seed, "replace", row.sample_id)
        dealt = [sorted(order, key=order.__getitem__) for _, order in sorted(strata.items())]
        turns = max(map(len, dealt), default=0)
        ids = [own[turn] for turn in range(turns) for own in dealt if turn < len(own)]
        return set(ids[: self.limit])

    def _ask(
        self,
        study: Study,
        model: HfModel,
        hybrid: Hybrid,
        cases: Sequence[Case],
        points: Sequence[Point],
        asks: Any,
    ) -> dict[tuple[int, ...], list[Reading]]:
        """Return each hybrid's readings of the cases, in their order."""
        sets = list(dict.fromkeys([(), *(point.layers for point in points)]))
        found: dict[tuple[int, ...], list[Reading]] = {}
        with Ledger(study.folder / "ledger.jsonl", asks) as ledger:
            for layers in study.track(sets, len(sets), "hybrids"):
                key = "+".join(map(str, layers))
                if key not in ledger:
                    with hybrid.put_back(layers):
                        ledger[key] = self._answers(model, cases)
                found[layers] = [
                    self._read(study, case, entry)
                    for case, entry in zip(cases, ledger[key], strict=True)
                ]
        return found

    def _answers(self, model: HfModel, cases: Sequence[Case]) -> list[dict[str, Any]]:
        """Ask all cases of the model as it is now and return what was said, JSON-able."""
        asked = {case.trial.request.id: case.trial.request for case in cases}
        margins = {case.key: self._margin(case) for case in cases}
        asked |= {request.id: request for request in margins.values() if request is not None}
        said = outcomes(model, list(asked.values()))
        entries = []
        for case in cases:
            entry = _entry(said[case.trial.request.id])
            margin = margins[case.key]
            if margin is not None:
                entry["margin"] = _entry(said[margin.id]).get("logprobs")
            entries.append(entry)
        return entries

    def _margin(self, case: Case) -> Request | None:
        """Return the question for the margin of a generated answer."""
        request = case.trial.request
        if request.choices is not None or case.prior is None or case.prior == case.trial.gold:
            return None
        choices = tuple(
            templates.render(self.spelled, {"option": option}, where="replace, spelled")
            for option in (case.trial.gold, case.prior)
        )
        return Request(digest(["margin", request.id, choices]), request.messages, choices, None)

    def _read(self, study: Study, case: Case, entry: Mapping[str, Any]) -> Reading:
        if "failure" in entry:
            return Reading(None, None, None)
        trial = case.trial
        logprobs = entry.get("logprobs")
        answer = (
            Answer(text=entry["text"])
            if logprobs is None
            else Answer(logprobs=tuple(logprobs), finish="scored")
        )
        scored = score(
            study.task, condition=trial.condition, gold=trial.gold, choices=trial.choices,
            outcome=answer, fields=trial.fields,
        )  # fmt: skip
        pair = entry.get("margin")
        if logprobs is not None and trial.choices is not None and case.prior in trial.choices:
            at = dict(zip(trial.choices, logprobs, strict=True))
            pair = [at[trial.gold], at[case.prior]]
        return Reading(
            scored.scores["accuracy"], scored.answer, None if pair is None else pair[0] - pair[1]
        )


def sweep_points(
    count: int, sweeps: Sequence[Sweep], width: int | None = None, stride: int | None = None
) -> Iterator[Point]:
    """Yield the points of the sweeps over a decoder's layers 1 to ``count``, in order.

    Raises
    ------
    UsageError
        If a window is wider than the decoder.
    """
    everything = tuple(range(1, count + 1))
    wide = max(1, round(count / 9)) if width is None else width
    step = max(1, wide // 2) if stride is None else stride
    if "window" in sweeps and wide > count:
        raise UsageError(f"a window of {wide} layers is wider than the decoder, which has {count}")
    for sweep in dict.fromkeys(sweeps):
        if sweep in ("suffix", "prefix"):
            for number in range(count + 1):
                layers = everything[count - number :] if sweep == "suffix" else everything[:number]
                yield Point(sweep, "replaced", number, layers)
        elif sweep == "window":
            starts = dict.fromkeys([*range(1, count - wide + 2, step), count - wide + 1])
            for start in starts:
                yield Point(sweep, "layer", start, everything[start - 1 : start - 1 + wide])
        else:
            for layer in everything:
                yield Point(sweep, "layer", layer, (layer,))


def outcomes(model: HfModel, requests: Sequence[Request]) -> dict[str, Outcome]:
    """Ask a model and return what came of each request, by its id."""
    scored = [request for request in requests if request.choices is not None]
    written = [request for request in requests if request.choices is None]
    said = {r.request_id: r.outcome for r in model.loglikelihood(scored)} if scored else {}
    if written:
        said |= {r.request_id: r.outcome for r in model.generate(written)}
    return said


def _entry(outcome: Outcome) -> dict[str, Any]:
    if isinstance(outcome, Failure):
        return {"failure": outcome.kind}
    if outcome.logprobs is not None:
        return {"logprobs": list(outcome.logprobs)}
    return {"text": outcome.text or ""}


def _probe(trial: Trial) -> Request:
    """Return a question whose log-probabilities tell whether two models compute the same."""
    request = trial.request
    if request.choices is not None:
        return request
    choices = (trial.gold, f"{trial.gold} not")
    return Request(digest(["probe", request.id]), request.messages, choices, None)


def _base(base: Study, probes: Sequence[Request]) -> tuple[Weights, dict[str, tuple[float, ...]]]:
    """Return the base model's weights and what it says to the probes; the model is let go of."""
    model = base.load()
    found = weights_of(model.module, copy=True), _logprobs(model, probes)
    del model
    gc.collect()
    return found


def _logprobs(model: HfModel, probes: Sequence[Request]) -> dict[str, tuple[float, ...]]:
    found = {}
    for key, outcome in outcomes(model, probes).items():
        if isinstance(outcome, Failure):
            raise ModelError(f"{model.name} cannot answer: {outcome.message}")
        found[key] = outcome.logprobs or ()
    return found


def _gap(one: Mapping[str, tuple[float, ...]], other: Mapping[str, tuple[float, ...]]) -> float:
    """Return the largest difference of log-probabilities, nats."""
    return max(abs(a - b) for key in one for a, b in zip(one[key], other[key], strict=True))


def _check(own: float, base: float | None, model: HfModel) -> None:
    """Raise ModelError if swapping layers does not give the models that it must give."""
    if "32" not in str(model.module.dtype):
        return
    for gap, what in ((own, "no layer put back"), (base, "all layers put back")):
        if gap is not None and gap > IDENTITY:
            raise ModelError(
                f"with {what} {model.name} is {gap:.2g} nats from the model that it must equal",
                hint="the two models differ in more than their weights, such as a configuration",
            )
