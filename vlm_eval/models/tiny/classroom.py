"""Batches of pictures and lessons, and the examination of held-out ones."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from vlm_eval.data.boards.games import GAMES, Board
from vlm_eval.data.boards.render import Style
from vlm_eval.models.tiny import lessons as teach
from vlm_eval.models.tiny import pictures as draw
from vlm_eval.models.tiny.architecture import TOKENS_SIDE
from vlm_eval.models.tiny.lessons import Encoder, Lesson, Syllabus, pad_rows
from vlm_eval.models.tiny.network import Eye, Questions, answer_logits, positions_of

STYLES: tuple[tuple[Style, float], ...] = (("canonical", 0.85), ("checkerboard", 0.15))
STREETS, PAIRS = 8_000, 4_000
MONITOR_SEED, EXAMINED = 101, 24


@dataclass
class Batch:
    """Pictures with their supervision and the lessons about them.

    Attributes
    ----------
    images, patches, facts
        As in :class:`vlm_eval.models.tiny.pictures.Pictures`, as tensors; images are float.
    lessons
        Each with the index of its first picture in the batch; side s is at that index plus s.
    """

    images: torch.Tensor
    patches: torch.Tensor
    facts: torch.Tensor
    lessons: list[tuple[Lesson, int]]


class Classroom:
    """Draws batches for training.

    Parameters
    ----------
    seed
        Fixes everything drawn.
    device
        Where the tensors go.
    """

    def __init__(self, seed: int, device: torch.device) -> None:
        self.rng, self.noise, self.device = (
            random.Random(seed),
            np.random.default_rng(seed),
            device,
        )
        self.boards = {game: draw.sample_boards(game, "train", seed) for game in GAMES}
        self.artists = {(g, s): draw.artist(g, s) for g in GAMES for s, _ in STYLES}
        self.streets = draw.sample_streets(STREETS, seed + 1)
        self.street_pictures = draw.street_pictures(self.streets)
        self.pairs = draw.sample_pairs(PAIRS, seed + 1)
        self.pair_pictures = draw.pair_pictures(self.pairs)

    def batch(
        self, size: int, worlds: Mapping[str, float], syllabus: Syllabus, questions: int
    ) -> Batch:
        """Return about ``size`` pictures of worlds in their shares, ``questions`` a board."""
        counts = self.noise.multinomial(size, list(worlds.values()))
        drawn: list[draw.Pictures] = []
        asked: list[tuple[Lesson, int]] = []
        at = 0
        for world, count in zip(worlds, counts.tolist(), strict=True):
            if not count:
                continue
            pictures, lessons = self._world(world, count, syllabus, questions)
            drawn.append(pictures)
            asked += [(lesson, at + index) for lesson, index in lessons]
            at += len(pictures.images)
        images = np.concatenate([p.images for p in drawn]).astype(np.float32)
        gain = self.noise.uniform(0.92, 1.08, (len(images), 1, 1, 3)).astype(np.float32)
        return Batch(
            torch.from_numpy(np.clip(images * gain, 0, 255)).to(self.device),
            torch.from_numpy(np.concatenate([p.patches for p in drawn])).to(self.device),
            torch.from_numpy(np.concatenate([p.facts for p in drawn])).to(self.device),
            asked,
        )

    def _world(
        self, world: str, count: int, syllabus: Syllabus, questions: int
    ) -> tuple[draw.Pictures, list[tuple[Lesson, int]]]:
        rng = self.rng
        if world == "streets":
            picked = [rng.randrange(STREETS) for _ in range(count)]
            lessons = [
                (lesson, index)
                for index, number in enumerate(picked)
                for lesson in teach.street_lessons(self.streets[number], rng, 3)
            ]
            return _take(self.street_pictures, picked), lessons
        if world == "pairs":
            picked = [rng.randrange(PAIRS) for _ in range(max(1, count // 2))]
            lessons = [
                (lesson, 2 * index)
                for index, number in enumerate(picked)
                for side in (0, 1)
                for lesson in teach.pair_lessons(self.pairs[number], side, rng)
            ]
            return _take(self.pair_pictures, [2 * n + s for n in picked for s in (0, 1)]), lessons
        boards = [next(self.boards[world]) for _ in range(count)]
        style = rng.choices([s for s, _ in STYLES], [w for _, w in STYLES])[0]
        return board_pictures(self.artists[world, style], boards), [
            (lesson, index)
            for index, board in enumerate(boards)
            for lesson in teach.board_lessons(
                world, GAMES[world].winner(board), syllabus, rng, questions
            )
        ]


def board_pictures(artist: draw.Artist, boards: Sequence[Board]) -> draw.Pictures:
    """Compose boards of one game and style."""
    cells = np.array(boards)
    patches, facts = draw.board_targets(artist.game, cells)
    return draw.Pictures(artist.draw(cells), patches, facts)


def _take(pictures: draw.Pictures, index: list[int]) -> draw.Pictures:
    return draw.Pictures(pictures.images[index], pictures.patches[index], pictures.facts[index])


def group(
    lessons: Sequence[tuple[Lesson, int]], encoder: Encoder, image_token: int, pieces: int
) -> Iterator[tuple[Questions, list[int]]]:
    """Yield lessons as ``pieces`` padded batches of like length, each with its lesson numbers."""
    coded = [encoder(lesson) for lesson, _ in lessons]
    order = sorted(range(len(coded)), key=lambda i: len(coded[i][0]))
    for part in np.array_split(np.array(order, np.int64), pieces):
        numbers = [int(i) for i in part]
        if not numbers:
            continue
        ids = pad_rows([coded[i][0] for i in numbers], encoder.tokenizer.pad_token_id)
        labels = np.full_like(ids, -100)
        for row, number in enumerate(numbers):
            full, said = coded[number]
            # The label stands where the token before it is read.
            labels[row, len(full) - said - 1 : len(full) - 1] = full[-said:]
        places = np.stack([positions_of(row, image_token) for row in ids], 1)
        images = [lessons[i][1] + side for i in numbers for side in lessons[i][0].sides]
        yield (
            Questions(
                torch.from_numpy(ids),
                torch.from_numpy(places),
                torch.tensor(images, dtype=torch.int64),
                torch.from_numpy(labels),
            ),
            numbers,
        )


class Examination:
    """Held-out boards (never the benchmark's), streets and pairs with all the tasks' questions."""

    def __init__(self) -> None:
        self.items: list[tuple[NDArray[np.uint8], list[tuple[Lesson, int]]]] = []
        for game in GAMES:
            stream = draw.sample_boards(game, "validation", MONITOR_SEED)
            boards = [next(stream) for _ in range(EXAMINED)]
            pictures = board_pictures(draw.artist(game, "canonical"), boards)
            asked = [
                (teach.board_lesson(game, GAMES[game].winner(board), rule, target, order), index)
                for index, board in enumerate(boards)
                for rule in ("standard", "inverse")
                for target in ("winner", "loser")
                for order in ("image_first", "text_first")
            ]
            self.items.append((pictures.images, asked))
        rng = random.Random(MONITOR_SEED)
        streets = draw.sample_streets(EXAMINED, MONITOR_SEED)
        self.items.append(
            (
                draw.street_pictures(streets).images,
                [(x, i) for i, s in enumerate(streets) for x in teach.street_lessons(s, rng, 6)],
            )
        )
        pairs = draw.sample_pairs(2 * EXAMINED, MONITOR_SEED)
        self.items.append(
            (
                draw.pair_pictures(pairs).images,
                [(x, 2 * i) for i, pair in enumerate(pairs) for x in _pair_questions(pair)],
            )
        )

    @torch.no_grad()
    def __call__(self, model: Any, eye: Eye, encoder: Encoder) -> dict[str, float]:
        """Return the share of right answers by skill; an answer is right if all its tokens are."""
        right: dict[str, list[bool]] = defaultdict(list)
        device = model.device
        for images, lessons in self.items:
            seen = eye(torch.from_numpy(images).float().to(device))
            pieces = -(-len(lessons) // 128)
            for questions, numbers in group(lessons, encoder, model.config.image_token_id, pieces):
                logits, labels = answer_logits(model, seen, questions.to(device))
                hit = (logits.argmax(-1) == labels).cpu()
                rows = (questions.labels != -100).nonzero()[:, 0]
                for row, number in enumerate(numbers):
                    right[lessons[number][0].tag].append(bool(hit[rows == row].all()))
        return {tag: round(sum(hits) / len(hits), 4) for tag, hits in sorted(right.items())}


def _pair_questions(pair: Any) -> list[Lesson]:
    out = [teach.match_lesson(pair, image, caption) for image in (0, 1) for caption in (0, 1)]
    for side in (0, 1):
        for swapped in (False, True):
            out += [
                teach.caption_lesson(pair, side, swapped),
                teach.choose_image_lesson(pair, side, swapped),
                teach.fill_lesson(pair, side, swapped),
                teach.letter_lesson(pair, side, swapped),
            ]
    return out


def new_encoder(tokenizer: Any) -> Encoder:
    """Return the encoder for the checkpoint's image size."""
    return Encoder(tokenizer, TOKENS_SIDE**2)
