"""The task low_data, against scikit-learn doing the same."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import numpy as np
import pytest
from batches import pooled, score, with_labels

from export.errors import UserError
from tasks.base import Splits
from tasks.low_data import DRAWS, PERCENTS, LowData, _part
from tasks.scoring.drawn_classifiers import PENALTIES
from tasks.scoring.features import l2_normalized


def test_the_main_figure_is_scikit_learns(digit_splits: Splits) -> None:
    from sklearn.linear_model import LogisticRegression

    fitted = LowData().fit(digit_splits.train, digit_splits.val, seed=0)
    found = LowData().judge(fitted, digit_splits.test)
    chosen = fitted.chosen["accuracy_10_percent"]["penalty"]
    train, test = (l2_normalized(part.features) for part in (digit_splits.train, digit_splits.test))
    labels, right = digit_splits.train.labels, []
    for draw in range(DRAWS):
        part = _part(labels, 10, 0, draw)
        peer = LogisticRegression(C=1 / (chosen * len(part)), max_iter=5000, tol=1e-6).fit(train[part], labels[part])
        right.append(100.0 * (peer.predict(test) == digit_splits.test.labels))
    assert found.main.name == "accuracy_10_percent"
    assert found.main.value == pytest.approx(np.mean(right), abs=0.3)
    assert found.per_sample.mean() == pytest.approx(found.main.value)
    np.testing.assert_allclose(found.per_draw, np.mean(right, axis=1), atol=1)
    assert found.per_draw.mean() == pytest.approx(found.main.value)
    assert [row["penalty"] for row in fitted.sweep[: len(PENALTIES)]] == list(PENALTIES)
    assert f"{len(_part(labels, 10, 0, 0))} images" in found.main.note


def test_more_labels_help_and_fewer_classes_are_easier(digit_splits: Splits) -> None:
    found = {m.name: m for m in score(LowData(), digit_splits).metrics}
    curve = [found[f"accuracy_{p}_percent"].value for p in PERCENTS]
    assert None not in curve
    assert curve == sorted(curve, key=lambda value: value or 0)
    assert (found["knn_2_classes"].value or 0) > (found["knn_5_classes"].value or 0)
    assert found["knn_10_classes"].value is None
    assert "10 classes" in found["knn_10_classes"].note


def test_parts_are_nested_stratified_and_seeded() -> None:
    labels = np.repeat(np.arange(4), [100, 50, 20, 10])
    small, large = (_part(labels, percent, 7, 0) for percent in (10, 20))
    assert set(small) < set(large)
    assert np.bincount(labels[small]).tolist() == [10, 5, 2, 1]
    assert not np.array_equal(small, _part(labels, 10, 7, 1))
    np.testing.assert_array_equal(small, _part(labels, 10, 7, 0))


def test_too_few_images_are_told(digit_splits: Splits) -> None:
    def of(count: int) -> Splits:
        labels = np.repeat(np.arange(3), count)
        features = np.random.default_rng(0).normal(size=(3 * count, 6)).astype(np.float32) + labels[:, None]
        part = pooled(features, labels, ("a", "b", "c"))
        return Splits(part, part, part)

    with pytest.raises(UserError, match="10 % of the 4 training images of 'a'"):
        LowData().fit(of(4).train, of(4).val, seed=0)
    found: dict[str, Any] = {m.name: m for m in score(LowData(), of(20)).metrics}
    assert found["accuracy_1_percent"].value is None
    assert "20 training images" in found["accuracy_1_percent"].note
    assert found["accuracy_10_percent"].value > 30
    assert found["knn_2_classes"].value > 50


def test_the_test_split_chooses_nothing(digit_splits: Splits) -> None:
    wrong = with_labels(digit_splits.test, (digit_splits.test.labels + 1) % 10)
    fitted = LowData().fit(digit_splits.train, digit_splits.val, seed=0)
    before = deepcopy((fitted.chosen, fitted.sweep))
    plain, other = (LowData().judge(fitted, test) for test in (digit_splits.test, wrong))
    assert (fitted.chosen, fitted.sweep) == before
    assert plain.main.value != other.main.value
