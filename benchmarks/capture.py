"""Measures what capturing hidden states costs: runs with and without, interleaved.

    python benchmarks/capture.py --rounds 5
    python benchmarks/capture.py --rounds 3 --scenes 2 --model FOLDER   # one of engine.py's

Every trial is captured, at every layer. A run is all that ``evaluate`` does, from planning to
``results.json``; loading the model is not counted. CPU seconds, the fewest of all rounds, since
other work on the machine can only add to them. Beside it the median of the ratios of the rounds.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from pathlib import Path
from statistics import median

from vlm_eval import evaluate
from vlm_eval.models.registry import load_model

TASK = """\
task: captured
include: _captured.yaml
data: {count: COUNT}
factors: {blur: [none, weak, strong], wording: [plain, polite]}
image:
  transform:
    - {name: gaussian_blur, kernel: 3, when: "blur == 'weak'"}
    - {name: gaussian_blur, kernel: 9, when: "blur == 'strong'"}
capture: {sites: [SITES], layers: all, norm: both, samples: null}
"""
SHARED = Path(__file__).with_name("_captured.yaml")
SITES = {
    "prompt_last": "prompt_last",
    "prompt_last, vision_mean, vision_grid (energy)": "prompt_last, vision_mean, vision_grid",
    "the same and answer_mean": "prompt_last, vision_mean, vision_grid, answer_mean",
}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--scenes", type=int, default=16, help="24 trials each")
    parser.add_argument("--model", default="tiny")
    parser.add_argument("--output", choices=["choice", "generate"], default="choice")
    arguments = parser.parse_args()
    print("| sites | CPU s without | with | overhead, % | median of rounds, % | bytes a request |")
    print("|---|---|---|---|---|---|")
    for name, sites in SITES.items():
        text = TASK.replace("COUNT", str(arguments.scenes)).replace("SITES", sites)
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "captured.yaml").write_text(text)
            shutil.copy(SHARED, folder)
            asked = {"model": arguments.model, "output": arguments.output}
            measure(Path(folder), capture=True, **asked)  # warms up
            pairs, size = [], 0
            for number in range(arguments.rounds):
                found = {}
                for capture in (True, False) if number % 2 else (False, True):
                    found[capture], stored = measure(Path(folder), capture=capture, **asked)
                    size = max(size, stored)
                pairs.append((found[False], found[True]))
        without, with_ = (min(times) for times in zip(*pairs, strict=True))
        typical = median(100 * (b / a - 1) for a, b in pairs)
        print(
            f"| {name} | {without:.2f} | {with_:.2f} | {100 * (with_ / without - 1):.1f} | "
            f"{typical:.1f} | {size:,} |",
            flush=True,
        )


def measure(folder: Path, *, capture: bool, model: str, output: str) -> tuple[float, int]:
    """Run once; return its CPU seconds and the bytes stored a request."""
    loaded = load_model(model)
    with tempfile.TemporaryDirectory() as place:
        began = time.process_time()
        results = evaluate(
            loaded, "captured", include_path=folder, output_path=Path(place) / "run",
            capture=capture, output=output, progress=False,
        )  # fmt: skip
        seconds = time.process_time() - began
    stored = results.captures
    return seconds, stored["bytes"] // stored["requests"] if stored else 0


if __name__ == "__main__":
    main()
