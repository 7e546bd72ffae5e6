"""Train the embedded model from scratch: ``python -m vlm_eval.models.tiny.train --out DIR``.

Three stages, each continuing the one before (docs/tiny.md says why each is needed):

1. *vision*: the vision tower alone, on what each patch shows and what decides the board;
2. *standard*: the language model joins, on the standard rule only -> ``tiny``;
3. *joint*: both rules, first for the winner only, then for the loser too -> ``tiny-joint``.

It runs on one device, about an hour on two CPU cores. The benchmark's own boards are held out.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 - torch's customary name

from vlm_eval.data.boards.prompts import Rule
from vlm_eval.models.tiny.aids import Aids
from vlm_eval.models.tiny.architecture import new_model, save_checkpoint, train_tokenizer
from vlm_eval.models.tiny.classroom import Batch, Classroom, Examination, group, new_encoder
from vlm_eval.models.tiny.lessons import Encoder, Syllabus, corpus
from vlm_eval.models.tiny.muon import Muon
from vlm_eval.models.tiny.network import Eye, Seen, answer_logits

# Muon's customary rate is about ten times AdamW's.
MUON_RATE = 10.0


def worlds(boards: float, streets: float, pairs: float) -> Mapping[str, float]:
    """Return the share of each world; the two line games take a little more of the boards'."""
    games = {"tictactoe": 0.26, "connect4": 0.28, "reversi": 0.21, "dots_boxes": 0.25}
    shares = {game: boards * share for game, share in games.items()}
    return {**shares, "streets": streets, "pairs": pairs}


@dataclass(frozen=True)
class Stage:
    """One stage of the training.

    Attributes
    ----------
    name
        Of the stage, and of its folder.
    steps, batch
        Optimizer steps, and pictures a step.
    rate
        Peak learning rate of AdamW.
    worlds
        Share of each world among the pictures; they add up to 1.
    questions
        Lessons a board; 0 trains the vision tower alone.
    syllabus, opening
        What is asked, and what is asked in the first ``opening_share`` of the steps.
    opening_share
        In [0, 1].
    aids
        Weight of the training-only supervision.
    checkpoint
        The name under which the result ships, if it does.
    """

    name: str
    steps: int
    batch: int
    rate: float
    worlds: Mapping[str, float]
    questions: int
    syllabus: Syllabus
    opening: Syllabus | None = None
    opening_share: float = 0.0
    aids: float = 0.5
    checkpoint: str | None = None

    def ask(self, step: int) -> Syllabus:
        """Return what may be asked at a step."""
        early = self.opening is not None and step < self.opening_share * self.steps
        return self.opening if early and self.opening is not None else self.syllabus

    def rate_at(self, step: int) -> float:
        """Return the learning rate: 60 steps of warm-up, level, then a cosine down to 2 %."""
        done = step / self.steps
        fall = 0.5 + 0.5 * math.cos(math.pi * min(1.0, max(0.0, (done - 0.4) / 0.6)))
        return self.rate * min(1.0, (step + 1) / 60) * max(0.02, fall)


BOTH: tuple[Rule, ...] = ("standard", "inverse")
STAGES: tuple[Stage, ...] = (
    Stage("vision", 550, 64, 2e-3, worlds(0.65, 0.09, 0.26), 0, Syllabus(), aids=1.0),
    # Winner only at first: one flip (the rule, or the target) must be learned before two.
    Stage(
        "standard", 500, 48, 1.5e-3, worlds(0.46, 0.06, 0.48), 2, Syllabus(),
        Syllabus(targets=("winner",)), 0.3, checkpoint="tiny",
    ),
    Stage(
        "joint", 700, 48, 1.2e-3, worlds(0.62, 0.06, 0.32), 2, Syllabus(BOTH, law=True),
        Syllabus(BOTH, ("winner",), law=True), 0.3, checkpoint="tiny-joint",
    ),
)  # fmt: skip


class Trainer:
    """Model, heads and optimizers of one stage."""

    def __init__(self, model: Any, aids: Aids, stage: Stage) -> None:
        self.model, self.aids, self.stage = model, aids, stage
        trained = model.model.visual if stage.questions == 0 else model
        named = [(n, p) for n, p in trained.named_parameters() if p.requires_grad]
        hidden = [p for n, p in named if p.ndim == 2 and "embed" not in n and "lm_head" not in n]
        chosen = {id(p) for p in hidden}
        rest = [p for _, p in named if id(p) not in chosen] + list(aids.parameters())
        self.parameters = [p for _, p in named] + list(aids.parameters())
        self.muon = Muon(hidden)
        self.adam = torch.optim.AdamW(rest, betas=(0.9, 0.98), weight_decay=0.0)

    def step(self, number: int, loss: torch.Tensor) -> None:
        """Take one optimizer step on a loss."""
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.parameters, 1.0)
        rate = self.stage.rate_at(number)
        for options in self.adam.param_groups:
            options["lr"] = rate
        self.adam.step()
        self.muon.step(MUON_RATE * rate)
        for parameter in self.parameters:
            parameter.grad = None


def question_loss(model: Any, seen: Seen, batch: Batch, encoder: Encoder) -> torch.Tensor:
    """Return the mean cross-entropy of the answers, nats, each answer at equal weight."""
    total = seen.tokens.new_zeros(())
    count = 0
    for questions, numbers in group(batch.lessons, encoder, model.config.image_token_id, 3):
        on_device = questions.to(model.device)
        logits, labels = answer_logits(model, seen, on_device)
        rows = (on_device.labels != -100).sum(1)
        weight = (1 / rows).repeat_interleave(rows)
        total = total + (F.cross_entropy(logits, labels, reduction="none") * weight).sum()
        count += len(numbers)
    return total / count


def run_stage(
    stage: Stage, model: Any, aids: Aids, encoder: Encoder, room: Classroom, log: list[Any]
) -> None:
    """Train one stage in place, appending to the learning curve about eight times."""
    trainer, eye, exam = Trainer(model, aids, stage), Eye(model), Examination()
    start, smooth = time.monotonic(), {"loss": 0.0, "aids": 0.0, "leader": 0.0}
    for step in range(stage.steps):
        batch = room.batch(stage.batch, stage.worlds, stage.ask(step), max(1, stage.questions))
        seen = eye(batch.images)
        aid = aids(seen, batch.patches, batch.facts)
        loss = aid.total.new_zeros(())
        if stage.questions:
            loss = question_loss(model, seen, batch, encoder)
        trainer.step(step, loss + stage.aids * aid.total)
        values = {
            "loss": float(loss.detach()),
            "aids": float(aid.total.detach()),
            "leader": aid.leader_hits,
        }
        mix = max(0.05, 1 / (step + 1))
        smooth = {name: (1 - mix) * smooth[name] + mix * value for name, value in values.items()}
        last = step + 1 == stage.steps
        if (step + 1) % 25 == 0 or last:
            shown = " ".join(f"{name} {value:.3f}" for name, value in smooth.items())
            minutes = (time.monotonic() - start) / 60
            print(f"{stage.name} {step + 1}/{stage.steps} {shown} min {minutes:.1f}", flush=True)
        if stage.questions and ((step + 1) % max(1, stage.steps // 8) == 0 or last):
            scores = exam(model, eye, encoder)
            log.append({"stage": stage.name, "step": step + 1, **smooth, "scores": scores})
            print(json.dumps(scores), flush=True)


def train(
    out: Path, device: torch.device, seed: int, stages: list[Stage], start: Path | None
) -> None:
    """Run stages and save each one's model and heads under ``out``.

    Parameters
    ----------
    out
        Folder for ``<stage>.pt``, the checkpoints and ``curves.json``.
    device
        Where to train.
    seed
        Fixes initialisation and data.
    stages
        To run, in order.
    start
        A ``<stage>.pt`` to continue from.
    """
    torch.manual_seed(seed)
    out.mkdir(parents=True, exist_ok=True)
    # Deterministic, so that a run that continues another one has the same tokens.
    tokenizer = train_tokenizer(corpus())
    model = new_model(tokenizer).to(device).train()
    aids = Aids().to(device)
    if start is not None:
        state = torch.load(start, map_location=device, weights_only=True)
        model.load_state_dict(state["model"])
        aids.load_state_dict(state["aids"])
    encoder = new_encoder(tokenizer)
    room = Classroom(seed, device)
    log: list[Any] = []
    for stage in stages:
        run_stage(stage, model, aids, encoder, room, log)
        torch.save(
            {"model": model.state_dict(), "aids": aids.state_dict()}, out / f"{stage.name}.pt"
        )
        if stage.checkpoint:
            save_checkpoint(model, tokenizer, out / stage.checkpoint)
        (out / "curves.json").write_text(json.dumps(log, indent=1), encoding="utf-8")


def main() -> None:
    """Read the command line and train."""
    parser = argparse.ArgumentParser(description="Train the embedded model from scratch.")
    parser.add_argument("--out", type=Path, required=True, help="folder to write")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--stages", default=",".join(stage.name for stage in STAGES))
    parser.add_argument("--start", type=Path, help="a saved <stage>.pt to continue from")
    parser.add_argument("--steps-scale", type=float, default=1.0, help="share of the steps to run")
    args = parser.parse_args()
    wanted = args.stages.split(",")
    stages = [
        replace(stage, steps=max(1, round(stage.steps * args.steps_scale)))
        for stage in STAGES
        if stage.name in wanted
    ]
    train(args.out, torch.device(args.device), args.seed, stages, args.start)


if __name__ == "__main__":
    main()
