"""Times vlm_eval, lm-evaluation-harness and lmms-eval on the same generated answers, interleaved.

    python benchmarks/peers.py --rounds 2 --out benchmarks/results/peers.json

The other harnesses are installed into an environment of their own (``--folder``), because they
pin other versions and need torchvision; on a CPU its operators are declared by hand there, since
the registry's build is linked against CUDA. Every run is a process of its own. Start-up differs
by many seconds, so the cost of a request is the difference between a run with many and one with
few.

All ask the same yes/no questions about the same drawn images, several an image, in float32
(bfloat16 in lmms-eval, whose model class fixes it), greedy, eight new tokens, the same pixels.
None of the others scores an image's options by log-likelihood (lm-eval raises
NotImplementedError, lmms-eval fails and exits with 0), so that comparison is with the hand-
written loop in ``engine.py``.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import resource
import subprocess
import sys
import textwrap
import time
import venv
from pathlib import Path
from statistics import median
from typing import Any

from checkpoint import build

QUESTIONS = 4  # an image
VIDEO = {
    "video_processor_type": "Qwen2VLVideoProcessor",
    "patch_size": 14,
    "merge_size": 2,
    "temporal_patch_size": 2,
    "size": {"shortest_edge": 56 * 56, "longest_edge": 28 * 28 * 1280},
}
PACKAGES = ("lm-eval==0.4.13", "lmms-eval==0.7.3", "pillow", "qwen-vl-utils", "decord")
SHIM = """
if not _has_ops():
    for _op in ("nms", "qnms"):
        torch.library.define(
            f"torchvision::{_op}", "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
        )
"""


def main() -> None:
    """Install, measure, print the table and write the measurements."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path("benchmarks/.peers"))
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--many", type=int, default=96, help="requests of the long run")
    parser.add_argument("--few", type=int, default=16, help="requests of the short run")
    parser.add_argument("--batch_size", type=int, default=8)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    folder = given.folder.resolve()
    python = install(folder / "venv")
    model = build("small", folder / "small").resolve()
    # The others load the processor whole, with its video part.
    (model / "video_preprocessor_config.json").write_text(json.dumps(VIDEO))
    write_tasks(folder / "tasks", given.many // QUESTIONS)
    found: list[dict[str, Any]] = []
    harnesses = ("vlm_eval", "lm-eval", "lmms-eval")
    for number in range(given.rounds):
        for harness in [*harnesses[number % 3 :], *harnesses[: number % 3]]:
            for requests in (given.few, given.many):
                command = commands(harness, python, model, folder, requests, given.batch_size)
                found.append({"harness": harness, "requests": requests, **measure(command, folder)})
                print(json.dumps(found[-1]), flush=True)
    print(table(found, given.few, given.many))
    if given.out:
        given.out.parent.mkdir(parents=True, exist_ok=True)
        given.out.write_text(json.dumps({"when": time.strftime("%Y-%m-%d"), "runs": found}) + "\n")


def install(folder: Path) -> Path:
    """Make the other harnesses' environment, unless it is there, and return its Python."""
    python = folder / "bin" / "python"
    if (folder / "ready").exists():
        return python
    venv.create(folder, with_pip=True)
    import torch

    pip = [str(python), "-m", "pip", "install", "-q"]
    torch_pin = f"torch=={torch.__version__.split('+')[0]}"
    subprocess.run([*pip, torch_pin, "transformers>=5.20,<6", *PACKAGES], check=True)
    subprocess.run([*pip, "--no-deps", "torchvision"], check=True)
    site = subprocess.run(
        [python, "-c", "import sysconfig; print(sysconfig.get_paths()['purelib'])"],
        capture_output=True, text=True, check=True,
    ).stdout.strip()  # fmt: skip
    extension = Path(site) / "torchvision" / "extension.py"
    extension.write_text(extension.read_text() + SHIM)
    (folder / "ready").touch()
    return python


def write_tasks(folder: Path, images: int) -> None:
    """Write one Parquet file of drawn images and questions, and each harness's task on it."""
    from datasets import Dataset, Image

    from vlm_eval.data.scenes.objects import draw_objects, sample_objects
    from vlm_eval.data.scenes.things import THINGS

    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    names = sorted(THINGS)
    for index in range(images):
        objects = sample_objects(0, index)
        file = io.BytesIO()
        draw_objects(objects).save(file, "PNG")
        for question in range(QUESTIONS):
            name = names[(index + question * 5) % len(names)]
            rows.append(
                {
                    "id": f"{index}-{question}",
                    "image": {"bytes": file.getvalue(), "path": None},
                    "question": f"Is there a {name} in the image? Please answer yes or no.",
                    "answer": "yes",
                }
            )
    table = Dataset.from_list(rows).cast_column("image", Image())
    table.to_parquet(folder / "questions.parquet")
    data = f"""
        dataset_path: parquet
        dataset_kwargs: {{data_files: {{test: {folder / "questions.parquet"}}}}}
        test_split: test
        output_type: generate_until
        doc_to_target: answer
        metric_list: [{{metric: exact_match, aggregation: mean, higher_is_better: true}}]
    """
    lm = f"""
        task: peers_gen
        {textwrap.dedent(data).strip()}
        doc_to_image: [image]
        doc_to_text: "<image>{{{{question}}}}"
        generation_kwargs: {{until: ["<|im_end|>"], max_gen_toks: 8, do_sample: false}}
        metadata: {{version: 1.0}}
    """
    lmms = f"""
        task: peers_gen
        {textwrap.dedent(data).strip()}
        doc_to_visual: !function utils.doc_to_visual
        doc_to_text: !function utils.doc_to_text
        generation_kwargs: {{max_new_tokens: 8, temperature: 0, do_sample: false}}
        metadata: [{{version: 1.0}}]
    """
    for name, text in (("lm", lm), ("lmms", lmms)):
        (folder / name).mkdir(exist_ok=True)
        lines = [line.strip() for line in text.strip().splitlines()]
        (folder / name / "peers_gen.yaml").write_text("\n".join(lines) + "\n")
    (folder / "lmms" / "utils.py").write_text(
        "def doc_to_visual(doc):\n    return [doc['image'].convert('RGB')]\n\n\n"
        "def doc_to_text(doc, lmms_eval_specific_kwargs=None):\n    return doc['question']\n"
    )
    (folder / "own").mkdir(exist_ok=True)
    (folder / "own" / "peers.yaml").write_text(
        textwrap.dedent(f"""
            task: peers
            version: 1.0.0
            title: Drawn objects, for timing
            data:
              source: table
              path: {folder / "questions.parquet"}
              images: [image]
            sample_id: "{{{{ id }}}}"
            prompt: {{content: [{{image: image}}, {{text: "{{{{ question }}}}"}}]}}
            output: {{kind: generate, choices: ["yes", "no"], max_new_tokens: 8}}
            gold: "{{{{ answer }}}}"
            parser: yes_no
            metrics: [accuracy]
        """).lstrip()
    )


def commands(
    harness: str, python: Path, model: Path, folder: Path, requests: int, batch: int
) -> list[str]:
    """Return the command of one run."""
    out = str(folder / "out" / f"{harness}-{time.monotonic_ns()}")
    tasks = folder / "tasks"
    if harness == "vlm_eval":
        words = ["-m", "vlm_eval", "--model", str(model), "--tasks", "peers", "--quiet"]
        words += ["--include_path", str(tasks / "own"), "--max_failures", "0"]
        words += ["--batch_size", str(batch), "--limit", str(requests), "--output_path", out]
        return [sys.executable, *words]
    if harness == "lm-eval":
        words = ["-m", "lm_eval", "run", "--model", "hf-multimodal", "--model_args"]
        words += [f"pretrained={model}", "dtype=float32", "--apply_chat_template"]
        words += ["--include_path", str(tasks / "lm")]
    else:
        arguments = f"pretrained={model},device_map=cpu,min_pixels=3136"
        words = ["-m", "lmms_eval", "eval", "--model", "qwen2_5_vl", "--model_args", arguments]
        words += ["--include_path", str(tasks / "lmms")]
    words += ["--device", "cpu", "--batch_size", str(batch), "--tasks", "peers_gen"]
    return [str(python), *words, "--limit", str(requests), "--output_path", out]


def measure(command: list[str], folder: Path) -> dict[str, Any]:
    """Run a command; return CPU seconds, wall seconds and whether it failed."""
    quiet = {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "HF_HOME": str(folder / "hf")}
    quiet |= {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.perf_counter()
    done = subprocess.run(
        command, env={**os.environ, **quiet}, capture_output=True, text=True, check=False
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    out = Path(command[command.index("--output_path") + 1])
    # lmms-eval exits with 0 when it has failed: what counts is whether it wrote results.
    failed = bool(done.returncode) or not any(out.parent.glob(f"{out.name}*/**/*.json*"))
    if failed:
        print(done.stderr[-3000:], file=sys.stderr)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"cpu": cpu, "wall": time.perf_counter() - began, "failed": failed}


def table(found: list[dict[str, Any]], few: int, many: int) -> str:
    """Return a Markdown table of start-up and cost a request."""
    lines = ["| harness | CPU s a request | CPU s of a run | ratio |", "|---|---|---|---|"]
    cost: dict[str, float] = {}
    for harness in dict.fromkeys(run["harness"] for run in found):
        if any(run["failed"] for run in found if run["harness"] == harness):
            lines.append(f"| {harness} | failed | - | - |")
            continue
        ends = [
            median(r["cpu"] for r in found if (r["harness"], r["requests"]) == (harness, n))
            for n in (few, many)
        ]
        cost[harness] = (ends[1] - ends[0]) / (many - few)
        ratio = cost[harness] / cost["vlm_eval"]
        lines.append(f"| {harness} | {cost[harness]:.3f} | {ends[1]:.1f} | {ratio:.1f} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
