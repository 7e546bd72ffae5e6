"""Activation patching: which tokens, at which layer, carry what the answer depends on.

A clean question x and a counterfactual x' differ in the image, or in the rule. The residual stream
after block l is copied from x' into x at some of its tokens, and the effect is the share of the way
from x's answer to that of x'::

    LD     = log p(right answer of x) - log p(prior)
    effect = (LD_patched - LD_clean) / (LD_counterfactual - LD_clean)

0 is the clean answer, 1 the counterfactual one. This is the activation-level counterpart of layer
replacement (:mod:`vlm_eval.internals.replace`); it is an extension of ours, not of a paper.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

import numpy as np
import pydantic
from numpy.typing import NDArray

from vlm_eval.core.errors import TaskError, did_you_mean
from vlm_eval.core.options import configurable
from vlm_eval.core.types import Answer, Level
from vlm_eval.internals.base import Study
from vlm_eval.internals.findings import Findings, Panel
from vlm_eval.internals.ledger import Ledger
from vlm_eval.internals.patch_pairs import Pair, make_pairs, prior_of
from vlm_eval.models.interventions import At, Edit, Residuals
from vlm_eval.prompts import templates
from vlm_eval.stats.clusters import Clusters
from vlm_eval.stats.mean import Mean, clustered_mean
from vlm_eval.stats.ratio import clustered_ratio
from vlm_eval.stats.results import Estimate
from vlm_eval.tasks.trials import Trial

if TYPE_CHECKING:
    from vlm_eval.models.hf import HfModel

Tokens: TypeAlias = Literal["all", "image", "after_image", "prompt_last"]
_AT: Mapping[str, At] = {
    "all": "prompt",
    "image": "image",
    "after_image": "after_image",
    "prompt_last": "prompt_last",
}
_ROUNDING = 0.02  # how far from 0 and 1 the two sanity effects may be


@dataclass(frozen=True)
class Patched:
    """What came of one pair.

    Attributes
    ----------
    clean, counterfactual
        LD of either, in nats.
    found
        LD with the tokens of a set patched at a layer.
    """

    clean: float
    counterfactual: float
    found: Mapping[tuple[str, int], float]


@configurable
class Patch:
    """Copy the residual stream of a counterfactual into a question, tokens by layer.

    All of it is **our default**, but for the formula and the sets of tokens, which stand in this
    project's specification of the activation-level variant (A3.2).

    Attributes
    ----------
    against
        What the counterfactual is. ``mean``: the same question about the mean colour of its image.
        ``other``: about the image of another sample that is asked the same and has another answer.
        Or a factor: the same sample under another level of it, such as another image or rule.
    levels
        Of a factor, the clean and the counterfactual level; its first two if None.
    tokens
        Which tokens are patched: ``all`` of the prompt, those of the ``image``, those
        ``after_image``, the last one (``prompt_last``).
    layers
        After which blocks; 0 is the embeddings.
    prior
        The field that names the prior answer. If None it is the counterfactual's right answer, or
        the best of the wrong options there.
    when
        An expression over the factors: which clean trials take part.
    by
        A field to break the effects down by.
    pairs
        How many pairs, drawn by the run's seed; None for all.
    """

    against: str = "mean"
    levels: tuple[Level, Level] | None = None
    tokens: Annotated[tuple[Tokens, ...], pydantic.Field(min_length=1)] = (
        "all", "image", "after_image", "prompt_last",
    )  # fmt: skip
    layers: Literal["all"] | Annotated[tuple[int, ...], pydantic.Field(min_length=1)] = "all"
    prior: str | None = None
    when: str | None = None
    by: str | None = None
    pairs: Annotated[int, pydantic.Field(ge=1)] | None = 100

    def __post_init__(self) -> None:
        if self.when is not None:
            templates.check_expression(self.when)

    def __call__(self, study: Study) -> Findings:
        """Return the effect of each set of tokens at each layer.

        Raises
        ------
        TaskError
            If there is no such field, factor or level, or no pair whose two prompts have their
            tokens in the same places.
        ModelError
            If the model cannot be read or edited.
        """
        where = f"analyze patch, {study.task.name}"
        trials = [
            trial
            for trial, _ in study.trials()
            if templates.holds(self.when, trial.condition, where=where)
        ]
        for name in (self.by, self.prior):
            if name is not None:
                _check_field(study, trials, name)
        pairs = make_pairs(
            study, trials, against=self.against, levels=self.levels, count=self.pairs
        )
        options = dataclasses.asdict(self)
        asks = {
            "model": study.model,
            "options": {k: v for k, v in options.items() if k not in ("pairs", "by", "when")},
            "seed": study.seed,
        }
        model = study.load()
        layers = tuple(range(model.blocks + 1)) if self.layers == "all" else self.layers
        found: list[tuple[Pair, Patched]] = []
        dropped: dict[str, int] = {}
        with Ledger(study.folder / "ledger.jsonl", asks) as ledger:
            for pair in study.track(pairs, len(pairs), "patch"):
                if pair.key not in ledger:
                    ledger[pair.key] = self._ask(model, pair, tuple(sorted(layers)))
                made = ledger[pair.key]
                if isinstance(made, str):
                    dropped[made] = dropped.get(made, 0) + 1
                else:
                    found.append((pair, _read(made)))
        if not found:
            raise TaskError(f"no pair can be patched: {dropped}", where=study.task.name)
        return self._findings(study, found, dropped, options)

    def _ask(self, model: HfModel, pair: Pair, layers: tuple[int, ...]) -> Any:
        """Return the logit differences of a pair, or why there are none."""
        ((reply, given),) = model.residuals([pair.counterfactual], layers)
        ((plain, own),) = model.residuals([pair.clean], (0,), "prompt_last")
        if given is None or own is None:
            return "failed"
        if given.places != own.places:
            return "the two prompts have their tokens in different places"
        choices = pair.trial.choices or ()
        right = choices.index(pair.trial.gold)
        theirs = _logprobs(reply.outcome)
        prior = prior_of(pair, pair.trial.fields, self.prior, theirs)
        if prior is None:
            return "there is no prior answer among the options"
        edits = [
            Edit(f"{tokens} {layer}", layer, _AT[tokens], _states(given, tokens, place))
            for tokens in self.tokens
            if given.places.image or tokens not in ("image", "after_image")
            for place, layer in enumerate(layers)
        ]
        asked = [dataclasses.replace(pair.clean, id=edit.request) for edit in edits]
        found = {}
        for response in model.intervene(asked, edits):
            if not isinstance(response.outcome, Answer):
                return "failed"
            found[response.request_id] = _difference(_logprobs(response.outcome), right, prior)
        return {
            "clean": _difference(_logprobs(plain.outcome), right, prior),
            "counterfactual": _difference(theirs, right, prior),
            "found": found,
        }

    def _findings(
        self,
        study: Study,
        found: Sequence[tuple[Pair, Patched]],
        dropped: Mapping[str, int],
        options: Mapping[str, Any],
    ) -> Findings:
        groups: dict[Level | None, list[tuple[Pair, Patched]]] = {None: list(found)}
        for pair, patched in found if self.by is not None else ():
            groups.setdefault(pair.trial.fields.get(self.by or ""), []).append((pair, patched))
        estimates: list[Estimate] = []
        for value, own in groups.items():
            place = {} if value is None else {str(self.by): value}
            estimates += _estimates(own, place, "" if value is None else "_by_slice")
        all_at_0 = next(
            (e.value for e in estimates if e.where == {"tokens": "all", "layer": 0}), None
        )
        moved = next(e for e in estimates if e.name == "answer_differs")
        notes = [f"{count} pairs dropped: {why}" for why, count in sorted(dropped.items())]
        if all_at_0 is not None and abs(all_at_0 - 1) > _ROUNDING:
            notes.append(
                f"patching all tokens at layer 0 has the effect {all_at_0:.3f}, not 1: this model "
                "feeds the image into later blocks too, whose share is not patched"
            )
        if moved.value is not None and moved.value < 0.1:
            notes.append(
                f"the two sides have different answers in {moved.value:.0%} of the pairs only: "
                "there is little whose place could be found"
            )
        return study.findings(
            "patch",
            options,
            estimates=tuple(estimates),
            panels=tuple(_panels(self.by)),
            facts={"pairs": len(found), "dropped": dict(dropped), "all_at_0": all_at_0},
            notes=tuple(notes),
        )


def _check_field(study: Study, trials: Sequence[Trial], name: str) -> None:
    known = {field for trial in trials for field in trial.fields}
    if name not in known:
        raise TaskError(
            f"trials have no field {name!r}", where=study.task.name, hint=did_you_mean(name, known)
        )


def _panels(by: str | None) -> Iterator[Panel]:
    title = "how much of the counterfactual's answer comes with the patched tokens"
    yield Panel(title=title, axis="layer", names=("effect",))
    yield Panel(
        title="share of differing answers that become the counterfactual's", axis="layer",
        names=("flipped",),
    )  # fmt: skip
    if by is not None:
        yield Panel(title=f"{title}, by {by}", axis="layer", names=("effect_by_slice",))


def _estimates(
    found: Sequence[tuple[Pair, Patched]], place: Mapping[str, Level], suffix: str
) -> Iterator[Estimate]:
    """Yield the estimates over some pairs."""
    clusters = Clusters.of(pair.trial.cluster for pair, _ in found)
    clean = np.array([patched.clean for _, patched in found])
    other = np.array([patched.counterfactual for _, patched in found])
    differs = (clean > 0) != (other > 0)
    for name, values in (("ld_clean", clean), ("ld_counterfactual", other)):
        mean = clustered_mean(values, clusters)
        yield mean.estimate(name + suffix, place, signed=True, unit="nats")
    apart = clustered_mean(np.abs(other - clean), clusters)
    yield apart.estimate(f"ld_apart{suffix}", place, unit="nats")
    yield clustered_mean(differs.astype(float), clusters).estimate(f"answer_differs{suffix}", place)
    own = [pair for (pair, _), one in zip(found, differs, strict=True) if one]
    for key in dict.fromkeys(key for _, patched in found for key in patched.found):
        if not all(key in patched.found for _, patched in found):
            continue
        where = {**place, "tokens": key[0], "layer": key[1]}
        moved = np.array([patched.found[key] for _, patched in found])
        yield effect(clean, other, moved, clusters).estimate(f"effect{suffix}", where, unit="ratio")
        became = ((moved > 0) == (other > 0))[differs].astype(float)
        mean = clustered_mean(became, Clusters.of(pair.trial.cluster for pair in own))
        yield mean.estimate(f"flipped{suffix}", where)


def effect(
    clean: NDArray[np.float64],
    counterfactual: NDArray[np.float64],
    patched: NDArray[np.float64],
    clusters: Clusters,
) -> Mean:
    """Return the mean effect over pairs, each weighted by how far apart its two sides are.

    That is Σ s (LD_patched - LD_clean) / Σ |LD_counterfactual - LD_clean|, with s the sign of the
    denominator's term: a plain mean of ratios would be at the mercy of pairs that hardly differ.

    Parameters
    ----------
    clean, counterfactual, patched
        LD of each pair, shape (pairs,).
    clusters
        The partition of the pairs.
    """
    apart = counterfactual - clean
    steps = np.sign(apart) * (patched - clean)
    return clustered_ratio(steps.tolist(), np.abs(apart).tolist(), clusters)


def _states(given: Residuals, tokens: str, place: int) -> NDArray[np.float32]:
    found: NDArray[np.float32] = given.states[place][list(given.places.of(_AT[tokens]))]
    return found


def _difference(logprobs: Sequence[float], right: int, prior: int) -> float:
    return logprobs[right] - logprobs[prior]


def _logprobs(outcome: object) -> tuple[float, ...]:
    assert isinstance(outcome, Answer)
    assert outcome.logprobs is not None
    return outcome.logprobs


def _read(made: Mapping[str, Any]) -> Patched:
    found = {(key.split()[0], int(key.split()[1])): value for key, value in made["found"].items()}
    return Patched(made["clean"], made["counterfactual"], found)
