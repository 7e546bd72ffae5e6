"""One measurement in a process of its own: ``engine.py`` starts it. Prints one line of JSON."""

from __future__ import annotations

import argparse
import json
import resource
import time
from pathlib import Path
from typing import Any

import torch
from naive import answer
from workloads import WORKLOADS, options_count

from vlm_eval.models.hf import HfModel
from vlm_eval.models.registry import load_model


def main() -> None:
    """Measure one method on one workload."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("workload", choices=WORKLOADS)
    parser.add_argument("method")
    parser.add_argument("--samples", type=int, required=True)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", default="float32")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    requests = WORKLOADS[arguments.workload](arguments.samples)
    loop = arguments.method == "loop"
    model = load_model(
        str(arguments.checkpoint),
        args="" if loop else f"engine={arguments.method}",
        device=arguments.device,
        dtype=arguments.dtype,
    )
    assert isinstance(model, HfModel)
    loaded = model._checkpoint
    if loop:
        loaded.processor.image_processor = loaded.processor.image_processor._inner  # no memo
    _synchronise(arguments.device)
    before = _rss()
    cpu, wall = time.process_time(), time.perf_counter()
    if loop:
        results = answer(loaded.model, loaded.processor, requests)
    else:
        results = _answers(model, requests)
    _synchronise(arguments.device)
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    gpu = torch.cuda.max_memory_allocated() / 2**20 if arguments.device != "cpu" else None
    print(
        json.dumps(
            {
                "cpu": cpu,
                "wall": wall,
                "rss_before": before,
                "rss": _rss(),
                "gpu": gpu,
                "requests": len(requests),
                "passes": options_count(requests),
                "engine": None if loop else model.describe()["engine"],
                "results": results,
            }
        )
    )


def _answers(model: HfModel, requests: list[Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    scored = [request for request in requests if request.choices is not None]
    texts = [request for request in requests if request.choices is None]
    for responses in (model.loglikelihood(scored), model.generate(texts)):
        for response in responses:
            outcome: Any = response.outcome
            found[response.request_id] = (
                outcome.text if outcome.logprobs is None else list(outcome.logprobs)
            )
    return found


def _rss() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _synchronise(device: str) -> None:
    if device != "cpu":
        torch.cuda.synchronize()


if __name__ == "__main__":
    main()
