"""How much work is shared, and whether that is exact for this model.

Four levels, each including the ones before:

``naive``
    one forward pass an option (or an answer) over the pixels: what the others are compared with
``memo``
    an image is encoded once, requests of the same content are one, options that differ in their
    last token share a pass
``prefix``
    what requests about the same images have in common is computed once, each tail on a copy of it
``tree``
    all tails of a prefix in one pass, each distinct token once

A static rule excludes what cannot be right for an architecture; the first shared job of a run is
then computed naively too, and the level steps down where the two differ.
"""

from __future__ import annotations

import copy
import inspect
import logging
from collections.abc import Mapping
from typing import Any, Literal, TypeAlias, get_args

import torch
from torch import Tensor
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

from vlm_eval.core.errors import ModelError
from vlm_eval.models.forward import Forward
from vlm_eval.models.jobs import Job
from vlm_eval.models.memory import lacks_memory
from vlm_eval.models.prefix import Prefix

Level: TypeAlias = Literal["naive", "memo", "prefix", "tree"]
LEVELS: tuple[Level, ...] = get_args(Level)
Engine: TypeAlias = Literal["auto", "naive", "memo", "prefix", "tree"]

# Mean difference of log-probabilities that rounding explains, by bytes of the number format.
ROUNDING: Mapping[int, float] = {2: 0.1, 4: 1e-4, 8: 1e-8}
_PROBED = 2  # rows

log = logging.getLogger(__name__)


class Sharing:
    """The level at which a model works.

    Parameters
    ----------
    model
        A transformers model.
    engine
        The level that is asked for; ``auto`` takes the highest that is right.

    Raises
    ------
    ModelError
        If a level is asked for that is wrong for this architecture.

    Attributes
    ----------
    level
        Where it works now.
    why
        Why not at the highest level; empty if it does.
    proven
        Whether the level has been compared with ``naive``.
    causal
        Whether it has been seen that later tokens do not change what is before them.
    equal
        Whether only rows that agree up to where they are read share a prefix.
    merges
        Whether requests of the same content are answered as one.
    """

    def __init__(self, model: Any, engine: Engine = "auto") -> None:
        highest, self.why = highest_level(model)
        if engine != "auto" and LEVELS.index(engine) > LEVELS.index(highest):
            raise ModelError(
                f"{type(model).__name__} cannot be run with --engine {engine}: {self.why}",
                hint=f"the highest level for it is {highest}; --engine auto chooses it",
            )
        self.level: Level = highest if engine == "auto" else engine
        self.engine: Engine = engine
        self.proven = self.level in ("naive", "memo")
        self.causal = self.equal = False
        self.merges = self.level != "naive"
        # Where a cache has windows or states in place of all keys, padding would shift them out.
        self.ragged = _plain_cache(model)

    @property
    def shares(self) -> bool:
        """Whether prefixes are shared."""
        return self.level in ("prefix", "tree")

    def at_most(self, level: Level) -> Sharing:
        """Return a copy for requests that are told apart while they are answered.

        It shares no more than a level, only among equal prompts, and merges none of them.
        """
        made = copy.copy(self)
        made.equal, made.merges = True, False
        if LEVELS.index(made.level) > LEVELS.index(level):
            made.level, made.proven = level, level in ("naive", "memo")
        return made

    @torch.inference_mode()
    def prove(self, forward: Forward, job: Job) -> None:
        """Compare the level with ``naive`` on a job; step down, as often as needed, if they differ.

        What is compared are the log-probabilities of every token after the job's longest rows.

        Raises
        ------
        ModelError
            If the level was asked for by name: it is not exchanged for another silently.
        """
        if self.proven:
            return
        longest = sorted(job.rows, key=lambda row: len(row.tokens), reverse=True)[:_PROBED]
        naive = torch.cat([forward.logits([row], [row.read[-1]])[:, 0] for row in longest])
        while not self.proven:
            try:
                made = self._last_logits(forward, Job(tuple(longest), job.prefix))
                apart = (_logprobs(made) - _logprobs(naive)).abs().mean().item()
                fault = f"log-probabilities differ from one-at-a-time by {apart:.2g} on average"
                wrong = not apart <= ROUNDING[naive.element_size()]
            except (RuntimeError, ValueError, TypeError, AttributeError, LookupError) as error:
                if lacks_memory(error):
                    raise  # says nothing about the level: the job is halved, and proves it then
                fault, wrong = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}", True
            if wrong:
                self._step_down(fault)
            else:
                # A prefix that is computed without what follows it can only then be the same.
                self.proven = self.causal = True

    def _last_logits(self, forward: Forward, job: Job) -> Tensor:
        """Return the logits after each row at the present level. Shape (rows, vocabulary)."""
        prefix = Prefix(forward, [job])
        passes = prefix.tree_logits() if self.level == "tree" else prefix.row_logits()
        found = {row: read.last(row) for read in passes for row in read.places}
        return torch.stack([found[number] for number in range(len(job.rows))])

    def _step_down(self, fault: str) -> None:
        if self.engine != "auto":
            raise ModelError(
                f"--engine {self.level} is not exact for this model: {fault}",
                hint="use --engine auto, which checks and steps down",
            )
        lower = LEVELS[LEVELS.index(self.level) - 1]
        self.why = f"{self.level}: {fault}"
        log.warning("engine steps down from %s to %s: %s", self.level, lower, fault)
        self.level = lower
        self.proven = lower == "memo"

    def describe(self) -> dict[str, Any]:
        """Return what was asked for, what is used, and why not more."""
        return {"engine": self.engine, "level": self.level, "why": self.why, "proven": self.proven}


def _logprobs(logits: Tensor) -> Tensor:
    return logits.cpu().double().log_softmax(-1)  # not every accelerator has float64


def highest_level(model: Any) -> tuple[Level, str]:
    """Return the highest level that an architecture allows, and what forbids the next."""
    parameters = inspect.signature(model.forward).parameters
    if "mm_encoder_outputs" not in parameters:
        return "memo", "its forward pass takes no computed image features (transformers 5.18)"
    if not hasattr(model, "_prepare_position_ids_for_generation"):
        return "memo", "its positions cannot be asked for"
    text = model.config.get_text_config()
    if getattr(text, "use_bidirectional_attention", None):
        return "memo", "its prompt attends to later tokens"
    if not _plain_cache(model):
        kinds = {type(layer).__name__ for layer in DynamicCache(config=model.config).layers}
        return "prefix", f"some of its layers do not keep all keys ({', '.join(sorted(kinds))})"
    attention = getattr(text, "_attn_implementation", None) or model.config._attn_implementation
    if attention not in ("sdpa", "eager"):
        return "prefix", f"{attention} attention takes no mask of its own"
    return "tree", ""


def _plain_cache(model: Any) -> bool:
    layers = DynamicCache(config=model.config).layers
    return all(type(layer) is DynamicLayer for layer in layers)
