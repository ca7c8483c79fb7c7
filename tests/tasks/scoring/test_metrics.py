"""Accuracy, balanced accuracy and log-loss against scikit-learn and torchmetrics, on random and adversarial inputs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.scoring.metrics import accuracy, log_loss, softmax

CLASSES = 5


def held(predicted: Any, labels: Any) -> None:
    import torch
    from sklearn.metrics import accuracy_score, recall_score
    from torchmetrics.functional.classification import multiclass_accuracy

    (plain, balanced), per_sample = accuracy(predicted, labels)
    assert plain.value == pytest.approx(100 * accuracy_score(labels, predicted), abs=1e-6)
    assert per_sample.mean() == pytest.approx(plain.value, abs=1e-6)
    present = np.unique(labels)
    recall = recall_score(labels, predicted, labels=present, average="macro")
    assert balanced.value == pytest.approx(100 * recall, abs=1e-6)
    theirs = multiclass_accuracy(
        torch.from_numpy(predicted), torch.from_numpy(labels), num_classes=CLASSES, average="none"
    )
    assert balanced.value == pytest.approx(100 * float(theirs.double()[present].mean()), abs=1e-4)  # float32 there


@settings(max_examples=150)
@given(st.lists(st.tuples(st.integers(0, CLASSES - 1), st.integers(0, CLASSES - 1)), min_size=1, max_size=80))
def test_accuracies_are_the_references(torchmetrics: None, pairs: list[tuple[int, int]]) -> None:
    predicted, labels = (np.array(column, np.int64) for column in zip(*pairs, strict=True))
    held(predicted, labels)


@pytest.mark.parametrize(
    ("predicted", "labels"),
    [
        ([4, 4, 4], [0, 1, 2]),  # only a class that has no image
        ([2, 2, 2, 2], [2, 2, 2, 2]),  # one class only
        ([0, 1, 1, 1], [0, 3, 3, 4]),  # classes missing in between
        ([3], [3]),
    ],
)
def test_accuracies_where_classes_are_missing(torchmetrics: None, predicted: list[int], labels: list[int]) -> None:
    held(np.array(predicted, np.int64), np.array(labels, np.int64))


@settings(max_examples=100)
@given(st.integers(0, 10_000), st.integers(1, 60), st.integers(2, 6), st.sampled_from([0.0, 1.0, 30.0]))
def test_probabilities_and_log_loss_are_the_references(seed: int, n: int, classes: int, scale: float) -> None:
    from scipy.special import log_softmax
    from scipy.special import softmax as peer

    draw = np.random.default_rng(seed)
    logits = (scale * np.round(draw.normal(size=(n, classes)), 1)).astype(np.float32)  # ties, and 0: all alike
    labels = draw.integers(max(1, classes - 1), size=n)  # the last class has no image
    wide = logits.astype(np.float64)
    np.testing.assert_allclose(softmax(logits), peer(wide, axis=1), atol=1e-9)
    np.testing.assert_allclose(
        log_loss(logits, labels), -log_softmax(wide, axis=1)[np.arange(n), labels], rtol=1e-9, atol=1e-9
    )
