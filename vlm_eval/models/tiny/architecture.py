"""Tokenizer, configuration and processor files of the embedded model.

The checkpoint is a plain ``Qwen2_5_VLForConditionalGeneration`` of about 2.8 M parameters. Every
image becomes 112 x 112 px: 64 patches of 14 px, merged two by two to 16 image tokens.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

IMAGE_SIDE = 112
PATCH = 14
MERGE = 2
GRID = IMAGE_SIDE // PATCH
TOKENS_SIDE = GRID // MERGE
VOCABULARY = 1024
SPECIAL = (
    "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>",
    "<|vision_pad|>", "<|image_pad|>", "<|video_pad|>",
)  # fmt: skip
# Qwen2's own rule for where a token may not cross: words with their blank, single digits, marks.
WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
CHAT_TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n"
    "{% if m['content'] is string %}{{ m['content'] }}{% else %}{% for c in m['content'] %}"
    "{% if c['type'] == 'image' %}<|vision_start|><|image_pad|><|vision_end|>"
    "{% elif c['type'] == 'text' %}{{ c['text'] }}{% endif %}{% endfor %}{% endif %}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def train_tokenizer(texts: Iterable[str]) -> Any:
    """Fit a byte-level BPE with Qwen2's pre-tokenizer on the prompts.

    Returns
    -------
    transformers.Qwen2Tokenizer
        Left-padding, with the chat template and Qwen's special tokens.
    """
    from tokenizers import (
        AddedToken,
        Regex,
        Tokenizer,
        decoders,
        models,
        normalizers,
        pre_tokenizers,
        trainers,
    )
    from transformers import Qwen2Tokenizer

    bpe = Tokenizer(models.BPE())
    bpe.normalizer = normalizers.NFC()
    bpe.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(WORDS), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    bpe.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    size = VOCABULARY - len(SPECIAL)
    trainer = trainers.BpeTrainer(vocab_size=size, initial_alphabet=alphabet, show_progress=False)
    bpe.train_from_iterator(texts, trainer)
    model = json.loads(bpe.to_str())["model"]
    tokenizer = Qwen2Tokenizer(
        vocab=model["vocab"],
        merges=[tuple(pair) for pair in model["merges"]],
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        unk_token=None,
        padding_side="left",
    )
    marks = [AddedToken(mark, special=True, normalized=False) for mark in SPECIAL]
    tokenizer.add_tokens(marks, special_tokens=True)
    tokenizer.chat_template = CHAT_TEMPLATE
    return tokenizer


def new_model(tokenizer: Any) -> Any:
    """Return a freshly initialised ``Qwen2_5_VLForConditionalGeneration`` for a tokenizer.

    ``rope_theta`` is 10, not Qwen's 1e6: over a 4 x 4 grid the published base leaves the width
    channels all but constant, and image tokens could not be told apart by place.
    """
    from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

    ids = {mark: tokenizer.convert_tokens_to_ids(mark) for mark in SPECIAL}
    text = {
        "vocab_size": -(-len(tokenizer) // 64) * 64,
        "hidden_size": 128,
        "intermediate_size": 384,
        "num_hidden_layers": 4,
        "num_attention_heads": 4,
        "num_key_value_heads": 4,
        "max_window_layers": 4,
        "max_position_embeddings": 2048,
        "initializer_range": 0.04,
        "tie_word_embeddings": True,
        "rope_parameters": {
            "rope_type": "default",
            "rope_theta": 10.0,
            "mrope_section": [2, 7, 7],
        },
        "bos_token_id": None,
        "eos_token_id": ids["<|im_end|>"],
        "pad_token_id": ids["<|endoftext|>"],
    }
    vision = {
        "depth": 6,
        "hidden_size": 128,
        "intermediate_size": 384,
        "num_heads": 4,
        "out_hidden_size": 128,
        "patch_size": PATCH,
        "spatial_merge_size": MERGE,
        "window_size": IMAGE_SIDE,
        "fullatt_block_indexes": list(range(6)),
        "initializer_range": 0.04,
    }
    config = Qwen2_5_VLConfig(
        text_config=text,
        vision_config=vision,
        image_token_id=ids["<|image_pad|>"],
        video_token_id=ids["<|video_pad|>"],
        vision_start_token_id=ids["<|vision_start|>"],
        vision_end_token_id=ids["<|vision_end|>"],
        tie_word_embeddings=True,
    )
    return Qwen2_5_VLForConditionalGeneration._from_config(config, attn_implementation="eager")


def save_checkpoint(model: Any, tokenizer: Any, folder: Path) -> None:
    """Write a folder that ``AutoModelForImageTextToText`` and the processor load; bf16 weights."""
    import torch
    from transformers import Qwen2VLImageProcessorPil

    folder.mkdir(parents=True, exist_ok=True)
    weights = {
        name: value.to(torch.bfloat16) if value.is_floating_point() else value
        for name, value in model.state_dict().items()
    }
    model.save_pretrained(folder, state_dict=weights)
    tokenizer.save_pretrained(folder)
    pixels = IMAGE_SIDE**2
    # The processor rounds an area down to whole patches in floating point: with no slack a square
    # of 384 px would come out at 84.
    size = {"shortest_edge": pixels, "longest_edge": pixels + PATCH}
    Qwen2VLImageProcessorPil(size=size).save_pretrained(folder)
