"""The images that are segmented are those that a run of the task shows, and their truth."""

from __future__ import annotations

import numpy as np
import pytest

from vlm_eval.core.errors import DataError, UsageError
from vlm_eval.segmentation.measure import measure
from vlm_eval.segmentation.quality import MIOU, summarise
from vlm_eval.segmentation.views import View, views
from vlm_eval.tasks.index import TaskIndex
from vlm_eval.tasks.trials import expand

LEVELS = ("clean", "ll1", "ll2", "ll3", "mb1", "mb2", "mb3", "occ1", "occ2", "occ3")


@pytest.fixture(scope="module")
def task():
    return TaskIndex().load("cityscapes-degraded", data="embedded,count=3")


def test_every_image_of_the_run_is_there_once(task) -> None:
    found = list(views(task, seed=5))
    assert [view.level for view in found] == [*LEVELS] * 3
    assert len({view.frame for view in found}) == 3
    shown = {image.key for trial in expand(task, seed=5) for image in trial.request.images}
    assert {view.image.key for view in found} == shown
    assert len(shown) == 30
    other = {view.image.key for view in views(task, seed=6) if view.level == "occ1"}
    assert not other & shown  # another seed, another rectangle
    assert len(list(views(task, limit=1))) == 10


def test_the_truth_is_that_of_the_clean_image(task) -> None:
    for view in views(task, limit=1):
        truth = view.truth()
        assert truth.shape == view.image.load().size[::-1]
        assert (truth == task.source.train_ids(view.frame)).all()


def test_measure_gives_each_view_its_own_truth(task) -> None:
    seen = []

    def perfect(view: View):
        seen.append(view)
        return view.truth()

    ticks = []
    found = measure(views(task), perfect, lambda: ticks.append(1))
    assert list(found) == list(LEVELS)
    assert len(ticks) == len(seen) == 30
    quality = summarise("oracle", "degradation", found, {})
    assert all(e.value == 1.0 for e in quality.estimates if e.name == MIOU)
    wrong = measure(views(task, limit=1), lambda view: np.full_like(view.truth(), 255))
    assert summarise("none", "degradation", wrong, {}).values()["clean"] == 0.0
    with pytest.raises(DataError, match=r", clean: the prediction is 3x3 pixels"):
        measure(views(task), lambda _: np.zeros((3, 3), np.uint8))


def test_what_does_not_fit_is_told(task) -> None:
    with pytest.raises(UsageError, match="no factor 'degradatoin'; did you mean degradation"):
        list(views(task, factor="degradatoin"))
    with pytest.raises(UsageError, match="scene-presence have no segmentation"):
        list(views(TaskIndex().load("scene-presence")))
