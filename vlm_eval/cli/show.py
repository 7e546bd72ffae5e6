"""``vlm_eval show``: what a model would be asked about one sample."""

from __future__ import annotations

import argparse
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from vlm_eval.cli.options import add_include_path
from vlm_eval.cli.sheet import contact_sheet
from vlm_eval.cli.show_transforms import show_transforms
from vlm_eval.cli.text import WIDTH, printable, printable_lines
from vlm_eval.core.errors import UsageError, did_you_mean
from vlm_eval.core.types import ImageRef, condition_key
from vlm_eval.tasks.index import TaskIndex
from vlm_eval.tasks.rendering import FIRST_ANSWER
from vlm_eval.tasks.task import Task
from vlm_eval.tasks.trials import SampleRow, Trial, make_trial, samples
from vlm_eval.transforms.quality import laplacian_variance, psnr

SUMMARY = "render the prompts and images of a sample under every condition"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("task", help="a task or subtask, or: transforms")
    parser.add_argument(
        "--sample", metavar="ID|N", help="a sample's id, or its number from 1 (default: 1)"
    )
    parser.add_argument(
        "--out",
        metavar="DIR",
        help="where to write contact-sheet.png and prompts.txt (default: show/TASK)",
    )
    parser.add_argument(
        "--data", metavar="PATH|hub:ID|embedded", help="where the task's data lies instead"
    )
    parser.add_argument("--output", choices=["choice", "generate"], help="output kind to ask for")
    parser.add_argument("--seed", type=int, default=0, help="seed of image transforms (default: 0)")
    parser.add_argument(
        "--list", action="store_true", help="of transforms: print only the settings in the picture"
    )
    add_include_path(parser)


def run(args: argparse.Namespace) -> int:
    """Print and write the prompts, and write the contact sheet."""
    if args.task == "transforms":
        return show_transforms(args.out, args.seed, brief=args.list)
    if args.list:
        raise UsageError("--list is for `vlm_eval show transforms`", hint="leave it out")
    data = args.data.removeprefix(f"{args.task}=") if args.data else None
    task = TaskIndex(args.include_path).load(args.task, data=data, output=args.output)
    sample = find_sample(task, args.sample)
    made = (make_trial(task, sample, c, seed=args.seed) for c in task.conditions())
    trials = [trial for trial in made if trial is not None]
    plates = distinct_images(trials)
    pictures = [(plate.label, plate.image.load()) for plate in plates]
    qualities = image_qualities(plates, [image for _, image in pictures])
    text = "\n".join(
        [_heading(task, sample, len(trials)), *_prompts(trials, plates), "", *qualities]
    )
    print(printable_lines(text))
    folder = Path(args.out) if args.out else Path("show") / task.name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "prompts.txt").write_text(text + "\n", encoding="utf-8")
    written = [folder / "prompts.txt"]
    if pictures:
        contact_sheet(pictures).save(folder / "contact-sheet.png")
        written.append(folder / "contact-sheet.png")
    print(printable(f"written: {', '.join(map(str, written))}"))
    return 0


def find_sample(task: Task, wanted: str | None) -> SampleRow:
    """Return the sample with an id, or else with a number from 1; the first if None.

    Raises
    ------
    UsageError
        If there is none, with the nearest ids.
    """
    ids = []
    found: SampleRow | None = None
    for number, sample in enumerate(samples(task), start=1):
        if wanted is None or sample.id == wanted:
            return sample
        if str(number) == wanted:
            found = sample
        ids.append(sample.id)
    if found is None:
        what = (
            f"task {task.name} has no sample {wanted!r}" if ids else f"{task.name} has no samples"
        )
        hint = f"{did_you_mean(wanted or '', ids)} (or a number from 1 to {len(ids)})"
        raise UsageError(what, hint=hint)
    return found


@dataclass(frozen=True)
class Plate:
    """An image of the contact sheet.

    Attributes
    ----------
    number
        Its place on the sheet, from 1.
    image
        The image, as the model sees it before its own processor.
    label
        Its number and what distinguishes the conditions that show it.
    """

    number: int
    image: ImageRef
    label: str


def distinct_images(trials: Sequence[Trial]) -> list[Plate]:
    """Return each distinct image of some trials of one sample, in the order of appearance."""
    images = {image.key: image for trial in trials for image in trial.request.images}
    return [
        Plate(number, image, f"{number}: {_distinction(trials, image)}".rstrip(": "))
        for number, image in enumerate(images.values(), start=1)
    ]


def image_qualities(plates: Sequence[Plate], images: Sequence[Image.Image]) -> Iterator[str]:
    """Yield a line an image: its size, its sharpness, and how far it is from the first of its kind.

    The first is the first plate that was made from the same original.
    """
    firsts: dict[str, tuple[int, Image.Image]] = {}
    for plate, image in zip(plates, images, strict=True):
        number, first = firsts.setdefault(plate.image.label, (plate.number, image))
        line = (
            f"{image.width} x {image.height} px, Laplacian variance {laplacian_variance(image):.4g}"
        )
        if number != plate.number:
            ratio = psnr(image, first)
            shown = "-" if ratio is None else f"{ratio:.1f} dB"
            line += f", PSNR to #{number} {shown}"
        yield f"[image #{plate.number}: {line}]"


def _distinction(trials: Sequence[Trial], image: ImageRef) -> str:
    """Return the levels that all conditions with this image share and others do not."""
    shown = [trial for trial in trials if image in trial.request.images]
    parts = []
    for factor in trials[0].condition:
        here = list(dict.fromkeys(trial.condition[factor] for trial in shown))
        everywhere = {trial.condition[factor] for trial in trials if trial.request.images}
        if len(here) < len(everywhere):
            parts.append(f"{factor}={'|'.join(map(str, here))}")
    if all(trial.follow is not None for trial in shown):
        parts.append(f"as if answered {shown[0].fields[FIRST_ANSWER]}")
    return ", ".join(parts)


def _heading(task: Task, sample: SampleRow, conditions: int) -> str:
    info = task.data_info()
    lines = [
        f"{task.name} {task.version}: {task.spec.title}",
        f"sample {sample.id}, cluster {sample.cluster}, {conditions} conditions",
    ]
    return "\n".join([*lines, *textwrap.wrap(info.notice or "", WIDTH)])


def _prompts(trials: Sequence[Trial], plates: Sequence[Plate]) -> Iterable[str]:
    """Yield the text of each condition: what is shown, asked, offered and right."""
    numbers = {plate.image.key: plate.number for plate in plates}
    for trial in trials:
        title = f"--- {condition_key(trial.condition) or 'the one condition'} "
        yield "\n" + title.ljust(WIDTH, "-")
        yield trial.prompt
        shown = " ".join(f"#{numbers[image.key]}" for image in trial.request.images) or "none"
        choices = " | ".join(trial.choices) if trial.choices else "free text"
        kind = "scored" if trial.request.choices else "generated"
        yield f"[images: {shown}] [{kind}: {choices}] [gold: {trial.gold}]"
        if trial.follow is not None:
            first = condition_key(trial.follow.condition)
            answer = trial.fields[FIRST_ANSWER]
            yield f"[asked after {first}; shown as if its answer had been: {answer}]"
