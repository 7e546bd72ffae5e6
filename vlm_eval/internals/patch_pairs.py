"""What activation patching compares: a question, and the same one about another image or rule."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from vlm_eval.core.errors import TaskError, did_you_mean
from vlm_eval.core.hashing import derive_rng, derive_seed
from vlm_eval.core.types import Level, Message, Request, condition_key
from vlm_eval.internals.base import Study
from vlm_eval.internals.trials import with_images
from vlm_eval.tasks.trials import Trial
from vlm_eval.transforms.apply import apply
from vlm_eval.transforms.basic import Fill


@dataclass(frozen=True)
class Pair:
    """A clean question and its counterfactual.

    Attributes
    ----------
    key
        Names the pair.
    trial
        The clean trial.
    clean, counterfactual
        What is asked; both have options.
    other
        The counterfactual's right answer; None if it has none of its own.
    """

    key: str
    trial: Trial
    clean: Request
    counterfactual: Request
    other: str | None


def make_pairs(
    study: Study,
    trials: Sequence[Trial],
    *,
    against: str,
    levels: tuple[Level, Level] | None,
    count: int | None,
) -> list[Pair]:
    """Return pairs of trials, drawn by the run's seed.

    Parameters
    ----------
    study, trials
        Where they come from.
    against
        ``mean`` for the image's mean colour, ``other`` for the image of another sample that is
        asked the same with another right answer, or a factor.
    levels
        Of a factor, the clean and the counterfactual level; if None its first two.
    count
        How many at most; None for all.

    Raises
    ------
    TaskError
        If there is no such factor or level, no pair, or a trial has no options.
    """
    where = study.task.name
    if any(trial.choices is None for trial in trials):
        raise TaskError("patching compares options, and some trials have none", where=where)
    if against == "mean":
        found = [_pair(trial, _blank(trial), None) for trial in trials if trial.request.images]
    elif against == "other":
        found = _by_other(study, trials)
    else:
        found = _by_factor(study, trials, against, levels)
    if not found:
        raise TaskError("there are no pairs of questions to patch between", where=where)
    found.sort(key=lambda pair: derive_seed(study.seed, where, pair.key, "patch"))
    return found if count is None else found[:count]


def _by_factor(
    study: Study, trials: Sequence[Trial], factor: str, levels: tuple[Level, Level] | None
) -> list[Pair]:
    known = study.task.factors.get(factor)
    if known is None:
        hint = did_you_mean(factor, ["mean", "other", *study.task.factors])
        raise TaskError(f"there is no factor {factor!r} to patch", where=study.task.name, hint=hint)
    chosen = levels or known[:2]
    if len(set(chosen)) < 2 or not {*chosen} <= {*known}:
        raise TaskError(
            f"patching needs two levels of {factor!r}, not {', '.join(map(repr, chosen))}",
            where=study.task.name,
        )
    clean, other = chosen
    place = {(t.sample_id, condition_key(t.condition)): t for t in trials}
    found = []
    for trial in trials:
        there = {**trial.condition, factor: other}
        partner = place.get((trial.sample_id, condition_key(there)))
        if trial.condition[factor] == clean and partner is not None:
            found.append(_pair(trial, partner.request.messages, partner.gold))
    return found


def _by_other(study: Study, trials: Sequence[Trial]) -> list[Pair]:
    alike: dict[tuple[str, str], list[Trial]] = {}
    for trial in trials:
        if trial.request.images:
            alike.setdefault((condition_key(trial.condition), trial.prompt), []).append(trial)
    found = []
    for group in alike.values():
        for trial in group:
            partners = [
                t
                for t in group
                if t.gold != trial.gold and t.request.images != trial.request.images
            ]
            if partners:
                name = trial.sample_id, condition_key(trial.condition)
                draw = derive_rng(study.seed, trial.task, *name, "patch other")
                partner = partners[int(draw.integers(len(partners)))]
                found.append(_pair(trial, partner.request.messages, partner.gold))
    return found


def _blank(trial: Trial) -> tuple[Message, ...]:
    """Return the messages with every image in its mean colour."""
    blank = Fill(colour="mean")
    return with_images(trial.request.messages, lambda image: apply([blank], image, 0))


def _pair(trial: Trial, messages: tuple[Message, ...], other: str | None) -> Pair:
    key = f"{trial.sample_id} {condition_key(trial.condition)}"
    choices, whole = trial.choices, trial.request.end_of_turn
    clean = Request(f"{key} clean", trial.request.messages, choices, end_of_turn=whole)
    other_request = Request(f"{key} other", messages, choices, end_of_turn=whole)
    return Pair(key, trial, clean, other_request, other)


def prior_of(
    pair: Pair, fields: Mapping[str, object], field: str | None, scores: Sequence[float]
) -> int | None:
    """Return the number of the option that the right one is compared with, None if there is none.

    It is the one that a field names; or the counterfactual's right answer; or, where that is the
    same or unknown, the best of the others in the counterfactual.

    Parameters
    ----------
    pair
        The pair.
    fields, field
        Where the option may be named.
    scores
        Log-probabilities of the options in the counterfactual.
    """
    choices = pair.trial.choices or ()
    named = pair.other if field is None else str(fields.get(field))
    if named in choices and named != pair.trial.gold:
        return choices.index(named)
    if field is not None:
        return None
    others = [i for i, choice in enumerate(choices) if choice != pair.trial.gold]
    return max(others, key=lambda i: scores[i], default=None)
