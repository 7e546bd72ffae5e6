"""LoRA on a split of VLM-Fix post-training, for a real model; QLoRA with ``--four_bit``.

    python examples/post_training/train_lora.py --split D2 --model qwen2.5-vl --out runs/d2-lora
    vlm_eval run --model qwen2.5-vl --model_args adapter=runs/d2-lora --tasks vlm-fix-posttrain

The recipe is the paper's SFT (Alam 2026, App. C): rank 8 on all linear modules, NF4, one epoch,
global batch 128, learning rate 1e-4, cosine, warm-up 3 %, bfloat16. Its LoRA alpha and dropout are
not published: 16 and 0 here. The loss is on the answer and the end of the turn alone.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, get_peft_model, prepare_model_for_kbit_training
from transformers import (
    AutoModelForImageTextToText,
    BitsAndBytesConfig,
    get_cosine_schedule_with_warmup,
)

from vlm_eval.core.errors import UsageError
from vlm_eval.data.boards.games import GAMES
from vlm_eval.data.boards.posttrain import Example, examples
from vlm_eval.data.boards.render import render
from vlm_eval.models.hooks import decoder_blocks
from vlm_eval.models.loading import HfOptions, load_config
from vlm_eval.models.processor import load_processor
from vlm_eval.models.registry import resolve

WARM_UP = 0.03


def load(args: argparse.Namespace) -> tuple[Any, Any]:
    """Return the model, with adapters to train, and its processor."""
    source = resolve(args.model).target
    quantised = {}
    if args.four_bit:
        if find_spec("bitsandbytes") is None:
            raise UsageError("--four_bit needs bitsandbytes", hint="pip install bitsandbytes")
        quantised["quantization_config"] = BitsAndBytesConfig(
            load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=torch.bfloat16
        )
    dtype = torch.bfloat16 if args.device == "cuda" else torch.float32
    model = AutoModelForImageTextToText.from_pretrained(
        source, dtype=dtype, use_safetensors=True, device_map=args.device, **quantised
    )
    if args.four_bit:
        model = prepare_model_for_kbit_training(model)
    elif args.checkpointing:
        model.gradient_checkpointing_enable()
        model.enable_input_require_grads()
    modules: str | list[str] = "all-linear"
    if args.decoder_only:
        inside = {id(part) for part in decoder_blocks(model)[1].modules()}
        modules = [
            name
            for name, part in model.named_modules()
            if id(part) in inside and isinstance(part, torch.nn.Linear)
        ]
    config = LoraConfig(r=args.rank, lora_alpha=args.alpha, target_modules=modules)
    processor = load_processor(source, load_config(source, HfOptions()))
    processor.tokenizer.padding_side = "left"
    return get_peft_model(model, config).train(), processor


def encode(processor: Any, rows: Sequence[Example]) -> dict[str, torch.Tensor]:
    """Return a padded batch, labels on the answers with the end of the turn."""
    texts, said = [], []
    for row in rows:
        question = {"type": "text", "text": row.problem.removeprefix("<image>")}
        asked = [{"role": "user", "content": [{"type": "image"}, question]}]
        answer = {"role": "assistant", "content": [{"type": "text", "text": row.answer}]}
        prompt = processor.apply_chat_template(asked, add_generation_prompt=True)
        full = processor.apply_chat_template([*asked, answer]).rstrip("\n")
        if not full.startswith(prompt):
            raise UsageError("the chat template changes the question when it is answered")
        texts.append(full)
        said.append(_tokens(processor, full) - _tokens(processor, prompt))
    images = [[render(row.game, row.board, "canonical", GAMES[row.game].labels)] for row in rows]
    batch = dict(processor(text=texts, images=images, padding=True, return_tensors="pt"))
    labels = torch.full_like(batch["input_ids"], -100)
    for line, count in enumerate(said):  # rows are padded on the left
        labels[line, -count:] = batch["input_ids"][line, -count:]
    return {**batch, "labels": labels}


def _tokens(processor: Any, text: str) -> int:
    return len(processor.tokenizer(text, add_special_tokens=False)["input_ids"])


def steps(rows: list[Example], args: argparse.Namespace) -> Iterator[list[Example]]:
    """Yield the questions of each step, every one once."""
    random.Random(args.seed).shuffle(rows)
    yield from pieces(rows, args.batch)


def pieces(rows: Sequence[Example], size: int) -> Iterator[list[Example]]:
    """Yield the rows in lists of a size."""
    for start in range(0, len(rows), size):
        yield list(rows[start : start + size])


def train(args: argparse.Namespace) -> list[dict[str, float]]:
    """Train, save the adapter and return the loss of each step."""
    torch.manual_seed(args.seed)
    model, processor = load(args)
    rows = list(examples(args.split.lower(), "train", overlap=args.overlap))
    if args.limit:
        rows = random.Random(args.seed).sample(rows, args.limit)
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(weights, lr=args.rate, weight_decay=0.0)
    total = -(-len(rows) // args.batch)
    schedule = get_cosine_schedule_with_warmup(optimizer, round(WARM_UP * total), total)
    curve = []
    for number, chosen in enumerate(steps(rows, args), 1):
        loss = 0.0
        for part in pieces(chosen, args.micro_batch):
            batch = {k: v.to(model.device) for k, v in encode(processor, part).items()}
            share = model(**batch).loss * len(part) / len(chosen)
            share.backward()
            loss += float(share.detach())
        torch.nn.utils.clip_grad_norm_(weights, 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        curve.append({"step": number, "loss": round(loss, 4)})
        print(f"{number}/{total} loss {loss:.3f}", flush=True)
    model.save_pretrained(args.out)
    (args.out / "curves.json").write_text(json.dumps(curve) + "\n", encoding="utf-8")
    return curve


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--split", required=True, choices=["D1", "D2", "D3"])
    parser.add_argument("--model", required=True, help="a preset, a folder or a hub id")
    parser.add_argument("--out", type=Path, required=True, help="folder for the adapter")
    parser.add_argument("--four_bit", action="store_true", help="QLoRA: NF4, needs bitsandbytes")
    parser.add_argument("--decoder_only", action="store_true", help="for `analyze replace`")
    parser.add_argument("--rank", type=int, default=8)
    parser.add_argument("--alpha", type=int, default=16)
    parser.add_argument("--rate", type=float, default=1e-4)
    parser.add_argument("--batch", type=int, default=128, help="questions a step")
    parser.add_argument("--micro_batch", type=int, default=8, help="questions a pass")
    parser.add_argument("--checkpointing", action="store_true", help="less memory, more time")
    parser.add_argument("--overlap", action="store_true", help="Tic-Tac-Toe as the paper's text")
    parser.add_argument("--limit", type=int, help="train on so many questions only")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    train(parse())
