"""Fine-tune the embedded model on a split of VLM-Fix post-training, on a CPU.

    python examples/post_training/train.py --split D2 --start tiny --out runs/d2

The questions are the paper's 8,192 (Alam 2026, section 6 and App. C). All weights are trained, or
with ``--train decoder`` the decoder's blocks alone, so that layers can be put back one by one
(``vlm_eval analyze replace``). OUT is a checkpoint for ``vlm_eval run --model OUT``, with the
learning curve in ``curves.json``.

Unlike the paper, a first part of the steps asks for winners only: who loses is an exclusive-or of
who leads and what is asked, which this small model does not learn at once (docs/tiny.md).
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import islice, product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import get_cosine_schedule_with_warmup

from vlm_eval.core.hashing import derive_seed
from vlm_eval.data.boards.games import GAMES
from vlm_eval.data.boards.posttrain import Example, examples, pool
from vlm_eval.data.boards.prompts import ORDERS, RULES, TARGETS
from vlm_eval.models.hooks import decoder_blocks
from vlm_eval.models.loading import HfOptions, load_checkpoint
from vlm_eval.models.registry import resolve
from vlm_eval.models.tiny import pictures as draw
from vlm_eval.models.tiny.architecture import save_checkpoint
from vlm_eval.models.tiny.classroom import Batch, board_pictures, group, new_encoder
from vlm_eval.models.tiny.lessons import IMAGE, Encoder, Lesson, board_lesson
from vlm_eval.models.tiny.muon import Muon
from vlm_eval.models.tiny.network import Eye, answer_logits
from vlm_eval.models.tiny.train import MUON_RATE, question_loss

WARM_UP = 0.03
MARK = "<image>"
WINNER = "Who is the winner?"
HELD_OUT_SEED = 303


def as_lesson(example: Example) -> Lesson:
    """Return a question of the split as the embedded model is taught it."""
    text = example.problem.removeprefix(MARK)
    return Lesson((IMAGE, text), example.answer, example.game)


def batches(
    rows: Sequence[Example], size: int, steps: int, winners: int, seed: int
) -> Iterator[Batch]:
    """Yield shuffled batches of questions, the first ``winners`` of them about winners only."""
    early = [row for row in rows if WINNER in row.problem]
    yield from islice(_shuffled(early, size, derive_seed(seed, "post-training", "first")), winners)
    yield from islice(_shuffled(rows, size, derive_seed(seed, "post-training")), steps - winners)


def _shuffled(rows: Sequence[Example], size: int, seed: int) -> Iterator[Batch]:
    rng = random.Random(seed)
    while True:
        order = rng.sample(range(len(rows)), len(rows))
        for start in range(0, len(order), size):
            yield as_batch([rows[i] for i in order[start : start + size]])


def as_batch(rows: Sequence[Example]) -> Batch:
    """Draw the boards of some questions; one that is asked about twice is drawn once."""
    asked: dict[str, dict[Any, list[Example]]] = {}
    for row in rows:
        asked.setdefault(row.game, {}).setdefault(row.board, []).append(row)
    images: list[Any] = []
    lessons: list[tuple[Lesson, int]] = []
    for game, boards in asked.items():
        images.append(draw.artist(game, "canonical").draw(np.array(list(boards))))
        first = sum(map(len, images[:-1]))
        lessons += [(as_lesson(r), first + i) for i, of in enumerate(boards.values()) for r in of]
    pixels = torch.from_numpy(np.concatenate(images)).float()
    nothing = torch.zeros(0)
    return Batch(pixels, nothing, nothing, lessons)


class HeldOut:
    """Boards that neither the benchmark nor any training pool has, asked both ways of both rules.

    Parameters
    ----------
    count
        Boards a game.
    """

    def __init__(self, count: int, overlap: bool) -> None:
        self.items: list[tuple[torch.Tensor, list[tuple[Lesson, int]]]] = []
        for game in GAMES:
            trained = {slot.board for slot in pool(game, overlap=overlap)}
            stream = draw.sample_boards(game, "validation", HELD_OUT_SEED)
            fresh = (board for board in stream if board not in trained)
            boards = [next(fresh) for _ in range(count)]
            images = board_pictures(draw.artist(game, "canonical"), boards).images
            asked = [
                (board_lesson(game, GAMES[game].winner(board), rule, target, ORDERS[0]), index)
                for index, board in enumerate(boards)
                for rule, target in product(RULES, TARGETS)
            ]
            self.items.append((torch.from_numpy(images).float(), asked))

    @torch.no_grad()
    def __call__(self, model: Any, eye: Eye, encoder: Encoder) -> dict[str, float]:
        """Return the accuracy by game and rule, the likelier of the two labels taken as said."""
        right: dict[str, list[bool]] = defaultdict(list)
        for images, lessons in self.items:
            seen = eye(images)
            for questions, numbers in group(lessons, encoder, model.config.image_token_id, 1):
                logits, labels = answer_logits(model, seen, questions)
                rows = (questions.labels != -100).nonzero()[:, 0].tolist()
                for row, number in enumerate(numbers):
                    lesson, said = lessons[number][0], rows.index(row)
                    game, rule, _ = lesson.tag.split()
                    both = [encoder.tokenizer(label).input_ids[0] for label in GAMES[game].labels]
                    best = max(both, key=lambda token: float(logits[said, token]))
                    right[f"{game} {rule}"].append(best == int(labels[said]))
        return {name: round(sum(hits) / len(hits), 4) for name, hits in right.items()}


def trained_part(model: Any, part: str) -> dict[str, torch.nn.Parameter]:
    """Let gradients into all weights, or into the decoder's blocks, and return these."""
    of = model if part == "all" else decoder_blocks(model)[1]
    return {name: weight.requires_grad_(True) for name, weight in of.named_parameters()}


class Learner:
    """Muon for matrices and AdamW for the rest, as the embedded model was trained.

    The rate warms up over 3 % of the steps and falls as a cosine, as in the paper.
    """

    def __init__(self, named: dict[str, torch.nn.Parameter], rate: float, steps: int) -> None:
        self.weights = list(named.values())
        hidden = {n: p for n, p in named.items() if p.ndim == 2 and "embed" not in n}
        self.muon = Muon(hidden.values())
        rest = [weight for name, weight in named.items() if name not in hidden]
        self.adam = torch.optim.AdamW(rest, lr=rate, betas=(0.9, 0.98), weight_decay=0.0)
        self.schedule = get_cosine_schedule_with_warmup(self.adam, round(WARM_UP * steps), steps)

    def step(self, loss: torch.Tensor) -> None:
        """Take one step down a loss."""
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.weights, 1.0)
        self.muon.step(MUON_RATE * self.schedule.get_last_lr()[0])
        self.adam.step()
        self.schedule.step()
        for weight in self.weights:
            weight.grad = None


def train(args: argparse.Namespace) -> list[dict[str, Any]]:
    """Fine-tune, save and return the learning curve."""
    torch.manual_seed(args.seed)
    checkpoint = load_checkpoint(resolve(args.start).target, HfOptions(), device="cpu")
    model, tokenizer = checkpoint.model, checkpoint.processor.tokenizer
    weights = trained_part(model, args.train)
    rows = list(examples(args.split.lower(), "train", overlap=args.overlap))
    if args.limit:
        rows = random.Random(args.seed).sample(rows, args.limit)
    steps = -(-len(rows) // args.batch) * args.epochs
    learner = Learner(weights, args.rate, steps)
    encoder, eye, exam = new_encoder(tokenizer), Eye(model), HeldOut(args.held_out, args.overlap)
    curve: list[dict[str, Any]] = []
    start = time.process_time()

    def note(step: int, loss: float | None) -> None:
        curve.append({"step": step, "loss": loss, "scores": exam(model, eye, encoder)})
        minutes = (time.process_time() - start) / 60
        print(f"{step}/{steps} cpu min {minutes:.1f} {json.dumps(curve[-1])}", flush=True)

    note(0, None)
    winners = round(args.winners_first * steps)
    drawn = batches(rows, args.batch, steps, winners, args.seed)
    for step, batch in enumerate(drawn, 1):
        loss = question_loss(model, eye(batch.images), batch, encoder)
        learner.step(loss)
        if step % args.every == 0 or step == steps:
            note(step, round(float(loss.detach()), 4))
    save_checkpoint(model, tokenizer, args.out)
    about = {key: str(value) if key == "out" else value for key, value in vars(args).items()}
    about["cpu_minutes"] = round((time.process_time() - start) / 60, 1)
    del about["out"]
    text = json.dumps({"about": about, "curve": curve}, indent=1)
    (args.out / "curves.json").write_text(text + "\n", encoding="utf-8")
    return curve


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--split", required=True, choices=["D1", "D2", "D3"])
    parser.add_argument("--start", default="tiny", help="tiny, tiny-joint or a folder of one")
    parser.add_argument("--out", type=Path, required=True, help="folder for the checkpoint")
    parser.add_argument("--train", default="all", choices=["all", "decoder"])
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--batch", type=int, default=128, help="questions a step")
    parser.add_argument("--rate", type=float, default=1e-3, help="peak, of AdamW; Muon's is 10 x")
    parser.add_argument("--winners_first", type=float, default=0.3, help="share of the steps")
    parser.add_argument("--overlap", action="store_true", help="Tic-Tac-Toe as the paper's text")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--limit", type=int, help="train on so many questions only")
    parser.add_argument("--held_out", type=int, default=24, help="boards a game for the curve")
    parser.add_argument("--every", type=int, default=8, help="steps between points of the curve")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    train(parse())
