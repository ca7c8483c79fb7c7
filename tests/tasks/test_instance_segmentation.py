"""Masks from maps to a score."""

from __future__ import annotations

import drawn_objects
import numpy as np
import pytest

from tasks.instance_segmentation import InstanceSegmentation
from tasks.scoring.detection import training


def test_shapes_are_found_by_the_deployed_head(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "RATES", (5e-3,))
    monkeypatch.setattr(training, "SEEDS", 1)
    monkeypatch.setattr(training, "TRIAL_EPOCHS", 1)
    monkeypatch.setattr(training, "EPOCHS", 8)
    splits, task = drawn_objects.splits(), InstanceSegmentation()
    fitted = task.fit(splits.train, splits.val, 0)
    found = drawn_objects.emitted(task, fitted, splits.test)
    assert found.outputs["masks"].shape[2:] == (48, 48)
    score = task.judge(fitted, found)
    values = {metric.name: metric.value or 0 for metric in score.metrics}
    assert next(iter(values)) == task.meta.main_metric == "mask_AP"
    assert values["mask_AP50"] > 30
    assert score.per_sample.mean() == pytest.approx(values["mask_AP"])
    assert {"box_AP", "box_AP50", "box_AP75", "head_parameters"} < set(values)
    photograph = np.full((*drawn_objects.SIZE, 3), 90, np.uint8)
    drawn = task.picture(fitted, found, 0, photograph)
    assert (drawn != photograph).any(axis=2).sum() > 400  # filled, not outlined alone
