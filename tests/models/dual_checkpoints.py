"""Random CLIP and SigLIP checkpoints, with real image processors and a tokeniser of their own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import transformers as hf
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil

from .tokenising import VOCABULARY, tokenizer

LENGTH = 24
_TEXT = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": LENGTH,
    "projection_size": 32,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
_VISION = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "image_size": 56,
    "patch_size": 14,
}


def clip() -> tuple[Any, Any]:
    """Text has its vector at the end token, whose place padding must not move."""
    words = {"</w>": 0}
    letters = [chr(code) for code in range(ord("a"), ord("z") + 1)]
    for letter in letters:
        words |= {letter: len(words), f"{letter}</w>": len(words) + 1}
    begin, end = "<|startoftext|>", "<|endoftext|>"
    words |= {begin: len(words), end: len(words) + 1}
    tok = hf.CLIPTokenizer(vocab=words, merges=[], model_max_length=LENGTH)
    config = hf.CLIPConfig(
        text_config={
            **_TEXT,
            "vocab_size": len(words),
            "bos_token_id": words[begin],
            "eos_token_id": words[end],
            "pad_token_id": words[end],
        },
        vision_config=_VISION,
        projection_dim=16,
    )
    images = CLIPImageProcessorPil(
        size={"shortest_edge": 56}, crop_size={"height": 56, "width": 56}
    )
    return hf.CLIPModel(config), hf.CLIPProcessor(image_processor=images, tokenizer=tok)


def siglip() -> tuple[Any, Any]:
    """No attention mask: padding is part of the text, so its length must be the trained one."""
    tok = tokenizer()
    tok.model_input_names = ["input_ids"]
    tok.model_max_length = LENGTH
    config = hf.SiglipConfig(text_config=_TEXT, vision_config=_VISION)
    images = SiglipImageProcessorPil(size={"height": 56, "width": 56})
    return hf.SiglipModel(config), hf.SiglipProcessor(image_processor=images, tokenizer=tok)


BUILDERS = {"clip": clip, "siglip": siglip}


def build(name: str, folder: Path) -> Path:
    """Save a checkpoint into a folder and return the folder."""
    torch.manual_seed(0)
    model, processor = BUILDERS[name]()
    with torch.no_grad():
        for weight in model.parameters():
            if weight.ndim > 1:
                weight.mul_(4.0)  # or all vectors are nearly the same
    model.eval().save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder
