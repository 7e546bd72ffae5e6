"""Measures how fast images are prepared for a model, by the number of threads.

    python benchmarks/preparing.py --folder FOLDER --threads 1 2 4

Photograph-like JPEG files are read, blurred, and prepared by the image processor of a Qwen2.5-VL as
`ahead` does it while a model computes, but no model computes. Prints images a second by wall time:
the median of the rounds, in which numbers of threads take turns.
"""

from __future__ import annotations

import argparse
import io
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from statistics import median

import numpy as np
import torch
from checkpoint import build
from PIL import Image, ImageFilter

from vlm_eval.core.types import ImageRef, Message, Picture, Request, Text
from vlm_eval.models.batching import ahead
from vlm_eval.models.encoders import Encoders
from vlm_eval.models.loading import HfOptions, load_checkpoint

SIZES = ((640, 480), (1280, 800), (2048, 1024))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path("bench-checkpoints"))
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--images", type=int, default=24)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    source = build("small", arguments.folder)
    checkpoint = load_checkpoint(str(source), HfOptions(max_pixels=2**22), device="cpu")
    print("| image |", *(f"{threads} threads |" for threads in arguments.threads))
    print("|---|" + "---|" * len(arguments.threads))
    for width, height in SIZES:
        requests = [[_request(number, width, height)] for number in range(arguments.images)]
        rates: dict[int, list[float]] = {threads: [] for threads in arguments.threads}
        for _ in range(arguments.rounds):
            for threads in arguments.threads:
                rates[threads].append(_rate(Encoders(checkpoint, threads), requests))
        print(f"| {width}x{height} |", *(f"{median(found):.1f} /s |" for found in rates.values()))


def _rate(encoders: Encoders, requests: Sequence[list[Request]]) -> float:
    began = time.perf_counter()
    for found in ahead(encoders.encode, requests, 64, threads=len(encoders)):
        assert all(hasattr(one, "prompt") for one in found), found
    return len(requests) / (time.perf_counter() - began)


def _request(number: int, width: int, height: int) -> Request:
    draw = np.random.default_rng(number)
    coarse = draw.integers(0, 256, (height // 16, width // 16, 3), dtype=np.uint8)
    fine = draw.integers(-12, 13, (height, width, 3))
    smooth = np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))
    file = io.BytesIO()
    Image.fromarray((smooth + fine).clip(0, 255).astype(np.uint8)).save(file, "JPEG", quality=90)
    reference = ImageRef(f"{number} {width}", partial(_read, file.getvalue()))
    parts = Picture(reference), Text("what is shown?")
    return Request(f"{number}", (Message("user", parts),), choices=("yes", "no"))


def _read(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data)).convert("RGB")
    return image.filter(ImageFilter.GaussianBlur(3))


if __name__ == "__main__":
    main()
