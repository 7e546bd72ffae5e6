"""The training-time forward pass: the library's own modules, batched for equal images.

The vision tower runs once an image, the language model once a question; a question names its
image by index. Results equal the library's forward pass (a test holds them together).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - torch's customary name
from numpy.typing import NDArray
from torch import Tensor

from vlm_eval.models.tiny.architecture import GRID, MERGE, PATCH, TOKENS_SIDE

MEAN = (0.48145466, 0.4578275, 0.40821073)
STD = (0.26862954, 0.26130258, 0.27577711)


def merge_order(values: Tensor) -> Tensor:
    """Reorder a (B, GRID, GRID, ...) patch map to the processor's order, (B, GRID * GRID, ...)."""
    rest = values.shape[3:]
    blocks = values.reshape(-1, TOKENS_SIDE, MERGE, TOKENS_SIDE, MERGE, *rest).transpose(2, 3)
    return blocks.reshape(-1, GRID * GRID, *rest)


def patchify(images: Tensor) -> Tensor:
    """Normalise and cut images.

    Parameters
    ----------
    images
        (B, 112, 112, 3), values 0 to 255.

    Returns
    -------
    Tensor
        (B, 64, 588) patches, channel first inside a patch, in the processor's order.
    """
    mean, std = images.new_tensor(MEAN), images.new_tensor(STD)
    x = (images / 255 - mean) / std
    x = x.reshape(-1, GRID, PATCH, GRID, PATCH, 3).permute(0, 1, 3, 5, 2, 4)
    return merge_order(x.reshape(-1, GRID, GRID, 3 * PATCH * PATCH))


@dataclass
class Seen:
    """What the vision tower made of a batch of images.

    Attributes
    ----------
    middle, last
        (B, 64, 128) patch states half-way and after the last block.
    tokens
        (B, 16, 128) image tokens after the merger.
    """

    middle: Tensor
    last: Tensor
    tokens: Tensor


class Eye:
    """The vision tower of a model for a batch of 112 x 112 images.

    One window covers the image, so the library's window permutation is the identity, and both
    frames of a still image are equal, so the patch embedding's temporal halves add up.
    """

    def __init__(self, model: Any) -> None:
        self.visual = model.model.visual
        rows = torch.arange(GRID)
        grid = torch.stack(torch.meshgrid(rows, rows, indexing="ij"), -1)[None]
        self.places = merge_order(grid)[0].to(model.device)

    def __call__(self, images: Tensor) -> Seen:
        """Run the tower on (B, 112, 112, 3) images of values 0 to 255."""
        tower = self.visual
        weight = tower.patch_embed.proj.weight.sum(2).flatten(1)
        state = F.linear(patchify(images), weight)
        cos, sin = tower.rotary_pos_emb(state, self.places)
        middle = state
        for number, block in enumerate(tower.blocks):
            state = state + self._attend(block.attn, block.norm1(state), cos, sin)
            state = state + block.mlp(block.norm2(state))
            if number == len(tower.blocks) // 2 - 1:
                middle = state
        tokens = tower.merger(state.flatten(0, 1)).view(len(images), TOKENS_SIDE**2, -1)
        return Seen(middle, state, tokens)

    def _attend(self, attention: Any, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        from transformers.models.qwen2_5_vl.modeling_qwen2_5_vl import rotate_half

        batch, length, _ = x.shape
        qkv = attention.qkv(x).view(batch, length, 3, attention.num_heads, -1)
        query, key, value = qkv.permute(2, 0, 3, 1, 4)
        query = query * cos + rotate_half(query) * sin
        key = key * cos + rotate_half(key) * sin
        mixed = F.scaled_dot_product_attention(query, key, value)
        return attention.proj(mixed.transpose(1, 2).reshape(batch, length, -1))  # type: ignore[no-any-return]


@dataclass
class Questions:
    """A batch of questions, right-padded.

    Attributes
    ----------
    ids
        (N, L) token ids.
    positions
        (3, N, L) time, height and width positions.
    images
        (M,) index into the batch of pictures for every image mark, in the order of the rows.
    labels
        (N, L) the next token where it is part of an answer, -100 elsewhere.
    """

    ids: Tensor
    positions: Tensor
    images: Tensor
    labels: Tensor

    def to(self, device: torch.device) -> Questions:
        """Return the batch on another device."""
        return Questions(
            self.ids.to(device),
            self.positions.to(device),
            self.images.to(device),
            self.labels.to(device),
        )


def answer_logits(model: Any, seen: Seen, questions: Questions) -> tuple[Tensor, Tensor]:
    """Return the logits (M, vocabulary) and labels (M,) of all answer tokens of a batch."""
    embedded = model.model.language_model.embed_tokens(questions.ids)
    slots = questions.ids == model.config.image_token_id
    if questions.images.numel():
        pictures = seen.tokens[questions.images].flatten(0, 1)
        embedded = embedded.masked_scatter(slots[..., None], pictures.to(embedded.dtype))
    length = questions.ids.shape[1]
    above = torch.full((length, length), -1e9, device=embedded.device).triu(1)
    hidden = model.model.language_model(
        inputs_embeds=embedded,
        attention_mask=above[None, None],
        position_ids=questions.positions,
        use_cache=False,
    ).last_hidden_state
    asked = questions.labels != -100
    return model.lm_head(hidden[asked]), questions.labels[asked]


def positions_of(ids: NDArray[np.int64], image_token: int) -> NDArray[np.int64]:
    """Return the (3, L) M-RoPE positions of one sequence, as ``get_rope_index`` computes them."""
    out = np.zeros((3, len(ids)), np.int64)
    at, step = 0, 0
    side = TOKENS_SIDE
    while at < len(ids):
        if ids[at] == image_token:
            rows = np.arange(side)
            out[0, at : at + side * side] = step
            out[1, at : at + side * side] = step + np.repeat(rows, side)
            out[2, at : at + side * side] = step + np.tile(rows, side)
            at, step = at + side * side, step + side
        else:
            out[:, at] = step
            at, step = at + 1, step + 1
    return out
