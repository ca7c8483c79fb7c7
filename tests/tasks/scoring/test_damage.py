"""Damage between two sets of features, against counting by hand, on changes that are known."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from batches import pooled, with_features, with_labels

from export.errors import CellError, UserError
from tasks.base import Splits
from tasks.scoring.damage import damage, nearest
from tasks.scoring.features import l2_normalized


def by_name(found: Any) -> dict[str, float]:
    return {metric.name: metric.value for metric in found.metrics}


def with_test(splits: Splits, features: Any) -> Splits:
    return replace(splits, test=with_features(splits.test, features))


def test_the_same_features_are_undamaged(digit_splits: Splits) -> None:
    found = damage(digit_splits, digit_splits)
    assert set(by_name(found).values()) == {0.0}
    assert found.accuracy.value == 0
    assert found.cosine_least == pytest.approx(1, abs=1e-6)
    assert found.worst_class[1] == 0
    assert found.warnings == ()


def test_scale_is_no_damage(digit_splits: Splits) -> None:
    scaled = with_test(digit_splits, digit_splits.test.features * 7)
    assert by_name(damage(digit_splits, scaled))["flips"] == 0


def test_counts_are_scikit_learns(digit_splits: Splits) -> None:
    from sklearn.neighbors import KNeighborsClassifier

    noise = np.random.default_rng(0).normal(scale=4, size=digit_splits.test.features.shape)
    harmed = with_test(digit_splits, digit_splits.test.features + noise)
    peer = KNeighborsClassifier(20, weights=lambda d: np.exp((1 - d) / 0.07), metric="cosine")
    peer.fit(digit_splits.train.features.astype(np.float64), digit_splits.train.labels)
    before, after = (peer.predict(s.test.features.astype(np.float64)) for s in (digit_splits, harmed))
    neighbours = [peer.kneighbors(s.test.features, 10, return_distance=False) for s in (digit_splits, harmed)]
    same = np.mean([len(set(a) & set(b)) / 10 for a, b in zip(*neighbours, strict=True)])
    labels = digit_splits.test.labels
    found = damage(digit_splits, harmed)
    values = by_name(found)
    assert values["flips"] == pytest.approx(100 * (before != after).mean())
    assert values["turned_wrong"] == pytest.approx(100 * ((before == labels) & (after != labels)).mean())
    assert values["turned_right"] == pytest.approx(100 * ((before != labels) & (after == labels)).mean())
    assert values["churn"] == pytest.approx(100 * (1 - same), abs=0.05)
    wanted = 100 * ((after == labels).mean() - (before == labels).mean())
    assert found.accuracy.value == pytest.approx(wanted)
    assert values["turned_right"] - values["turned_wrong"] == pytest.approx(wanted)
    assert values["margin_lost"] > 0
    drops = [100 * ((after == c) & (labels == c)).sum() / (labels == c).sum() for c in range(10)]
    drops = [d - 100 * ((before == c) & (labels == c)).sum() / (labels == c).sum() for c, d in enumerate(drops)]
    assert found.worst_class[1] == pytest.approx(min(drops))


def test_a_mean_that_hides_flips_is_told() -> None:
    """As many turn right as turn wrong: the accuracy is the same, and every tenth prediction is another."""
    draw = np.random.default_rng(0)
    centres = np.array([[1.0, 0.0], [0.0, 1.0]])
    labels = np.repeat([0, 1], 100)
    train = pooled(centres[labels] + draw.normal(scale=0.01, size=(200, 2)), labels, ("a", "b"))
    wrong = np.zeros(200, bool)
    wrong[[*range(10), *range(100, 110)]] = True

    def seen(swapped: Any) -> Splits:
        test = pooled(centres[np.where(swapped, 1 - labels, labels)], labels, ("a", "b"))
        return Splits(train, test, test)

    moved = np.zeros(200, bool)
    moved[[*range(20, 30), *range(120, 130)]] = True
    found = damage(seen(wrong), seen(moved))
    assert found.accuracy.value == 0
    assert by_name(found)["flips"] == 20
    assert any("accuracy hides it" in text and "20.0 %" in text for text in found.warnings)
    assert any(
        "mean cosine" in text for text in damage(seen(np.zeros(200, bool)), seen(np.eye(200, dtype=bool)[3])).warnings
    )


def test_a_mean_that_hides_a_class_is_told() -> None:
    draw = np.random.default_rng(0)
    labels = np.repeat(np.arange(10), 40)
    names = tuple(f"class {i}" for i in range(10))
    centres = np.eye(10)
    train = pooled(centres[labels] + draw.normal(scale=0.01, size=(400, 10)), labels, names)
    fine = centres[labels].copy()
    before, after = fine.copy(), fine.copy()
    before[labels == 3] = centres[4]  # one class is mended, another broken
    after[labels == 7] = centres[4]
    parts = [pooled(features, labels, names) for features in (before, after)]
    healthy, harmed = (Splits(train, part, part) for part in parts)
    found = damage(healthy, harmed)
    assert found.worst_class == ("class 7", -100.0, 40)
    assert any("'class 7' lost 100 points" in text for text in found.warnings)


def test_other_images_and_broken_features_are_refused(digit_splits: Splits) -> None:
    other = replace(digit_splits, test=with_labels(digit_splits.test, (digit_splits.test.labels + 1) % 10))
    with pytest.raises(UserError, match="different images"):
        damage(digit_splits, other)
    broken = digit_splits.test.features.copy()
    broken[0] = np.inf
    with pytest.raises(CellError, match="NaN or Inf"):
        damage(digit_splits, with_test(digit_splits, broken))


def test_nearest_takes_a_small_gallery() -> None:
    rows = l2_normalized(np.random.default_rng(0).normal(size=(4, 3)))
    assert sorted(nearest(rows, rows[:1], 10)[0].tolist()) == [0, 1, 2, 3]
