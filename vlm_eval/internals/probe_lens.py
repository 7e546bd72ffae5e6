"""The logit lens beside the probes: the model's own head, read at every layer, nothing trained."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from vlm_eval.core.types import Failure, Request
from vlm_eval.internals.base import Study
from vlm_eval.internals.probe_curves import ACCURACY, GOLD, PRIOR, TOP_PRIOR
from vlm_eval.internals.probe_data import Indices, States, Target
from vlm_eval.tasks.trials import Trial

if TYPE_CHECKING:
    from vlm_eval.models.hf import HfModel

MASS = "p_options"


def read_lens(study: Study, states: States, target: Target, rows: Indices) -> dict[str, Any]:
    """Return what the lens shows at the end of the prompt of some rows, JSON-able.

    A row's options are those that were scored, or the right answer and the prior's. Compared are
    the tokens that they begin with.

    Returns
    -------
    dict
        ``rows``: the numbers of the rows that could be read; for each layer and row, by measure:
        the probabilities of the right answer and of the prior's among the options, whether each is
        the likeliest, and what all options have of the whole vocabulary's probability; and
        ``left_out``: of how many rows not, by reason.

    Raises
    ------
    VlmEvalError
        If the model or the data are not at hand, or there is no lens of the model.
    """
    model = study.load()
    wanted = {_key(states.rows[row]): row for row in rows.tolist()}
    left_out: Counter[str] = Counter()
    found: dict[int, Mapping[str, list[float]]] = {}
    for trial, row in study.track(study.trials(), len(study.table.rows), "logit lens"):
        number = wanted.pop(_key(row), None)
        if number is None:
            continue
        read = _read(model, states, target, trial, number)
        if isinstance(read, str):
            left_out[read] += 1
        else:
            found[number] = read
    if wanted:
        left_out["it was not asked so"] += len(wanted)
    done = sorted(found)
    names = found[done[0]] if done else {}
    values = {
        name: [[found[row][name][at] for row in done] for at in range(len(states.layers))]
        for name in names
    }
    return {"rows": done, "values": values, "left_out": dict(left_out)}


def _key(row: Any) -> tuple[str, tuple[tuple[str, Any], ...]]:
    return row.sample_id, tuple(row.condition.items())


def _read(
    model: HfModel, states: States, target: Target, trial: Trial, row: int
) -> dict[str, list[float]] | str:
    """Return one row's values by measure and layer, or why there are none."""
    gold = target.classes[target.labels[row]]
    prior = None if target.priors is None else target.classes[target.priors[row]]
    request = _with_options(trial.request, gold, prior)
    assert request.choices is not None
    if len(request.choices) < 2:
        return "no options were scored, and there is no prior"
    if gold not in request.choices or prior not in (None, *request.choices):
        return "the right answer or the prior's is none of the options"
    tokens = model.first_tokens(request)
    if isinstance(tokens, Failure):
        return tokens.message
    if len(set(tokens)) < len(tokens):
        return "two options begin with the same token"
    layers = [states.at("prompt_last", layer, np.array([row]))[0] for layer in states.layers]
    earlier = layers[:-1] if states.normed else layers
    readings = [model.lens(np.stack(earlier), tokens)] if earlier else []
    if states.normed:
        readings.append(model.lens(layers[-1][np.newaxis], tokens, normed=True))
    full = np.concatenate([reading.full for reading in readings])
    own = np.exp(np.concatenate([reading.restricted for reading in readings]))
    top = own.argmax(1)
    right = request.choices.index(gold)
    made = {
        GOLD: own[:, right],
        ACCURACY: top == right,
        MASS: np.exp(full).sum(1),
    }
    if prior is not None:
        biased = request.choices.index(prior)
        made |= {PRIOR: own[:, biased], TOP_PRIOR: top == biased}
    return {name: [round(float(value), 6) for value in values] for name, values in made.items()}


def _with_options(request: Request, gold: str, prior: str | None) -> Request:
    if request.choices is not None:
        return request
    options = tuple(dict.fromkeys((gold,) if prior is None else (gold, prior)))
    return dataclasses.replace(request, choices=options, decoding=None)
