"""A tokeniser and chat templates for random checkpoints."""

from __future__ import annotations

import random
from typing import Any

import transformers as hf
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

VOCABULARY = 640
SPECIAL = ["<pad>", "<s>", "</s>", "<|im_start|>", "<|im_end|>", "<|vision_start|>"]
SPECIAL += ["<|vision_end|>", "<|image_pad|>", "<|video_pad|>", "<image>", "<video>"]
SPECIAL += ["<fake_token_around_image>", "<global-img>", "<end_of_utterance>", "<boi>", "<eoi>"]
SPECIAL += ["<soft>", "<img>", "</img>", "<IMG_CONTEXT>"]
SPECIAL += [f"<row_{row}_col_{col}>" for row in range(1, 4) for col in range(1, 4)]
WORDS = ["red", "blue", "yes", "no", "left", "right", "winner", "loser", "piece", "board"]
WORDS += ["which", "colour", "player", "the", "of"]
PART = (
    "{% for part in message['content'] %}{% if part['type'] == 'image' %}IMAGE"
    "{% else %}{{ part['text'] }}{% endif %}{% endfor %}"
)
CHATML = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n" + PART + "<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
ROLES = (
    "{% for message in messages %}{{ message['role'] | upper }}: " + PART + " {% endfor %}"
    "{% if add_generation_prompt %}ASSISTANT:{% endif %}"
)
# As LLaVA's own: all images first, whatever the order of the parts.
IMAGES_FIRST = (
    "{% for message in messages %}{{ message['role'] | upper }}: "
    "{% for part in message['content'] if part['type'] == 'image' %}<image>\n{% endfor %}"
    "{% for part in message['content'] if part['type'] == 'text' %}{{ part['text'] }}{% endfor %} "
    "{% endfor %}{% if add_generation_prompt %}ASSISTANT:{% endif %}"
)


def tokenizer(**named: str) -> Any:
    """Return a byte-level BPE tokeniser with merges, so that words are one token or several."""
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    draw = random.Random(0)
    lines = [" ".join(draw.choices(WORDS, k=8)) + "\n" for _ in range(300)]
    trainer = trainers.BpeTrainer(
        vocab_size=420,
        special_tokens=SPECIAL,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bpe.train_from_iterator(lines, trainer)
    return hf.PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        pad_token="<pad>",
        eos_token="</s>",
        bos_token="<s>",
        padding_side="right",  # the wrong side for generation: the backend must not rely on it
        extra_special_tokens=named or None,
    )


def token_ids(tok: Any, **named: str) -> dict[str, int]:
    return {key: tok.convert_tokens_to_ids(token) for key, token in named.items()}
