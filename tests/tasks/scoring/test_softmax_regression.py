from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from tasks.scoring import softmax_regression
from tasks.scoring.softmax_regression import Solution, fit, principal_axes


def problem(n: int, d: int, classes: int, seed: int = 0) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    """Correlated features with a decaying spectrum, as networks give them, and an uneven mean."""
    draw = np.random.default_rng(seed)
    labels = np.concatenate([np.arange(classes), draw.integers(classes, size=n - classes)])
    spectrum = np.arange(1, d + 1) ** -0.7
    features = (draw.normal(size=(n, d)) + draw.normal(size=(classes, d))[labels]) * spectrum
    rotation = np.linalg.qr(draw.normal(size=(d, d)))[0]
    return (features @ rotation + draw.normal(size=d)).astype(np.float32), labels.astype(np.int64)


def objective(
    features: npt.NDArray[np.float32], labels: npt.NDArray[np.int64], weights: object, bias: object, penalty: float
) -> float:
    w, b = np.asarray(weights, np.float64), np.asarray(bias, np.float64)
    logits = features.astype(np.float64) @ w.T + b
    top = logits.max(axis=1)
    losses = top + np.log(np.exp(logits - top[:, None]).sum(axis=1)) - logits[np.arange(len(labels)), labels]
    return float(losses.mean() + penalty / 2 * (w * w).sum())


def gradient_norm(features: npt.NDArray[np.float32], labels: npt.NDArray[np.int64], solution: Solution) -> float:
    logits = features.astype(np.float64) @ solution.weights.T.astype(np.float64) + solution.bias
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    residual = odds / odds.sum(axis=1, keepdims=True) - np.eye(len(solution.bias))[labels]
    centred = features - features.mean(axis=0, dtype=np.float64)
    weights = residual.T @ centred / len(features) + solution.penalty * solution.weights
    return float(np.sqrt((weights**2).sum() + (residual.mean(axis=0) ** 2).sum()))


@pytest.mark.parametrize(("n", "d", "classes"), [(400, 30, 5), (40, 90, 4), (60, 60, 3), (500, 12, 2), (300, 20, 100)])
def test_optimum_is_that_of_scikit_learn(n: int, d: int, classes: int) -> None:
    from sklearn.linear_model import LogisticRegression

    features, labels = problem(n, d, classes)
    penalties = [1e-3, 1.0, 1e-2]
    for penalty, solution in zip(penalties, fit(features, labels, classes, penalties), strict=True):
        # with two classes scikit-learn fits one vector w = w1 − w0, for which λ/2 (‖w1‖² + ‖w0‖²) = λ/4 ‖w‖²
        c = 1 / (penalty * n) * (2 if classes == 2 else 1)
        peer = LogisticRegression(C=c, tol=1e-7, max_iter=10_000).fit(features.astype(np.float64), labels)
        weights, bias = peer.coef_, peer.intercept_
        if classes == 2:
            weights, bias = np.vstack([-weights, weights]) / 2, np.array([-bias[0], bias[0]]) / 2
        best = objective(features, labels, weights, bias, penalty)
        assert solution.penalty == penalty
        assert solution.converged
        found = objective(features, labels, solution.weights, solution.bias, penalty)
        above = solution.gradient_norm**2 / (2 * penalty)  # f is λ-strongly convex: no further from its minimum
        assert best - 1e-6 <= found <= best + above + 1e-6
        agree = solution.logits(features).argmax(axis=1) == peer.predict(features.astype(np.float64))
        assert agree.mean() >= 0.99


def test_the_gradient_is_as_small_as_it_is_said_to_be() -> None:
    features, labels = problem(500, 60, 6)
    for solution in fit(features, labels, 6, np.logspace(1, -4, 6).tolist()):
        assert gradient_norm(features, labels, solution) == pytest.approx(solution.gradient_norm, abs=2e-5)
        assert solution.gradient_norm <= softmax_regression.TOLERANCE


def test_a_fit_that_is_cut_off_says_so() -> None:
    features, labels = problem(200, 30, 4)
    strong, weak = fit(features, labels, 4, [10.0, 1e-5], iterations=8)
    assert strong.converged
    assert not weak.converged
    assert weak.iterations == 8
    assert weak.gradient_norm > softmax_regression.TOLERANCE


def test_batches_that_memory_allows_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    features, labels = problem(300, 40, 5)
    penalties = np.logspace(0, -3, 5).tolist()
    together = fit(features, labels, 5, penalties, tolerance=1e-5)
    monkeypatch.setattr(softmax_regression, "BUDGET", 1)  # one at a time, each from the one before
    for a, b in zip(together, fit(features, labels, 5, penalties, tolerance=1e-5), strict=True):
        np.testing.assert_allclose(a.logits(features), b.logits(features), atol=0.01)
        assert b.converged


def test_constant_and_repeated_features_do_no_harm() -> None:
    features, labels = problem(200, 10, 3)
    wide = np.hstack([features, np.full((200, 1), 7, np.float32), features])
    a = fit(features, labels, 3, [0.02])[0]
    b = fit(wide, labels, 3, [0.04])[0]  # each copy carries half the weight, and ‖W‖² halves
    np.testing.assert_allclose(a.logits(features), b.logits(wide), atol=2e-3)


@pytest.mark.parametrize(("n", "d"), [(50, 20), (20, 50)])
def test_principal_axes_are_orthonormal_and_diagonal(n: int, d: int) -> None:
    features, _ = problem(n, d, 2)
    centred = features - features.mean(axis=0)
    axes = principal_axes(centred)
    assert axes.shape == (d, min(n - 1, d))
    np.testing.assert_allclose(axes.T @ axes, np.eye(axes.shape[1]), atol=1e-5)
    covariance = np.cov(centred @ axes, rowvar=False, ddof=0)
    np.testing.assert_allclose(covariance, np.diag(np.diag(covariance)), atol=1e-5 * covariance.max())


def test_what_has_no_optimum_is_refused() -> None:
    features, labels = problem(20, 3, 2)
    with pytest.raises(ValueError, match="every class"):
        fit(features, labels, 3, [1.0])
    with pytest.raises(ValueError, match="positive"):
        fit(features, labels, 2, [0.0])
