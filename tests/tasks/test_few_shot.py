from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from batches import rows_of, score
from hypothesis import given, settings
from hypothesis import strategies as st

from export.errors import UserError
from tasks.base import Batchwise, Splits
from tasks.few_shot import CENTROID_DRAWS, FewShot, draws, nearest_centroid
from tasks.scoring.features import l2_normalized


def first_of_each_class(part: Batchwise, count: int) -> Batchwise:
    kept = np.concatenate([np.flatnonzero(part.labels == label)[:count] for label in range(len(part.classes))])
    return rows_of(part, kept)


def test_draws_hold_every_class_equally_and_follow_the_seed(digit_splits: Splits) -> None:
    labels = digit_splits.train.labels
    some = list(draws(labels, 5, 4, seed=3))
    for support in some:
        assert len(set(support.tolist())) == 50
        np.testing.assert_array_equal(np.bincount(labels[support]), 5)
    assert not np.array_equal(some[0], some[1])
    np.testing.assert_array_equal(some, list(draws(labels, 5, 4, seed=3)))
    assert not np.array_equal(some, list(draws(labels, 5, 4, seed=4)))


def test_nearest_centroid_is_the_highest_cosine(digit_splits: Splits) -> None:
    train = l2_normalized(digit_splits.train.features[:80])
    labels = digit_splits.train.labels[:80]
    queries = l2_normalized(digit_splits.test.features)
    centre = train.mean(axis=0)
    shifted = l2_normalized(train - centre)
    centroids = np.stack([shifted[labels == label].mean(axis=0) for label in range(10)])
    moved = queries - centre
    cosine = (moved @ centroids.T) / np.linalg.norm(moved, axis=1)[:, None] / np.linalg.norm(centroids, axis=1)
    np.testing.assert_array_equal(nearest_centroid(train, labels, 10, queries), cosine.argmax(axis=1))


@settings(max_examples=50)
@given(st.integers(0, 10_000), st.integers(1, 5), st.integers(2, 6))
def test_nearest_centroid_is_scikit_learns(seed: int, shots: int, classes: int) -> None:
    """The nearest by cosine of the classes' mean directions, among centred rows; a class may be one point."""
    from sklearn.metrics import accuracy_score
    from sklearn.neighbors import KNeighborsClassifier

    draw = np.random.default_rng(seed)
    labels = np.repeat(np.arange(classes), shots)
    rows = draw.normal(size=(len(labels), 7)) + 2 * draw.normal(size=(classes, 7))[labels]
    rows[labels == 0] = rows[0]
    support, queries = l2_normalized(rows), l2_normalized(draw.normal(size=(40, 7)))
    centred = l2_normalized(support - support.mean(axis=0))
    centroids = np.stack([centred[labels == label].mean(axis=0) for label in range(classes)])
    peer = KNeighborsClassifier(1, metric="cosine").fit(centroids, np.arange(classes))
    truth = draw.integers(classes, size=40)
    wanted = accuracy_score(truth, peer.predict(queries - support.mean(axis=0)))
    found = nearest_centroid(support, labels, classes, queries)
    assert (found == truth).mean() == pytest.approx(wanted, abs=1e-6)


def test_more_shots_score_higher_and_the_error_is_stated(digit_splits: Splits) -> None:
    found = score(FewShot(), digit_splits)
    value = {m.name: m.value for m in found.metrics if m.value is not None}
    assert found.main.name == "centroid_5_shot"
    for method in ("centroid", "logistic"):
        one, five, ten = (value[f"{method}_{shots}_shot"] for shots in (1, 5, 10))
        assert 30 < one < five < ten < 100
    assert found.per_sample.mean() == pytest.approx(found.main.value)
    assert found.per_draw.shape == (CENTROID_DRAWS,)
    assert found.per_draw.mean() == pytest.approx(found.main.value)
    assert found.main.stderr is not None
    n = len(digit_splits.test)
    assert found.main.stderr > found.per_sample.std(ddof=1) / n**0.5  # the draws add to it
    assert f"{CENTROID_DRAWS} draws" in found.main.note
    assert score(FewShot(), digit_splits).metrics == found.metrics
    assert score(FewShot(), digit_splits, seed=1).main.value != found.main.value


def test_shots_that_a_class_cannot_give_are_left_out_and_said(digit_splits: Splits) -> None:
    splits = replace(digit_splits, train=first_of_each_class(digit_splits.train, 7))
    metrics = {m.name: m for m in score(FewShot(), splits).metrics}
    assert metrics["centroid_10_shot"].value is None
    assert "has 7 training images" in metrics["centroid_10_shot"].note
    assert metrics["centroid_5_shot"].value is not None


def test_fewer_images_than_shots_are_refused(digit_splits: Splits) -> None:
    with pytest.raises(UserError, match="'0' has 4"):
        FewShot().fit(first_of_each_class(digit_splits.train, 4), digit_splits.val, seed=0)
