"""``vlm_eval segment``: how well a segmentation model does on the images of a task."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vlm_eval.core.errors import UsageError

if TYPE_CHECKING:
    from vlm_eval.core.types import Level
    from vlm_eval.segmentation.quality import Frame, Quality
    from vlm_eval.segmentation.views import View
    from vlm_eval.tasks.task import Task

SUMMARY = (
    "Measure mIoU of a segmentation model, or of its predictions on disk, under every degradation "
    "of a task, on the very images that a run of the task shows. Writes mIoU with intervals to "
    "--out (JSON) and the confusion matrix of every image next to it (npz)."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "--task", default="cityscapes-degraded", metavar="T",
        help="the task whose images are used (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--data", metavar="PATH", help="where the task's data lies, as for `vlm_eval run`, "
        "without the task's name; embedded is the synthetic stand-in",
    )  # fmt: skip
    parser.add_argument(
        "--model", metavar="M", help="hub id or folder of a segmentation model (SegFormer, ...)"
    )
    parser.add_argument(
        "--model_args", metavar="K=V,...",
        help="labels=names|train_ids, resize=stock|native, revision, ... (docs/segmentation.md)",
    )  # fmt: skip
    parser.add_argument("--device", metavar="D", help="as for `vlm_eval run`")
    parser.add_argument("--dtype", metavar="T", help="as for `vlm_eval run`")
    parser.add_argument(
        "--predictions", type=Path, metavar="DIR",
        help="in place of --model: PNGs named as Cityscapes names them, in DIR/CONDITION/",
    )  # fmt: skip
    parser.add_argument(
        "--encoding", choices=["auto", "ids", "train_ids"], default="auto",
        help="of --predictions: label ids (7 is road) or train ids (0 is road); auto finds out",
    )  # fmt: skip
    parser.add_argument("--name", metavar="N", help="what to call the model in tables")
    parser.add_argument(
        "--factor", default="degradation", metavar="F",
        help="the task's factor whose levels degrade the image (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument("--limit", type=int, metavar="N", help="images (default: all)")
    parser.add_argument(
        "--seed", type=int, default=0, metavar="N",
        help="of random degradations; that of the run it is compared with (default: 0)",
    )  # fmt: skip
    parser.add_argument(
        "--include_path", action="append", default=[], metavar="DIR",
        help="add the task files of this folder (repeatable)",
    )  # fmt: skip
    parser.add_argument(
        "--out", type=Path, required=True, metavar="FILE", help="a new file, NAME.json"
    )
    parser.add_argument("--quiet", action="store_true", help="no progress, no table")


def run(args: argparse.Namespace) -> int:
    """Measure, write both files and print the table."""
    _check(args)
    from vlm_eval.runner.folder import to_json, write_atomic
    from vlm_eval.segmentation.quality import summarise
    from vlm_eval.segmentation.store import save_matrices
    from vlm_eval.segmentation.views import views
    from vlm_eval.tasks.index import TaskIndex

    task = TaskIndex(args.include_path).load(args.task, data=_place(args.data, args.task))
    # Before the model is loaded: a wrong factor, limit or data path is known at once.
    shown = list(views(task, factor=args.factor, limit=args.limit, seed=args.seed))
    name, described, frames = _measured(args, task, shown)
    provenance = {
        **task.info(),
        "task": task.name,
        "seed": args.seed,
        "limit": args.limit,
        "segmenter": described,
    }
    levels = {level: frames.get(level, []) for level in task.factors[args.factor]}
    quality = summarise(name, args.factor, levels, provenance, seed=args.seed)
    save_matrices(matrices_of(args.out), levels)
    write_atomic(args.out, to_json(quality.to_json()))
    if not args.quiet:
        print_quality(quality)
        print(f"wrote {args.out}\nwrote {matrices_of(args.out)}, the matrix of every image")
    return 0


def matrices_of(out: Path) -> Path:
    """Return where the matrices of single images go."""
    return out.with_suffix(".npz")


def _check(args: argparse.Namespace) -> None:
    if (args.model is None) == (args.predictions is None):
        raise UsageError("one of --model and --predictions is needed", hint="give one")
    if args.model is None and (args.model_args or args.device or args.dtype):
        raise UsageError("--model_args, --device and --dtype are for --model")
    if args.predictions is None and args.encoding != "auto":
        raise UsageError("--encoding is for --predictions")
    if args.out.suffix != ".json":
        raise UsageError(f"--out {args.out} does not end in .json", hint="such as segformer.json")
    for path in (args.out, matrices_of(args.out)):
        if path.exists():
            raise UsageError(f"{path} is there already", hint="choose another --out, or move it")
    if not args.out.parent.is_dir():
        raise UsageError(f"there is no folder {args.out.parent}", hint="make it, or change --out")


def _place(data: str | None, task: str) -> str | None:
    """Return where the data lies; the form TASK=PATH of `vlm_eval run` is understood too."""
    return None if data is None else data.removeprefix(f"{task}=")


def _measured(
    args: argparse.Namespace, task: Task, shown: Sequence[View]
) -> tuple[str, Mapping[str, Any], dict[Level, list[Frame]]]:
    """Return the model's name and description, and the matrices by level."""
    from vlm_eval.models.args import parse_args
    from vlm_eval.segmentation.measure import measure, predict, read
    from vlm_eval.segmentation.predictions import Predictions

    if args.predictions is not None:
        levels = task.factors[args.factor]
        predictions = Predictions(args.predictions, levels, encoding=args.encoding)
        shown = [view for view in shown if view.level in predictions.levels]
        name = args.name or args.predictions.resolve().name
        frames = _with_progress(args, shown, lambda tick: measure(shown, read(predictions), tick))
        return name, {"backend": "predictions", "encoding": predictions.encoding}, frames
    from vlm_eval.models.segmenter import load_segmenter

    model = load_segmenter(
        args.model, args=parse_args(args.model_args), device=args.device, dtype=args.dtype
    )
    frames = _with_progress(args, shown, lambda tick: measure(shown, predict(model), tick))
    return args.name or model.name, model.describe(), frames


def _with_progress(args: argparse.Namespace, shown: Sequence[View], work: Any) -> Any:
    from vlm_eval.runner.progress import make_progress

    with make_progress(quiet=args.quiet) as progress:
        progress.start(len(shown), 0)
        return work(lambda: progress.advance(failed=False))


def print_quality(quality: Quality) -> None:
    """Print mIoU and its difference to the baseline for each level, in 100 columns."""
    from vlm_eval.cli.text import print_table
    from vlm_eval.segmentation.quality import DIFFERENCE, MIOU, RPC

    found = {(e.name, str(e.where.get(quality.factor))): e for e in quality.estimates}
    rows = []
    for (name, level), miou in found.items():
        if name != MIOU:
            continue
        change = found.get((DIFFERENCE, level))
        classes = quality.class_iou.get(level, {})
        rows.append(
            {
                quality.factor: level,
                "mIoU %": percent(miou.value),
                "95 % interval": interval(miou.low, miou.high),
                "change": "" if change is None else percent(change.value, signed=True),
                "interval of change": ""
                if change is None
                else interval(change.low, change.high, signed=True),
                "images": f"{miou.n:,}",
                "classes": f"{sum(v is not None for v in classes.values())} of {len(classes)}",
            }
        )
    data = quality.provenance.get("data", {})
    print(f"\n{quality.segmenter} on {quality.provenance.get('task', '-')}")
    notes = ["", "SYNTHETIC DATA: not a benchmark result"] if data.get("synthetic") else [""]
    notes += [
        "mIoU of one confusion matrix over all images, of the classes that are there or predicted;",
        "intervals by bootstrap over images, paired for changes",
    ]
    for kept in (e for e in quality.estimates if e.name == RPC and e.value is not None):
        ends = interval(kept.low, kept.high)
        notes.append(f"rPC (mean mIoU degraded / clean): {percent(kept.value)} % {ends}")
    print_table(rows, notes)


def percent(value: float | None, *, signed: bool = False) -> str:
    """Return a share in percent with one digit; "-" if it is unknown."""
    if value is None:
        return "-"
    text = f"{100 * value:+.1f}" if signed else f"{100 * value:.1f}"
    return "0.0" if text in ("-0.0", "+0.0") else text


def interval(low: float | None, high: float | None, *, signed: bool = False) -> str:
    """Return an interval of shares in percent; "-" if it is unknown."""
    if low is None or high is None:
        return "-"
    return f"[{percent(low, signed=signed)}, {percent(high, signed=signed)}]"
