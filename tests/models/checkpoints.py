"""Random checkpoints of real architectures, a few hundred thousand parameters each.

They are saved to a folder with a real processor and a tokeniser of their own, and the tests load
them by the ordinary path. The weights are *sharpened*: with the usual initialisation every softmax
is nearly uniform, and wrong positions or masks would hardly move a log-probability.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import transformers as hf
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.models.gemma3.image_processing_pil_gemma3 import Gemma3ImageProcessorPil
from transformers.models.got_ocr2.image_processing_pil_got_ocr2 import GotOcr2ImageProcessorPil
from transformers.models.idefics3.image_processing_pil_idefics3 import Idefics3ImageProcessorPil
from transformers.models.llava_onevision.image_processing_pil_llava_onevision import (
    LlavaOnevisionImageProcessorPil,
)
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil
from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil

from vlm_eval.models.processor import without_video

from .tokenising import (
    CHATML,
    IMAGES_FIRST,
    ROLES,
    VOCABULARY,
    token_ids,
    tokenizer,
)

_TEXT = {
    "vocab_size": VOCABULARY,
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 1024,
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


def sharpen(model: Any) -> Any:
    """Scale weights so that attention is peaked and logits spread over a few nats."""
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.ndim < 2 or "embed" in name or "lm_head" in name:
                continue
            if not weight.abs().max():
                weight.normal_(0, 0.05)  # Gemma3's projector starts at zero
            weight.mul_(6.0 if any(key in name for key in ("q_proj", "k_proj", "qkv")) else 3.0)
        model.get_output_embeddings().weight.mul_(8.0)
    return model.eval()


def qwen2_5_vl() -> tuple[Any, Any]:
    tok = tokenizer()
    config = hf.Qwen2_5_VLConfig(
        text_config={**_TEXT, "rope_parameters": _mrope(1e4)},
        vision_config={
            "depth": 2,
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_heads": 2,
            "out_hidden_size": 64,
            "window_size": 56,
            "fullatt_block_indexes": [1],
        },
        tie_word_embeddings=False,
        **token_ids(tok, **_QWEN),
    )
    images = Qwen2VLImageProcessorPil(size={"shortest_edge": 56 * 56, "longest_edge": 112 * 112})
    kind = without_video(hf.Qwen2_5_VLProcessor)
    template = CHATML.replace("IMAGE", "<|vision_start|><|image_pad|><|vision_end|>")
    processor = kind(image_processor=images, tokenizer=tok, chat_template=template)
    return hf.Qwen2_5_VLForConditionalGeneration(config), processor


def qwen3_vl() -> tuple[Any, Any]:
    tok = tokenizer()
    config = hf.Qwen3VLConfig(
        text_config={
            **_TEXT,
            "head_dim": 16,
            "rope_parameters": {**_mrope(1e4), "mrope_interleaved": True},
        },
        vision_config={
            "depth": 3,
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_heads": 2,
            "patch_size": 14,
            "out_hidden_size": 64,
            "deepstack_visual_indexes": [0, 1],
            "num_position_embeddings": 64,
        },
        tie_word_embeddings=False,
        **token_ids(tok, **_QWEN),
    )
    images = Qwen2VLImageProcessorPil(size={"shortest_edge": 56 * 56, "longest_edge": 112 * 112})
    kind = without_video(hf.Qwen3VLProcessor)
    template = CHATML.replace("IMAGE", "<|vision_start|><|image_pad|><|vision_end|>")
    processor = kind(image_processor=images, tokenizer=tok, chat_template=template)
    return hf.Qwen3VLForConditionalGeneration(config), processor


def qwen3_5() -> tuple[Any, Any]:
    """Three layers of four have linear attention: a state in place of keys."""
    tok = tokenizer()
    config = hf.Qwen3_5Config(
        text_config={
            **_TEXT,
            "num_hidden_layers": 4,
            "head_dim": 16,
            "linear_num_key_heads": 2,
            "linear_num_value_heads": 4,
            "linear_key_head_dim": 16,
            "linear_value_head_dim": 16,
            "rope_parameters": {
                **_mrope(1e4),
                "mrope_interleaved": True,
                "partial_rotary_factor": 1.0,
            },
            "layer_types": [*["linear_attention"] * 3, "full_attention"],
        },
        vision_config={
            "depth": 2,
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_heads": 2,
            "patch_size": 14,
            "spatial_merge_size": 2,
            "temporal_patch_size": 2,
            "out_hidden_size": 64,
            "num_position_embeddings": 64,
        },
        tie_word_embeddings=False,
        **token_ids(tok, **_QWEN),
    )
    images = Qwen2VLImageProcessorPil(size={"shortest_edge": 56 * 56, "longest_edge": 112 * 112})
    template = CHATML.replace("IMAGE", "<|vision_start|><|image_pad|><|vision_end|>")
    kind = without_video(hf.Qwen3VLProcessor)
    processor = kind(image_processor=images, tokenizer=tok, chat_template=template)
    return hf.Qwen3_5ForConditionalGeneration(config), processor


_QWEN = {
    "image_token_id": "<|image_pad|>",
    "video_token_id": "<|video_pad|>",
    "vision_start_token_id": "<|vision_start|>",
    "vision_end_token_id": "<|vision_end|>",
}


def _mrope(theta: float) -> dict[str, Any]:
    return {"rope_type": "default", "rope_theta": theta, "mrope_section": [4, 2, 2]}


def llava(template: str | None = ROLES.replace("IMAGE", "<image>\n")) -> tuple[Any, Any]:
    tok = tokenizer(image_token="<image>")
    image = tok.convert_tokens_to_ids("<image>")
    config = hf.LlavaConfig(
        text_config=hf.LlamaConfig(**_TEXT),
        vision_config=hf.CLIPVisionConfig(**_VISION),
        image_token_id=image,
        image_token_index=image,
        vision_feature_layer=-2,
        image_seq_length=16,
    )
    images = CLIPImageProcessorPil(
        size={"shortest_edge": 56}, crop_size={"height": 56, "width": 56}
    )
    processor = hf.LlavaProcessor(
        image_processor=images,
        tokenizer=tok,
        patch_size=14,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=template,
    )
    return hf.LlavaForConditionalGeneration(config), processor


def llava_images_first() -> tuple[Any, Any]:
    return llava(IMAGES_FIRST)


def llava_without_template() -> tuple[Any, Any]:
    return llava(None)


def llava_onevision() -> tuple[Any, Any]:
    tok = tokenizer(image_token="<image>", video_token="<video>")
    ids = token_ids(tok, image_token_id="<image>", video_token_id="<video>")
    grid = [[56, 112], [112, 56], [112, 112]]
    config = hf.LlavaOnevisionConfig(
        text_config={"model_type": "qwen2", **_TEXT},
        vision_config={"model_type": "siglip_vision_model", **_VISION},
        image_grid_pinpoints=grid,
        image_token_index=ids["image_token_id"],
        vision_feature_layer=-1,
        vision_feature_select_strategy="full",
        **ids,
    )
    images = LlavaOnevisionImageProcessorPil(
        size={"height": 56, "width": 56}, image_grid_pinpoints=grid
    )
    processor = without_video(hf.LlavaOnevisionProcessor)(
        image_processor=images,
        tokenizer=tok,
        num_image_tokens=16,
        vision_feature_select_strategy="full",
        chat_template=CHATML.replace("IMAGE", "<image>\n"),
    )
    return hf.LlavaOnevisionForConditionalGeneration(config), processor


def idefics3() -> tuple[Any, Any]:
    tok = tokenizer(
        image_token="<image>",
        fake_image_token="<fake_token_around_image>",
        global_image_token="<global-img>",
        end_of_utterance_token="<end_of_utterance>",
    )
    config = hf.Idefics3Config(
        text_config=hf.LlamaConfig(**_TEXT),
        vision_config=_VISION,
        image_token_id=tok.convert_tokens_to_ids("<image>"),
        scale_factor=2,
        tie_word_embeddings=False,
        pad_token_id=0,
    )
    images = Idefics3ImageProcessorPil(
        size={"longest_edge": 112}, max_image_size={"longest_edge": 56}
    )
    processor = hf.Idefics3Processor(
        image_processor=images,
        tokenizer=tok,
        image_seq_len=4,
        chat_template=ROLES.replace("IMAGE", "<image>"),
    )
    return hf.Idefics3ForConditionalGeneration(config), processor


def gemma3() -> tuple[Any, Any]:
    tok = tokenizer(boi_token="<boi>", eoi_token="<eoi>", image_token="<soft>")
    ids = token_ids(tok, image_token_id="<soft>", boi_token_index="<boi>", eoi_token_index="<eoi>")
    config = hf.Gemma3Config(
        text_config={
            **_TEXT,
            "head_dim": 16,
            "sliding_window": 24,  # shorter than a prompt
            "layer_types": ["sliding_attention", "full_attention", "sliding_attention"],
        },
        vision_config=_VISION,
        mm_tokens_per_image=16,
        image_token_index=ids["image_token_id"],
        **ids,
    )
    images = Gemma3ImageProcessorPil(size={"height": 56, "width": 56})
    processor = hf.Gemma3Processor(
        image_processor=images,
        tokenizer=tok,
        image_seq_length=16,
        chat_template="<s>" + CHATML.replace("IMAGE", "<boi>"),
    )
    return hf.Gemma3ForConditionalGeneration(config), processor


def internvl() -> tuple[Any, Any]:
    tok = tokenizer(
        start_image_token="<img>",
        end_image_token="</img>",
        context_image_token="<IMG_CONTEXT>",
        video_token="<video>",
    )
    config = hf.InternVLConfig(
        text_config={"model_type": "qwen2", **_TEXT},
        vision_config={**_VISION, "image_size": [56, 56], "patch_size": [14, 14]},
        image_token_id=tok.convert_tokens_to_ids("<IMG_CONTEXT>"),
        downsample_ratio=0.5,
        tie_word_embeddings=False,
    )
    images = GotOcr2ImageProcessorPil(
        size={"height": 56, "width": 56}, crop_to_patches=True, min_patches=1, max_patches=4
    )
    processor = without_video(hf.InternVLProcessor)(
        image_processor=images,
        tokenizer=tok,
        image_seq_length=4,
        chat_template=CHATML.replace("IMAGE", "<IMG_CONTEXT>\n"),
    )
    return hf.InternVLForConditionalGeneration(config), processor


def paligemma() -> tuple[Any, Any]:
    tok = tokenizer(image_token="<image>")
    image = tok.convert_tokens_to_ids("<image>")
    config = hf.PaliGemmaConfig(
        text_config={"model_type": "gemma", **_TEXT, "vocab_size": 1900, "head_dim": 16},
        vision_config={"model_type": "siglip_vision_model", **_VISION, "vision_use_head": False},
        image_token_id=image,
        image_token_index=image,
        projection_dim=64,
    )
    images = SiglipImageProcessorPil(size={"height": 56, "width": 56})
    images.image_seq_length = 16
    processor = hf.PaliGemmaProcessor(image_processor=images, tokenizer=tok)
    return hf.PaliGemmaForConditionalGeneration(config), processor


BUILDERS: dict[str, Callable[[], tuple[Any, Any]]] = {
    build.__name__: build
    for build in (
        qwen2_5_vl,
        qwen3_vl,
        qwen3_5,
        llava,
        llava_images_first,
        llava_without_template,
        llava_onevision,
        idefics3,
        gemma3,
        internvl,
        paligemma,
    )
}


def build(name: str, folder: Path) -> Path:
    """Save a checkpoint into a folder and return the folder."""
    torch.manual_seed(0)
    model, processor = BUILDERS[name]()
    model = sharpen(model)
    model.generation_config.update(pad_token_id=0, bos_token_id=1, eos_token_id=2)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder
