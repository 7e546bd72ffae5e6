"""Small random segmentation models with real image processors."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import transformers as hf
from transformers.models.mask2former.image_processing_pil_mask2former import (
    Mask2FormerImageProcessorPil,
)
from transformers.models.segformer.image_processing_pil_segformer import (
    SegformerImageProcessorPil,
)

from vlm_eval.data.cityscapes.labels import CLASSES

# Other classes first, other spellings, another order: only the names say which is which.
NAMES = ["void", *(name.title().replace(" ", "_") for name in CLASSES[::-1])]


def save(folder: Path, model: Any, images: Any) -> Path:
    """Save a checkpoint into a folder and return the folder."""
    with torch.no_grad():
        for weight in model.parameters():
            if weight.ndim > 1:
                weight.mul_(3.0)
    model.eval().save_pretrained(folder)
    images.save_pretrained(folder)
    return folder


def segformer(folder: Path, names: Sequence[str] = NAMES) -> Path:
    config = hf.SegformerConfig(
        hidden_sizes=[8, 16, 16, 16],
        depths=[1, 1, 1, 1],
        num_attention_heads=[1, 2, 2, 2],
        decoder_hidden_size=16,
        id2label=dict(enumerate(names)),
        label2id={name: number for number, name in enumerate(names)},
    )
    images = SegformerImageProcessorPil(size={"height": 64, "width": 64})
    return save(folder, hf.SegformerForSemanticSegmentation(config), images)


def mask2former(folder: Path, names: Sequence[str] = NAMES) -> Path:
    backbone = hf.SwinConfig(
        image_size=64,
        patch_size=4,
        embed_dim=8,
        depths=[1, 1, 1, 1],
        num_heads=[1, 1, 2, 2],
        window_size=2,
        out_features=["stage1", "stage2", "stage3", "stage4"],
    )
    config = hf.Mask2FormerConfig(
        backbone_config=backbone,
        hidden_dim=32,
        mask_feature_size=32,
        feature_size=32,
        encoder_feedforward_dim=32,
        dim_feedforward=32,
        encoder_layers=1,
        decoder_layers=2,
        num_attention_heads=2,
        num_queries=12,
        id2label=dict(enumerate(names)),
        label2id={name: number for number, name in enumerate(names)},
    )
    images = Mask2FormerImageProcessorPil(size={"shortest_edge": 64, "longest_edge": 128})
    return save(folder, hf.Mask2FormerForUniversalSegmentation(config), images)


BUILDERS = {"segformer": segformer, "mask2former": mask2former}
