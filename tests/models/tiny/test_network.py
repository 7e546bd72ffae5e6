import numpy as np
import pytest
import torch
from transformers import Qwen2VLImageProcessorPil

from vlm_eval.data.boards.games import GAMES
from vlm_eval.models.tiny import lessons as teach
from vlm_eval.models.tiny import pictures as draw
from vlm_eval.models.tiny.architecture import IMAGE_SIDE, new_model, train_tokenizer
from vlm_eval.models.tiny.classroom import group, new_encoder
from vlm_eval.models.tiny.network import Eye, answer_logits


@pytest.fixture(scope="module")
def tiny():
    torch.manual_seed(0)
    tokenizer = train_tokenizer(teach.corpus())
    model = new_model(tokenizer).eval()
    with torch.no_grad():
        # At the default scale attention is near uniform, and wrong positions would hardly show.
        for parameter in model.parameters():
            if parameter.ndim == 2:
                parameter.mul_(2.0)
    return model, new_encoder(tokenizer)


def lessons():
    pair = draw.sample_pairs(2, 5)[1]
    winner = GAMES["reversi"].winner(next(draw.sample_boards("reversi", "train", 1)))
    return [
        teach.board_lesson("reversi", winner, "standard", "winner", "image_first"),
        teach.board_lesson("reversi", winner, "inverse", "loser", "text_first"),
        teach.caption_lesson(pair, 1, True),
        teach.choose_image_lesson(pair, 0, True),
    ]


@torch.no_grad()
def library_logits(model, questions, images):
    size = {"shortest_edge": IMAGE_SIDE**2, "longest_edge": IMAGE_SIDE**2}
    pixels = Qwen2VLImageProcessorPil(size=size)(images, return_tensors="pt")
    logits = model(
        input_ids=questions.ids,
        pixel_values=pixels["pixel_values"],
        image_grid_thw=pixels["image_grid_thw"],
        mm_token_type_ids=(questions.ids == model.config.image_token_id).long(),
        attention_mask=torch.ones_like(questions.ids),
    ).logits
    return logits[questions.labels != -100]


@pytest.mark.parametrize("number", range(4))
def test_it_equals_the_librarys_forward_pass(tiny, number):
    model, encoder = tiny
    lesson = lessons()[number]
    pictures = draw.pair_pictures(draw.sample_pairs(2, 9)).images
    with torch.no_grad():
        seen = Eye(model)(torch.from_numpy(pictures).float())
        ((questions, _),) = group([(lesson, 0)], encoder, model.config.image_token_id, 1)
        ours, _ = answer_logits(model, seen, questions)
    theirs = library_logits(model, questions, [pictures[side] for side in lesson.sides])
    assert (ours - theirs).abs().max() < 1e-4
    assert theirs.std() > 0.1


def test_padding_and_neighbours_change_nothing(tiny):
    model, encoder = tiny
    pictures = draw.pair_pictures(draw.sample_pairs(2, 9)).images
    asked = [(lesson, 0) for lesson in lessons()]
    with torch.no_grad():
        seen = Eye(model)(torch.from_numpy(pictures).float())
        ((together, numbers),) = group(asked, encoder, model.config.image_token_id, 1)
        all_logits, _ = answer_logits(model, seen, together)
        for row, number in enumerate(numbers):
            ((alone, _),) = group([asked[number]], encoder, model.config.image_token_id, 1)
            logits, _ = answer_logits(model, seen, alone)
            at = (together.labels != -100).nonzero()[:, 0] == row
            assert (all_logits[at] - logits).abs().max() < 1e-4


def test_labels_stand_where_the_answer_is_read(tiny):
    model, encoder = tiny
    ((questions, _),) = group([(lessons()[0], 0)], encoder, model.config.image_token_id, 1)
    at = (questions.labels[0] != -100).nonzero().flatten().tolist()
    following = questions.ids[0, [i + 1 for i in at]].tolist()
    assert questions.labels[0, at].tolist() == following
    assert encoder.tokenizer.decode(following).endswith("<|im_end|>")
    assert np.all(np.diff(at) == 1)
