from __future__ import annotations

import numpy as np
import pytest
from batches import with_labels

from tasks.base import Splits
from tasks.linear_probe import LinearProbe
from tasks.scoring.linear_classifier import logits


def test_linear_probe_chooses_on_val_and_reads_test_once(digit_splits: Splits) -> None:
    fitted = LinearProbe().fit(digit_splits.train, digit_splits.val, seed=0)
    score = LinearProbe().judge(fitted, digit_splits.test)
    assert len(fitted.sweep) == 20
    assert all(row["converged"] for row in fitted.sweep)
    assert fitted.chosen["val_accuracy"] == max(row["val_accuracy"] for row in fitted.sweep)
    assert score.main.value is not None
    assert score.main.value > 94
    assert score.per_sample.mean() == pytest.approx(score.main.value)
    wrong = with_labels(digit_splits.test, (digit_splits.test.labels + 1) % 10)
    np.testing.assert_array_equal(logits(fitted, wrong), logits(fitted, digit_splits.test))
    assert (LinearProbe().judge(fitted, wrong).main.value or 0) < 6
