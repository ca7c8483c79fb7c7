"""Multinomial logistic regression on soft labels, of many rows: for a few penalties, each started from the last.

For each penalty λ, strongest first,

    f(W, b) = Σ_i Σ_c t_ic (−log softmax(W x_i + b)_c)  +  λ/2 ‖W‖²

in which the targets t are the shares of the classes in row i, times the classes' weights; they sum to 1 over all.

Unlike :mod:`tasks.scoring.softmax_regression`, which goes to the optimum of hard labels, this takes a stated number of
iterations: of a hundred thousand rows of two thousand values, a pass takes half a second. They are well spent, because
L-BFGS (scipy's) works on whitened weights: W = V L⁻¹ with L Lᵀ = α C + λ I, C the rows' covariance and α about the
mean of p (1 − p). No row is rotated for that: it costs a product of weights with a [d, d] matrix an iteration.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from export.progress import counting
from tasks.scoring.features import Floats
from tasks.scoring.metrics import Doubles

ITERATIONS = 12
"""Of L-BFGS, for each penalty. On CamVid, mIoU on val lies within a point from 8 iterations to 40."""
CURVATURE = 0.02
"""α."""
EXPONENT = -0.5
"""A class's weight is its frequency to this power."""
SEEN = 16_384
"""Rows that the covariance is taken of."""


def class_weights(shares: Floats) -> Doubles:
    """Of each class, float64 [classes], of shares [m, classes] in which every class has some."""
    frequency: Doubles = shares.mean(axis=0, dtype=np.float64)
    return np.asarray(frequency**EXPONENT)


def fit(rows: Floats, shares: Floats, penalties: Sequence[float]) -> list[tuple[Floats, Floats]]:
    """Weights [classes, d] and bias [classes] for each penalty, in their order; float32. Each is centred over classes.

    Args:
        rows: float32 [m, d], standardised.
        shares: float32 [m, classes]; every class has some.
        penalties: strongest first.
    """
    from scipy.linalg import solve_triangular
    from scipy.optimize import minimize

    targets: Floats = (shares * class_weights(shares)).T.astype(np.float32)
    targets /= targets.sum(dtype=np.float64)
    classes, d = len(targets), rows.shape[1]
    some = rows[:: max(1, len(rows) // SEEN)]
    hessian = np.float32(CURVATURE / len(some)) * (some.T @ some)
    diagonal, unit = np.einsum("ii->i", hessian), np.float32(CURVATURE**-0.5)
    point = np.zeros((classes, d + 1), np.float32)  # weights and bias
    found = []
    for penalty, last in zip(penalties, [0, *penalties], strict=False):
        diagonal += np.float32(penalty - last)
        lower = np.linalg.cholesky(hessian)
        inverse = solve_triangular(lower, np.eye(d, dtype=np.float32), lower=True, overwrite_b=True)
        value = _objective(rows, targets, penalty)

        def whitened(v: Doubles, inverse: Floats = inverse, value: _Value = value) -> tuple[float, Doubles]:
            at = v.reshape(classes, d + 1).astype(np.float32)
            loss, gradient = value(np.concatenate([at[:, :d] @ inverse, at[:, d:] * unit], axis=1))
            pulled = np.concatenate([gradient[:, :d] @ inverse.T, gradient[:, d:] * unit], axis=1)
            return loss, pulled.ravel().astype(np.float64)

        start = np.concatenate([point[:, :d] @ lower, point[:, d:] / unit], axis=1).ravel().astype(np.float64)
        options = {"maxiter": ITERATIONS, "maxfun": 2 * ITERATIONS, "ftol": 0, "gtol": 1e-5}
        with counting(f"fitting at a penalty of {penalty:g}", ITERATIONS, "iterations") as advance:
            end = minimize(
                whitened, start, jac=True, method="L-BFGS-B", options=options, callback=lambda _, on=advance: on(1)
            ).x
        end = end.reshape(classes, d + 1).astype(np.float32)
        point = np.concatenate([end[:, :d] @ inverse, end[:, d:] * unit], axis=1)
        point -= point.mean(axis=0)  # a common shift changes no probability
        found.append((point[:, :d], point[:, d]))
    return found


_Value = Callable[[Floats], tuple[float, Floats]]


def _objective(rows: Floats, targets: Floats, penalty: float) -> _Value:
    """f and its gradient at float32 [classes, d + 1], weights and bias; targets are [classes, m]."""
    mass: Floats = targets.sum(axis=0)

    def value(point: Floats) -> tuple[float, Floats]:
        weights = point[:, :-1]
        values = weights @ rows.T
        values += point[:, -1:]
        loss = -float(np.einsum("cm,cm->", targets, values, dtype=np.float64))
        largest = values.max(axis=0)
        values -= largest
        np.exp(values, out=values)
        total = values.sum(axis=0)
        loss += float((mass * (np.log(total) + largest)).sum(dtype=np.float64))
        loss += penalty / 2 * float(np.einsum("cd,cd->", weights, weights, dtype=np.float64))
        values *= mass / total
        values -= targets
        gradient = np.concatenate([values @ rows, values.sum(axis=1, keepdims=True)], axis=1)
        gradient[:, :-1] += np.float32(penalty) * weights
        return loss, gradient

    return value
