"""Semantic segmentation models of Hugging Face: SegFormer, Mask2Former and relatives.

There is no code for a particular checkpoint: the auto class comes from transformers' mappings, the
preparation from the checkpoint's own image processor, and what a class number means from its own
label names. Scores are brought to the size of the image (bilinear) before the best class is taken.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import torch
from PIL import Image
from transformers import (
    AutoImageProcessor,
    AutoModelForSemanticSegmentation,
    AutoModelForUniversalSegmentation,
)
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_SEMANTIC_SEGMENTATION_MAPPING,
    MODEL_FOR_UNIVERSAL_SEGMENTATION_MAPPING,
)

from vlm_eval.core.errors import ModelError
from vlm_eval.core.hashing import digest
from vlm_eval.core.options import configurable
from vlm_eval.data.cityscapes.labels import CLASSES, IGNORED, LabelMap
from vlm_eval.models.args import make_options
from vlm_eval.models.checkpoint import (
    FAULTS,
    CheckpointOptions,
    check_image_backend,
    check_options,
    load_config,
    load_weights,
    package_versions,
    pick_device,
    pick_dtype,
    quiet,
    revision_of,
)


@configurable
class SegmenterOptions(CheckpointOptions):
    """Options of a segmentation model, besides those of any checkpoint.

    Attributes
    ----------
    labels
        ``names``: the checkpoint's label names say which class is which, and all 19 must be there;
        ``train_ids``: its class numbers are train ids, whatever their names.
    resize
        ``stock``: as the checkpoint's image processor does, which may squash a frame to a square;
        ``native``: not at all.
    """

    accelerator_dtype: Literal["bfloat16", "float16", "float32"] = "float32"
    labels: Literal["names", "train_ids"] = "names"
    resize: Literal["stock", "native"] = "stock"


def load_segmenter(
    source: str,
    *,
    args: Mapping[str, Any] | None = None,
    device: str | None = None,
    dtype: str | None = None,
) -> HfSegmenter:
    """Load a segmentation model of a folder or hub id.

    Parameters
    ----------
    source
        Folder or hub id.
    args
        Fields of `SegmenterOptions`.
    device, dtype
        As in :func:`vlm_eval.models.loading.load_checkpoint`.

    Raises
    ------
    UsageError
        If the options contradict each other.
    ModelError
        If there is no such checkpoint, it is no segmentation model, its files are missing or
        broken, or its labels are not the 19 classes.
    """
    options = make_options(SegmenterOptions, args or {}, what="a segmentation model")
    check_options(source, options, device)
    with quiet():
        config = load_config(source, options)
        kind = _kind(source, config)
        table = _table(source, config, options)
        images = _image_processor(source, options)
        check_image_backend(source, options, images)
        target = pick_device(device)
        model = load_weights(kind, source, options, target, pick_dtype(dtype, options, target))
    return HfSegmenter(source, model, images, table, options)


class HfSegmenter:
    """A loaded segmentation model; see `vlm_eval.segmentation.measure.Segmenter`."""

    def __init__(
        self, source: str, model: Any, images: Any, table: LabelMap, options: SegmenterOptions
    ) -> None:
        self._source, self._model, self._images = source, model, images
        self._table, self._options = table, options

    @property
    def name(self) -> str:
        """The last part of the folder or hub id."""
        return self._source.rstrip("/").rpartition("/")[2]

    def describe(self) -> Mapping[str, Any]:
        """Return what determines the predictions, JSON-able."""
        model = self._model
        return {
            "backend": "segmenter",
            "source": self._source,
            **revision_of(self._source, model.config),
            "trust_remote_code": self._options.trust_remote_code,
            "class": type(model).__name__,
            "parameters": sum(p.numel() for p in model.parameters()),
            "dtype": str(model.dtype).removeprefix("torch."),
            "device": str(model.device),
            "image_processor": type(self._images).__name__,
            "image_backend": getattr(self._images, "backend", None),
            "processor_digest": digest(self._images.to_json_string()),
            "labels": self._options.labels,
            "resize": self._options.resize,
            "versions": package_versions(),
        }

    @torch.inference_mode()
    def segment(self, image: Image.Image) -> LabelMap:
        """Return train ids for every pixel of an image, mode RGB; 255 for classes not evaluated.

        Raises
        ------
        ModelError
            If the checkpoint's processor cuts the image into tiles.
        """
        resize = {} if self._options.resize == "stock" else {"do_resize": False}
        made = self._images(images=[image], return_tensors="pt", **resize)
        inputs = {
            key: value.to(
                self._model.device, self._model.dtype if value.is_floating_point() else None
            )
            for key, value in made.items()
            if isinstance(value, torch.Tensor)
        }
        if len(inputs["pixel_values"]) != 1:
            raise ModelError("its processor cuts images into tiles", where=self._source)
        scores = _scores(self._model(**inputs))
        full = torch.nn.functional.interpolate(
            scores.float(), size=(image.height, image.width), mode="bilinear", align_corners=False
        )
        labels: LabelMap = self._table[full[0].argmax(0).cpu().numpy()]
        return labels


def _scores(output: Any) -> torch.Tensor:
    """Return the score of each class at the model's own resolution, shape (1, classes, h, w).

    Of a model that classifies masks: the sum over masks of the probabilities of mask and class.
    transformers' own post-processing brings masks to 384 x 384 before, whatever the image's shape.
    """
    if not hasattr(output, "masks_queries_logits"):
        logits: torch.Tensor = output.logits
        return logits
    classes = output.class_queries_logits.softmax(-1)[..., :-1]  # the last is "no object"
    return torch.einsum("bqc,bqhw->bchw", classes, output.masks_queries_logits.sigmoid())


def _kind(source: str, config: Any) -> Any:
    if type(config) in MODEL_FOR_SEMANTIC_SEGMENTATION_MAPPING:
        return AutoModelForSemanticSegmentation
    if type(config) in MODEL_FOR_UNIVERSAL_SEGMENTATION_MAPPING:
        return AutoModelForUniversalSegmentation
    raise ModelError(
        f"a {config.model_type} checkpoint is no semantic segmentation model",
        where=source,
        hint="choose one such as SegFormer or Mask2Former",
    )


def _image_processor(source: str, options: SegmenterOptions) -> Any:
    backend = {"backend": options.image_backend} if options.image_backend else {}
    try:
        return AutoImageProcessor.from_pretrained(source, **options.place, **backend)
    except FAULTS as error:
        reason = " ".join(str(error).split())[:300]
        raise ModelError(f"its image processor does not load: {reason}", where=source) from error


def _table(source: str, config: Any, options: SegmenterOptions) -> LabelMap:
    """Return the train id of each class number of the checkpoint."""
    numbers = range(max(config.id2label, default=-1) + 1)
    if options.labels == "train_ids":
        if len(numbers) != len(CLASSES):
            what = f"it has {len(numbers)} classes, not the {len(CLASSES)} train ids"
            raise ModelError(what, where=source, hint="leave labels=train_ids out")
        return np.arange(len(CLASSES), dtype=np.uint8)
    names = [_plain(str(config.id2label.get(number, ""))) for number in numbers]
    missing = [name for name in CLASSES if name not in names]
    if missing:
        raise ModelError(
            f"its labels lack {len(missing)} of the {len(CLASSES)} classes, such as {missing[0]!r}",
            where=source,
            hint="choose a checkpoint trained on Cityscapes, or, if its class numbers are train "
            "ids, add labels=train_ids",
        )
    found = [CLASSES.index(name) if name in CLASSES else IGNORED for name in names]
    return np.array(found, dtype=np.uint8)


def _plain(name: str) -> str:
    return " ".join(name.lower().replace("_", " ").replace("-", " ").split())
