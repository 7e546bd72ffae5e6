"""The contrastive backend against transformers' own classes, one image and one text at a time."""

from __future__ import annotations

import functools
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers as hf
from PIL import Image

from vlm_eval.core.errors import DataError, ModelError, UsageError
from vlm_eval.core.types import (
    Answer,
    Decoding,
    Failure,
    ImageRef,
    Match,
    Message,
    Picture,
    Request,
    Response,
)
from vlm_eval.models.contrastive import Contrastive
from vlm_eval.models.dual_encoder import is_dual_encoder, letterbox
from vlm_eval.models.processor import _explain
from vlm_eval.models.registry import load_model

from .dual_checkpoints import BUILDERS, LENGTH, build
from .questions import ask, picture

NAMES = tuple(BUILDERS)
CAPTIONS = ("a red car", "a blue bus on the road", "rain")
LONG = "a" * LENGTH
Dual = Callable[..., Contrastive]


@pytest.fixture(scope="session")
def dual_folder(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    root = tmp_path_factory.mktemp("dual")
    return functools.cache(lambda name: build(name, root / name))


@pytest.fixture
def dual(dual_folder) -> Dual:
    def of(name: str, **options: Any) -> Contrastive:
        model = load_model(str(dual_folder(name)), device="cpu", **options)
        assert isinstance(model, Contrastive)
        return model

    return of


def to_match(
    name: str, images: tuple[ImageRef, ...], texts: tuple[str, ...], choices: int = 0
) -> Request:
    number = choices or max(len(images), len(texts))
    options = tuple("ABCDEFGH"[:number])
    return Request(name, (), choices=options, match=Match(images, texts))


def requests() -> list[Request]:
    """One image with texts, one text with images, images and texts shared between requests."""
    return [
        to_match("one", (picture(1),), CAPTIONS),
        to_match("two", (picture(2),), CAPTIONS[::-1]),
        to_match("wide", (picture(3, 200, 60),), CAPTIONS[:2]),
        to_match("pick", (picture(1), picture(2)), CAPTIONS[:1]),
        to_match("pick too", (picture(2), picture(1)), CAPTIONS[1:2]),
    ]


def similarities(responses) -> dict[str, tuple[float, ...]]:
    found = {}
    for response in responses:
        assert isinstance(response.outcome, Answer), response.outcome
        assert response.outcome.logprobs is not None
        assert response.outcome.token_counts is None
        assert response.outcome.text is None
        assert response.outcome.finish == "scored"
        found[response.request_id] = response.outcome.logprobs
    return found


def only(responses) -> Response:
    (response,) = responses
    return response


@functools.cache
def reference(folder: Path) -> Callable[[Image.Image, str], float]:
    """The cosine by transformers' forward pass over one image and one text."""
    model = hf.AutoModel.from_pretrained(folder).eval()
    processor = hf.AutoProcessor.from_pretrained(folder)

    @torch.no_grad()
    def cosine(image: Image.Image, text: str) -> float:
        inputs = processor(
            text=[text], images=[image], padding="max_length", truncation=True, return_tensors="pt"
        )
        made = model(**inputs)
        return float((made.image_embeds @ made.text_embeds.T).item())

    return cosine


@pytest.mark.parametrize("name", NAMES)
def test_similarities_are_those_of_transformers(name: str, dual: Dual, dual_folder) -> None:
    cosine = reference(dual_folder(name))
    found = similarities(dual(name, batch_size=2).loglikelihood(requests()))
    spread = []
    for request in requests():
        match = request.match
        assert match is not None
        expected = [cosine(i.load(), text) for i in match.images for text in match.texts]
        assert found[request.id] == pytest.approx(expected, abs=1e-5)
        spread.append(np.ptp(expected))
    assert max(spread) > 0.01  # else nothing would have been told apart
    assert all(-1 <= value <= 1 for values in found.values() for value in values)


@pytest.mark.parametrize("name", NAMES)
def test_results_do_not_depend_on_batch_size_or_order(name: str, dual: Dual) -> None:
    expected = similarities(dual(name, batch_size=1).loglikelihood(requests()))
    for size in (2, 3, 64):
        found = similarities(dual(name, batch_size=size).loglikelihood(requests()[::-1]))
        assert found.keys() == expected.keys()
        for key, values in found.items():
            assert values == pytest.approx(expected[key], abs=1e-6)


def test_the_size_at_which_an_image_is_read_is_told(dual: Dual) -> None:
    def sizes(model) -> dict[str, object]:
        asked = [replace(r, messages=messages(r)) for r in requests()]
        return {r.request_id: r.outcome.image_sizes for r in model.loglikelihood(asked)}

    def messages(request: Request) -> tuple[Message, ...]:
        return (Message("user", tuple(map(Picture, request.match.images))),)

    read = ((56, 56),)
    expected = {request.id: read * len(request.match.images) for request in requests()}
    model = dual("clip", batch_size=1)
    assert sizes(model) == expected
    assert sizes(model) == expected  # when every vector is kept
    assert sizes(dual("clip", batch_size=64)) == expected
    assert set(sizes(dual("clip", args="letterbox=true")).values()) == {None}


def test_each_image_and_text_is_encoded_once(dual: Dual) -> None:
    model = dual("clip", batch_size=2)
    list(model.loglikelihood(requests()))
    list(model.loglikelihood(requests()))
    counters = model.describe()["counters"]
    assert counters == {"images_encoded": 3, "texts_encoded": 3, "texts_truncated": 0}


def test_what_the_model_cannot_tell_apart_ties_exactly(dual: Dual) -> None:
    model = dual("clip", batch_size=1)
    again = ImageRef("the same pixels by another name", picture(1).load)
    asked = [
        to_match("case", (picture(1),), ("a red car", "A Red CAR")),  # CLIP reads lower case
        to_match("pixels", (picture(1), again), ("a red car",)),
        to_match("cut", (picture(1),), (LONG + "x", LONG + "y")),  # after the end
    ]
    for values in similarities(model.loglikelihood(asked)).values():
        assert values[0] == values[1]
    assert model.describe()["counters"] == {
        "images_encoded": 1,
        "texts_encoded": 2,
        "texts_truncated": 2,
    }


@pytest.mark.parametrize("name", NAMES)
def test_a_wrong_question_is_unsupported(name: str, dual: Dual) -> None:
    model = dual(name)
    assert model.capabilities.loglikelihood
    assert not model.capabilities.generate
    assert not model.capabilities.chat
    plain = ask("plain", picture(1), "which?", choices=("A", "B"))
    outcome = only(model.loglikelihood([plain])).outcome
    assert isinstance(outcome, Failure)
    assert outcome.kind == "unsupported"
    assert "match" in outcome.message
    written = Request("w", plain.messages, decoding=Decoding())
    outcome = only(model.generate([written])).outcome
    assert isinstance(outcome, Failure)
    assert outcome.kind == "unsupported"
    for images, texts, choices in (
        ((picture(1),), CAPTIONS, 2),
        ((picture(1), picture(2)), CAPTIONS[:2], 2),
        ((picture(1),), CAPTIONS[:1], 2),
    ):
        outcome = only(model.loglikelihood([to_match("m", images, texts, choices)])).outcome
        assert isinstance(outcome, Failure)
        assert outcome.kind == "unsupported"
        assert f"{len(images)} images and {len(texts)} texts for {choices} choices" in (
            outcome.message
        )
    with pytest.raises(ValueError, match="needs choices"):
        list(model.loglikelihood([written]))


def test_a_broken_image_costs_its_own_requests_alone(dual: Dual) -> None:
    def broken() -> Image.Image:
        raise DataError("cut short", where="x.png")

    bad = ImageRef("bad", broken, "x.png")
    asked = [
        *requests(),
        to_match("bad", (bad,), CAPTIONS),
        to_match("half", (picture(1), bad), CAPTIONS[:1]),
    ]
    found = {r.request_id: r.outcome for r in dual("clip", batch_size=3).loglikelihood(asked)}
    assert len(found) == len(asked)
    for name in ("bad", "half"):
        assert found.pop(name) == Failure("image", "x.png: cut short")
    assert all(isinstance(outcome, Answer) for outcome in found.values())


def test_when_memory_runs_out_the_batch_is_halved(
    dual: Dual, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = dual("clip", batch_size=8)
    expected = similarities(model.loglikelihood(requests()))
    model = dual("clip", batch_size=8)
    encode, sizes = model._images._encode, []

    def scarce(batch: Any) -> torch.Tensor:
        sizes.append(len(batch["pixel_values"]))
        if sizes[-1] > 1:
            raise MemoryError("no room")
        return encode(batch)

    monkeypatch.setattr(model._images, "_encode", scarce)
    found = similarities(model.loglikelihood(requests()))
    for key, values in found.items():
        assert values == pytest.approx(expected[key], abs=1e-6)
    assert max(sizes) == 3


def test_letterbox_keeps_what_the_stock_processor_crops(dual: Dual) -> None:
    def frame(edge: str) -> ImageRef:
        image = Image.new("RGB", (200, 60), "grey")
        image.paste(edge, (0, 0, 40, 60))
        return ImageRef(edge, image.copy)

    asked = [to_match(edge, (frame(edge),), CAPTIONS) for edge in ("red", "blue")]
    stock, whole = dual("clip"), dual("clip", args="letterbox=true")
    cropped, seen = (similarities(model.loglikelihood(asked)) for model in (stock, whole))
    assert cropped["red"] == cropped["blue"]
    assert seen["red"] != seen["blue"]
    assert stock.describe()["preprocess"] == "stock"
    assert stock.describe()["center_crop"] is True
    assert whole.describe()["preprocess"] == "letterbox"
    assert dual("siglip").describe()["center_crop"] is False


def test_letterbox() -> None:
    image = Image.new("RGB", (6, 2), "white")
    square = np.asarray(letterbox(image, (1, 2, 3)))
    assert square.shape == (6, 6, 3)
    assert (square[2:4] == 255).all()
    assert (square[[0, 1, 4, 5]] == (1, 2, 3)).all()
    assert np.asarray(letterbox(Image.new("RGB", (2, 2), "white"), (0, 0, 0))).min() == 255


@pytest.mark.parametrize("name", NAMES)
def test_description(name: str, dual: Dual, dual_folder) -> None:
    described = dual(name, batch_size=5).describe()
    json.dumps(described)
    assert described["backend"] == "contrastive"
    assert described["class"] == {"clip": "CLIPModel", "siglip": "SiglipModel"}[name]
    assert described["dtype"] == "float32"
    assert described["batch_size"] == 5
    assert described["max_tokens"] == LENGTH
    assert described["image_processor"].endswith(
        "Pil" if described["image_backend"] == "pil" else "r"
    )
    explicit = load_model(f"contrastive:{dual_folder(name)}", device="cpu")
    assert isinstance(explicit, Contrastive)
    assert explicit.name == dual_folder(name).name
    assert explicit.describe()["weights_digest"] == described["weights_digest"]


def test_what_is_a_dual_encoder_is_read_from_the_configuration(tmp_path: Path) -> None:
    def written(**config: Any) -> bool:
        (tmp_path / "config.json").write_text(json.dumps(config))
        return is_dual_encoder(str(tmp_path), None)

    assert written(model_type="clip")
    assert written(model_type="siglip2", architectures=["Siglip2Model"])
    assert written(model_type="blip", architectures=["BlipModel"])
    assert not written(model_type="blip", architectures=["BlipForConditionalGeneration"])
    assert not written(model_type="videoprism", architectures=["VideoPrismClipModel"])
    assert not written(model_type="llava")
    assert not written(model_type="clip_vision_model")
    assert not written()
    (tmp_path / "config.json").unlink()
    assert not is_dual_encoder(str(tmp_path), None)


def test_faults_of_the_checkpoint_and_options_are_told(dual_folder, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(dual_folder("clip"), copy)
    with pytest.raises(UsageError, match="no option 'letterbx'; did you mean letterbox"):
        load_model(str(copy), args="letterbx=true")
    with pytest.raises(UsageError, match="device 'nowhere' is not available"):
        load_model(str(copy), device="nowhere")
    (copy / "model.safetensors").write_bytes(b"0")
    with pytest.raises(ModelError, match="its weights do not load"):
        load_model(str(copy))
    with pytest.raises(UsageError, match="letterbox"):
        load_model("tiny", args="letterbox=true")


def test_what_is_no_dual_encoder_is_refused(tmp_path: Path, checkpoint) -> None:
    with pytest.raises(ModelError, match="a llava checkpoint is no dual encoder"):
        load_model(f"contrastive:{checkpoint('llava')}", device="cpu")


@pytest.mark.parametrize("package", ["SentencePiece", "protobuf"])
def test_a_missing_package_of_siglips_tokenizer_is_told(package: str) -> None:
    error = ImportError(f"SiglipTokenizer requires the {package} library but it was not found.")
    fault = str(_explain("google/siglip", error))
    assert fault.startswith("google/siglip: its processor does not load: SiglipTokenizer requires")
    assert fault.endswith("it was not found; pip install sentencepiece protobuf")
