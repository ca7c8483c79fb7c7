from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scenes import CLASSES, LETTERBOXED, SQUASHED, remasked, scenes, some, with_logits

from export.errors import CellError, UserError
from export.spec import PreprocessSpec
from tasks.base import MAPS, Batchwise, Fitted, Score, Splits, Task
from tasks.catalog import task
from tasks.data.targets import VOID

BY_HEAD = ("semantic_segmentation", "segmentation_equal_width")
EVERY = (*BY_HEAD, "segmentation_knn")


@pytest.fixture(scope="module")
def splits() -> Splits:
    return scenes()


def judged(own: Task, fitted: Fitted, splits: Splits) -> Score:
    """As a sweep does it: a task with a head sees what its graph gives."""
    head = own.head(fitted)
    return own.judge(fitted, with_logits(fitted, head.model, splits.test) if head else splits.test)


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("spec", [SQUASHED, LETTERBOXED])
def test_classes_that_the_maps_show_are_found(name: str, spec: PreprocessSpec) -> None:
    own, splits = task(name), scenes(spec)
    score = judged(own, own.fit(splits.train, splits.val, 0), splits)
    assert score.main.value is not None
    assert score.main.value > 50
    assert score.main.name == own.meta.main_metric == "mIoU"
    assert score.per_sample.shape == (len(splits.test),)
    assert score.per_sample.mean() == pytest.approx(score.main.value)
    assert [row["class"] for row in score.by_class] == list(CLASSES)
    assert [m.name for m in score.metrics[1:3]] == ["pixel_accuracy", "mean_class_accuracy"]


def test_they_are_declared_as_what_they_are() -> None:
    metas = {name: task(name).meta for name in EVERY}
    assert [metas[name].head for name in EVERY] == ["deployed", "applied", ""]
    assert all((m.kind, m.outputs, m.control) == ("masks", (MAPS,), True) for m in metas.values())
    assert len({json.dumps(dict(m.settings), sort_keys=True) for m in metas.values()}) == 3


@pytest.mark.parametrize("name", EVERY)
def test_a_fit_is_written_read_back_and_judged_the_same(name: str, splits: Splits, tmp_path: Path) -> None:
    own = task(name)
    fitted = own.fit(splits.train, splits.val, 3)
    np.savez(tmp_path / "fit.npz", **fitted.arrays)  # type: ignore[arg-type]
    values = json.loads(json.dumps({"chosen": dict(fitted.chosen), "sweep": list(fitted.sweep)}))
    with np.load(tmp_path / "fit.npz", allow_pickle=False) as file:
        back = Fitted(splits.train, 3, dict(file), **values)
    one, other = judged(own, fitted, splits), judged(task(name), back, splits)
    assert one.metrics == other.metrics
    np.testing.assert_array_equal(one.per_sample, other.per_sample)
    assert judged(own, replace(fitted, seed=4), splits).main.stderr != one.main.stderr


@pytest.mark.parametrize("name", BY_HEAD)
def test_the_size_of_the_head_stands_beside_the_score(name: str, splits: Splits) -> None:
    own = task(name)
    fitted = own.fit(splits.train, splits.val, 0)
    size, head = judged(own, fitted, splits).metrics[-1], own.head(fitted)
    assert head is not None
    assert (size.name, size.value, size.unit, size.higher_is_better) == ("head_parameters", head.parameters, "", False)


@pytest.mark.parametrize("name", EVERY)
def test_a_class_that_train_lacks_counts_as_nothing_and_is_named(name: str, splits: Splits) -> None:
    def without(part: Batchwise, label: int) -> Batchwise:
        return remasked(part, [np.where(part.masks[i] == label, VOID, part.masks[i]) for i in range(len(part))])

    own, lacking = task(name), replace(splits, train=without(splits.train, 3))
    score = judged(own, own.fit(lacking.train, lacking.val, 0), lacking)
    assert score.by_class[3]["iou"] == 0
    assert score.main.note == "0 for classes that no cell of train has: car"
    untested = replace(splits, test=without(splits.test, 3))
    score = judged(own, own.fit(untested.train, untested.val, 0), untested)
    assert score.by_class[3]["iou"] is None
    assert score.main.note == ""
    assert score.main.value == pytest.approx(np.mean([row["iou"] for row in score.by_class[:3]]))


@pytest.mark.parametrize("name", EVERY)
def test_what_cannot_be_fitted_or_judged_gets_a_sentence(name: str, splits: Splits) -> None:
    own, train, val, test = task(name), splits.train, splits.val, splits.test
    with pytest.raises(UserError, match="The train split is empty"):
        own.fit(some(train, []), val, 0)
    if name in BY_HEAD:
        with pytest.raises(UserError, match="The val split is empty"):
            own.fit(train, some(val, []), 0)
    fitted = own.fit(train, val, 0)
    head = own.head(fitted)
    seen = with_logits(fitted, head.model, test) if head else test
    with pytest.raises(UserError, match="The test split is empty"):
        own.judge(fitted, some(seen, []))
    void = [np.full_like(seen.masks[i], VOID) for i in range(len(seen))]
    with pytest.raises(UserError, match="test split have no labelled pixel"):
        own.judge(fitted, remasked(seen, void))
    [(first, values), *_] = seen.outputs.items()
    broken = np.array(values)
    broken[7, 0, 1, 1] = np.nan
    with pytest.raises(CellError, match=f"The {first} of row 7 of the test split holds NaN or Inf"):
        own.judge(fitted, replace(seen, outputs={**seen.outputs, first: broken}))


@pytest.mark.parametrize("name", EVERY)
def test_a_picture_shows_photograph_truth_prediction_and_errors(name: str, splits: Splits) -> None:
    own = task(name)
    fitted = own.fit(splits.train, splits.val, 0)
    head = own.head(fitted)
    seen = with_logits(fitted, head.model, splits.test) if head else splits.test
    height, width = seen.masks[1].shape
    photograph = np.full((height, width, 3), 77, np.uint8)
    drawn = own.picture(fitted, seen, 1, photograph)
    assert drawn is not None
    assert drawn.dtype == np.uint8
    assert drawn.shape[1] == 4 * width + 12
    np.testing.assert_array_equal(drawn[16 : 16 + height, :width], photograph)
    red = (drawn[16 : 16 + height, 3 * (width + 4) :] == (214, 39, 40)).all(axis=2)
    agreed = own.judge(fitted, some(seen, [1])).metrics[1].value
    assert agreed == pytest.approx(100 * (1 - red.sum() / (seen.masks[1] != VOID).sum()))


def test_a_large_picture_is_drawn_small() -> None:
    from tasks.scoring.segmentation.drawing import side_by_side

    truth = np.zeros((700, 2000), np.int16)
    drawn = side_by_side(np.zeros((700, 2000, 3), np.uint8), truth, truth, CLASSES)
    assert drawn.shape[1] <= 900
    assert drawn.shape[0] < 200
