from __future__ import annotations

import numpy as np
import pytest

from tasks.base import Splits
from tasks.scoring.drawn_classifiers import PENALTIES, choose, rights
from tasks.scoring.features import l2_normalized


def test_the_penalty_is_the_best_of_all_draws_together(digit_splits: Splits) -> None:
    from sklearn.linear_model import LogisticRegression

    train, val = (l2_normalized(part.features) for part in (digit_splits.train, digit_splits.val))
    labels, val_labels = digit_splits.train.labels, digit_splits.val.labels
    draws = [np.arange(60), np.arange(300, 400)]
    found = choose(train, labels, draws, val, val_labels)
    assert found.weights.shape == (2, 10, 64)
    assert found.bias.shape == (2, 10)
    assert [row["penalty"] for row in found.sweep] == list(PENALTIES)
    assert all(row["converged"] for row in found.sweep)
    for row in found.sweep:
        peers = [LogisticRegression(C=1 / (row["penalty"] * len(rows)), max_iter=5000) for rows in draws]
        scores = [
            peer.fit(train[rows], labels[rows]).score(val, val_labels) for peer, rows in zip(peers, draws, strict=True)
        ]
        assert row["val_accuracy"] == pytest.approx(100 * np.mean(scores), abs=0.5)
    assert found.chosen["val_accuracy"] == max(row["val_accuracy"] for row in found.sweep)
    right = rights(found.weights, found.bias, val, val_labels)
    assert right.shape == (2, 400)
    assert set(np.unique(right)) == {0, 100}
    assert right.mean() == pytest.approx(found.chosen["val_accuracy"])
