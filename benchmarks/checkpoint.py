"""Random Qwen2.5-VL checkpoints of several sizes, with a tokenizer of their own.

    python benchmarks/checkpoint.py small FOLDER

Speed does not depend on what weights say. They are sharpened all the same (attention peaked, logits
spread), because with the usual initialisation wrong positions or masks would hardly move a score
and an equal result would prove nothing.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import torch
import transformers as hf
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from vlm_eval.models.processor import without_video

# hidden, layers, heads, key-value heads, mlp; the same of the vision tower; vocabulary
SIZES: dict[str, tuple[tuple[int, ...], tuple[int, ...], int]] = {
    "small": ((768, 12, 12, 2, 2304), (384, 8, 6, 1024), 32_000),
    "3b": ((2048, 36, 16, 2, 11008), (1280, 32, 16, 3420), 151_936),
    "7b": ((3584, 28, 28, 4, 18944), (1280, 32, 16, 3420), 152_064),
}
SPECIAL = [
    "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>",
    "<|image_pad|>", "<|video_pad|>",
]  # fmt: skip
TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{% if m['content'] is string %}"
    "{{ m['content'] }}{% else %}{% for c in m['content'] %}{% if c['type'] == 'image' %}"
    "<|vision_start|><|image_pad|><|vision_end|>{% else %}{{ c['text'] }}{% endif %}{% endfor %}"
    "{% endif %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def build(
    size: str, folder: Path, *, dtype: torch.dtype = torch.float32, device: str = "cpu"
) -> Path:
    """Write a checkpoint into a folder, unless it is there, and return the folder."""
    if (folder / "preprocessor_config.json").exists() or (
        folder / "processor_config.json"
    ).exists():
        return folder
    tokenizer = make_tokenizer()
    torch.manual_seed(0)
    default = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        with torch.device(device):
            model = hf.Qwen2_5_VLForConditionalGeneration(make_config(size, tokenizer))
    finally:
        torch.set_default_dtype(default)
    sharpen(model)
    model.generation_config.update(
        pad_token_id=tokenizer.pad_token_id, eos_token_id=tokenizer.eos_token_id
    )
    model.save_pretrained(folder)
    images = Qwen2VLImageProcessorPil(
        size={"shortest_edge": 56 * 56, "longest_edge": 28 * 28 * 1280}
    )
    processor = without_video(hf.Qwen2_5_VLProcessor)(
        image_processor=images, tokenizer=tokenizer, chat_template=TEMPLATE
    )
    processor.save_pretrained(folder)
    return folder


def make_config(size: str, tokenizer: Any) -> hf.Qwen2_5_VLConfig:
    """Return the configuration of a size."""
    (hidden, layers, heads, shared, mlp), (width, depth, towers, inner), words = SIZES[size]
    half = hidden // heads // 2
    ids = tokenizer.convert_tokens_to_ids
    return hf.Qwen2_5_VLConfig(
        text_config={
            "vocab_size": words,
            "hidden_size": hidden,
            "intermediate_size": mlp,
            "num_hidden_layers": layers,
            "num_attention_heads": heads,
            "num_key_value_heads": shared,
            "max_position_embeddings": 32768,
            "rope_parameters": {
                "rope_type": "default",
                "rope_theta": 1e6,
                "mrope_section": [half - 2 * (3 * half // 8), 3 * half // 8, 3 * half // 8],
            },
            "pad_token_id": tokenizer.pad_token_id,
            "bos_token_id": tokenizer.pad_token_id,
            "eos_token_id": tokenizer.eos_token_id,
        },
        vision_config={
            "depth": depth,
            "hidden_size": width,
            "intermediate_size": inner,
            "num_heads": towers,
            "out_hidden_size": hidden,
            "window_size": 112,
            "fullatt_block_indexes": [depth // 4 * i - 1 for i in (1, 2, 3, 4)],
        },
        image_token_id=ids("<|image_pad|>"),
        video_token_id=ids("<|video_pad|>"),
        vision_start_token_id=ids("<|vision_start|>"),
        vision_end_token_id=ids("<|vision_end|>"),
        tie_word_embeddings=True,
    )


def make_tokenizer() -> Any:
    """Fit a byte-level BPE of 4,096 tokens on the words of the documentation."""
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    texts = [path.read_text(encoding="utf-8") for path in sorted(Path("docs").rglob("*.md"))]
    trainer = trainers.BpeTrainer(
        vocab_size=4096,
        special_tokens=SPECIAL,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bpe.train_from_iterator(texts, trainer)
    return hf.PreTrainedTokenizerFast(
        tokenizer_object=bpe, pad_token="<|endoftext|>", eos_token="<|im_end|>", padding_side="left"
    )


def sharpen(model: Any) -> None:
    """Scale weights so that attention is peaked and logits spread over a few nats."""
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.ndim < 2 or "embed" in name or "lm_head" in name:
                continue
            weight.mul_(3.0 if any(key in name for key in ("q_proj", "k_proj", "qkv")) else 2.0)
        model.get_output_embeddings().weight.mul_(8.0)
    model.eval()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("size", choices=SIZES)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--dtype", choices=["float32", "bfloat16"], default="float32")
    arguments = parser.parse_args()
    build(arguments.size, arguments.folder, dtype=getattr(torch, arguments.dtype))
