from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import log_softmax

from tasks.scoring import softmax_regression
from tasks.scoring.features import Floats
from tasks.scoring.metrics import Doubles
from tasks.scoring.segmentation.soft_regression import class_weights, fit

PENALTIES = (1e-2, 1e-3, 1e-4)


def problem(rows: int = 600, width: int = 12, classes: int = 4) -> tuple[Floats, Floats]:
    """Correlated rows of many scales, and shares of rare and frequent classes."""
    generator = np.random.default_rng(0)
    features = generator.normal(size=(rows, width)) @ generator.normal(size=(width, width))
    features = (features - features.mean(axis=0)) / features.std(axis=0)
    logits = features @ generator.normal(size=(width, classes)) + np.array([3, 1, 0, -2])[:classes]
    shares = np.exp(logits - logits.max(axis=1, keepdims=True)) + 0.02 * generator.random((rows, classes))
    shares /= shares.sum(axis=1, keepdims=True)
    return features.astype(np.float32), shares.astype(np.float32)


def objective(point: Doubles, penalty: float, rows: Doubles, shares: Doubles) -> tuple[float, Doubles]:
    """Loss and gradient at weights and bias [classes, d + 1], in float64."""
    targets = shares * shares.mean(axis=0) ** -0.5
    targets = targets / targets.sum()
    logs = log_softmax(rows @ point[:, :-1].T + point[:, -1], axis=1)
    left = targets.sum(axis=1, keepdims=True) * np.exp(logs) - targets
    gradient = np.concatenate([left.T @ rows + penalty * point[:, :-1], left.sum(axis=0)[:, None]], axis=1)
    return float(-(targets * logs).sum() + penalty / 2 * (point[:, :-1] ** 2).sum()), gradient


def test_it_comes_near_the_optimum_of_every_penalty() -> None:
    rows, shares = problem()
    for penalty, (weights, bias) in zip(PENALTIES, fit(rows, shares, PENALTIES), strict=True):
        assert weights.dtype == bias.dtype == np.float32

        def value(point: Doubles, penalty: float = penalty) -> tuple[float, Doubles]:
            loss, gradient = objective(point.reshape(4, 13), penalty, *map(np.float64, (rows, shares)))
            return loss, gradient.ravel()

        best = minimize(value, np.zeros(4 * 13), jac=True, method="L-BFGS-B", options={"maxiter": 1000}).fun
        found, _ = value(np.concatenate([weights, bias[:, None]], axis=1).astype(np.float64))
        assert best - 1e-6 <= found < 1.01 * best


def test_hard_labels_of_equal_classes_have_the_solution_of_the_other_solver() -> None:
    generator = np.random.default_rng(0)
    labels = np.arange(900) % 3
    rows = (generator.normal(size=(900, 8)) + np.eye(3, 8)[labels]).astype(np.float32)
    rows -= rows.mean(axis=0)
    [(weights, bias)] = fit(rows, np.eye(3, dtype=np.float32)[labels], [1e-2])
    [wanted] = softmax_regression.fit(rows, labels, 3, [1e-2])
    np.testing.assert_allclose(weights, wanted.weights, atol=0.02)
    np.testing.assert_allclose(bias, wanted.bias, atol=0.02)


def test_logits_sum_to_nothing() -> None:
    rows, shares = problem()
    for weights, bias in fit(rows, shares, PENALTIES):
        np.testing.assert_allclose((rows @ weights.T + bias).sum(axis=1), 0, atol=1e-4)


def test_more_columns_than_rows_and_a_constant_one() -> None:
    generator = np.random.default_rng(0)
    rows = np.concatenate([generator.normal(size=(40, 90)), np.zeros((40, 1))], axis=1).astype(np.float32)
    shares = np.eye(2, dtype=np.float32)[np.arange(40) % 2]
    for weights, bias in fit(rows, shares, PENALTIES):
        assert np.isfinite(weights).all()
        assert not weights[:, -1].any()
        assert ((rows @ weights.T + bias).argmax(axis=1) == np.arange(40) % 2).mean() > 0.9


def test_rare_classes_weigh_more() -> None:
    shares = np.array([[1, 0], [1, 0], [1, 0], [0, 1]], np.float32)
    assert class_weights(shares) == pytest.approx([0.75**-0.5, 2])
