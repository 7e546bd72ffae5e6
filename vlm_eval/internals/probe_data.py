"""What a probe is trained on: captured states of a study's trials, and what is asked of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vlm_eval.core.capture import NORM, Site
from vlm_eval.core.errors import TaskError
from vlm_eval.core.types import condition_key
from vlm_eval.internals.base import Study
from vlm_eval.internals.probe_split import label_shares
from vlm_eval.metrics.table import TableRow
from vlm_eval.prompts import templates

Indices = NDArray[np.intp]


class States:
    """The captured states of a study, rows in an order that depends on nothing but their names.

    Parameters
    ----------
    study
        What was captured of its trials is read here, once.
    sites
        Which of it.

    Attributes
    ----------
    rows
        The trials of which anything was captured.
    layers
        Where each captured layer stands on the axis. The states after the final norm stand for the
        last layer; where those before it were captured too, these are taken.
    normed
        Whether the last layer's states have passed the final norm.
    without
        How many answered trials have no states.

    Raises
    ------
    TaskError
        If nothing was captured, or not at a site.
    """

    def __init__(self, study: Study, sites: Sequence[Site]) -> None:
        captured, where = study.table.states, study.task.name
        if captured is None:
            raise TaskError(
                "the run has captured no hidden states",
                where=where,
                hint="give the task a section `capture: {sites: [prompt_last], layers: all}`",
            )
        answered = sorted(
            (row for row in study.table.rows if not row.failed),
            key=lambda row: (row.sample_id, condition_key(row.condition)),
        )
        kept: list[TableRow] = []
        labels: set[tuple[str, ...]] = set()
        arrays: dict[Site, dict[int, NDArray[np.float32]]] = {site: {} for site in sites}
        for row in answered:
            states = captured.of(row)
            if states is not None:
                for site in arrays.keys() & states.arrays.keys():
                    arrays[site][len(kept)] = states.arrays[site]
                kept.append(row)
                labels.add(states.layers)
        if not kept:
            raise TaskError("none of the task's trials has captured hidden states", where=where)
        if len(labels) > 1:
            raise TaskError("its trials have different layers captured", where=where)
        self.rows, self.without = tuple(kept), len(answered) - len(kept)
        self._place(labels.pop(), study)
        self._found = {site: self._stack(site, found, where) for site, found in arrays.items()}

    def _place(self, labels: tuple[str, ...], study: Study) -> None:
        numbers = [int(label) for label in labels if label != NORM]
        capture = study.task.spec.capture
        both = capture is not None and capture.norm == "both"
        self.normed = labels[-1] == NORM and not both
        self.layers = (*numbers, max(numbers, default=0) + 1) if self.normed else tuple(numbers)

    def _stack(
        self, site: Site, found: Mapping[int, NDArray[np.float32]], where: str
    ) -> tuple[Indices, NDArray[np.float32]]:
        if not found:
            raise TaskError(
                f"no trial has states captured at {site}", where=where,
                hint="name the site in the task's capture section, or leave it out",
            )  # fmt: skip
        stacked = np.stack([array[: len(self.layers)] for array in found.values()])
        return np.array(list(found), dtype=np.intp), stacked

    def having(self, site: Site) -> Indices:
        """Return the numbers of the rows with states at a site, in rising order."""
        return self._found[site][0]

    def at(self, site: Site, layer: int, rows: Indices) -> NDArray[np.float32]:
        """Return the states of some of the rows that have a site, shape (rows, width)."""
        having, arrays = self._found[site]
        found: NDArray[np.float32] = arrays[np.searchsorted(having, rows), self.layers.index(layer)]
        return found


@dataclass(frozen=True, eq=False)
class Target:
    """What is probed for.

    Attributes
    ----------
    name
        What to call it.
    classes
        The closed vocabulary: every label and every prior answer of the data, sorted.
    labels
        The class of each row, shape (rows,).
    priors
        The class that the prior gives, shape (rows,); None if nothing says.
    answers
        The class of the model's own answer, shape (rows,); -1 if it is none of them.
    evaluated
        Rows on which the probe is evaluated when they are held out: those in conflict with the
        prior, or all.
    strata
        What is known of each row without its states.
    """

    name: str
    classes: tuple[str, ...]
    labels: Indices
    priors: Indices | None
    answers: Indices
    evaluated: NDArray[np.bool_]
    strata: tuple[str, ...]

    def chance(self, rows: Indices) -> float:
        """Return the expected accuracy, on rows, of labels drawn as often as in the stratum."""
        shares = label_shares(self.labels, self.strata)
        return float(np.mean([shares[self.strata[row]][self.labels[row]] for row in rows]))


@dataclass(frozen=True, kw_only=True)
class Wording:
    """The templates and expressions that say what is probed for, and where they stand."""

    prior: str | None
    conflict: str | None
    among: str | None
    where: str


def make_target(name: str, label: str, rows: Sequence[TableRow], wording: Wording) -> Target:
    """Return what a label template, and that of the prior, say of rows.

    Raises
    ------
    TaskError
        If a template cannot be rendered, there are fewer than two classes, or no row is in
        conflict.
    """
    gold = texts(label, rows, wording.where)
    prior = None if wording.prior is None else texts(wording.prior, rows, wording.where)
    classes = tuple(sorted({*gold, *(prior or ())}))
    if len(set(gold)) < 2:
        raise TaskError(
            f"{name} is {gold[0]!r} in every trial: there is nothing to probe for",
            where=wording.where,
        )
    if prior is not None and not {*prior} & {*gold}:
        raise TaskError(
            f"the prior's answers ({prior[0]}, ...) are none of what {name} is ({gold[0]}, ...)",
            where=wording.where,
            hint="give a prior in the words of the first label, or none: prior=,train=both",
        )
    if wording.conflict is not None:
        evaluated = [
            templates.holds(wording.conflict, context(r), where=wording.where) for r in rows
        ]
    elif prior is not None:
        evaluated = [one != other for one, other in zip(gold, prior, strict=True)]
    else:
        evaluated = [True] * len(rows)
    if not any(evaluated):
        raise TaskError(
            "in no trial does the right answer differ from the prior's", where=wording.where,
            hint="give other templates as label and prior, or an expression as conflict",
        )  # fmt: skip
    number = {text: i for i, text in enumerate(classes)}
    return Target(
        name=name,
        classes=classes,
        labels=np.array([number[text] for text in gold], dtype=np.intp),
        priors=None if prior is None else np.array([number[text] for text in prior], dtype=np.intp),
        answers=np.array([number.get(row.answer or "", -1) for row in rows], dtype=np.intp),
        evaluated=np.array(evaluated),
        strata=("",) * len(rows) if wording.among is None
        else tuple(texts(wording.among, rows, wording.where)),
    )  # fmt: skip


def texts(template: str, rows: Sequence[TableRow], where: str) -> list[str]:
    """Return a template, or the field or factor that it names, rendered for each row."""
    lone = "{{" not in template and "{%" not in template
    source = "{{ " + template + " }}" if lone else template
    return [templates.render(source, context(row), where=where) for row in rows]


def context(row: TableRow) -> Mapping[str, Any]:
    """Return what the templates of an analysis may use: ``gold``, the fields and the factors."""
    return {"gold": row.gold, **row.fields, **row.condition}
