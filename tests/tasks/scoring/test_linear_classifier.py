from __future__ import annotations

import numpy as np
import pytest
from batches import rows_of

from tasks.base import Splits
from tasks.scoring.linear_classifier import FIT, fit, folded, logits, standardisation, standardized


def test_standardisation_is_that_of_train() -> None:
    train = np.array([[1, 5, 1e8], [3, 5, 1e8]], np.float32)
    mean, scale = standardisation(train)
    np.testing.assert_allclose(standardized(train, mean, scale), [[-1, 0, 0], [1, 0, 0]])
    np.testing.assert_allclose(standardized(np.array([[5, 6, 0]], np.float32), mean, scale), [[3, 0, 0]])


def test_it_is_scikit_learns_at_the_chosen_penalty(digit_splits: Splits) -> None:
    """Three digits are missing from train and val: the columns are of the others, in their order."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    train, val, test = (rows_of(p, ~np.isin(p.labels, (0, 3, 9))) for p in vars(digit_splits).values())
    fitted = fit(train, val, seed=0)
    assert fitted.arrays["present"].tolist() == [1, 2, 4, 5, 6, 7, 8]
    assert [row["penalty"] for row in fitted.sweep] == FIT.settings["penalties"]
    scaler = StandardScaler().fit(train.features.astype(np.float64))
    peer = LogisticRegression(C=1 / (fitted.chosen["penalty"] * len(train)), max_iter=5000, tol=1e-7)
    peer.fit(scaler.transform(train.features.astype(np.float64)), train.labels)
    wanted = peer.decision_function(scaler.transform(test.features.astype(np.float64)))
    found = logits(fitted, test)
    assert found.dtype == np.float32
    np.testing.assert_allclose(
        found - found.mean(axis=1, keepdims=True), wanted - wanted.mean(axis=1, keepdims=True), atol=0.1
    )
    on_val = peer.score(scaler.transform(val.features.astype(np.float64)), val.labels)
    assert fitted.chosen["val_accuracy"] == pytest.approx(100 * on_val, abs=0.5)


def test_folded_weights_take_features_as_they_come(digit_splits: Splits) -> None:
    fitted = fit(digit_splits.train, digit_splits.val, seed=0)
    weights, bias = folded(fitted)
    assert weights.dtype == bias.dtype == np.float32
    found = digit_splits.test.features @ weights.T + bias
    np.testing.assert_allclose(found, logits(fitted, digit_splits.test), rtol=1e-4, atol=1e-4)
