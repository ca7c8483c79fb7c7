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

from collections.abc import Sequence

import numpy as np

from tasks.scoring.features import Floats
from tasks.scoring.metrics import Doubles

ITERATIONS = 15
"""Of L-BFGS, for each penalty."""
CURVATURE = 0.02
"""α."""
SEEN = 16_384
"""Rows that the covariance is taken of."""


def class_weights(shares: Floats) -> Doubles:
    """frequency^−½ of each class, float64 [classes], of shares [m, classes]; 0 for a class that has no row."""
    frequency: Doubles = shares.mean(axis=0, dtype=np.float64)
    return np.where(frequency > 0, 1 / np.sqrt(np.where(frequency > 0, frequency, 1)), 0)


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
    mass: Floats = targets.sum(axis=0)
    classes, d = len(targets), rows.shape[1]
    some = rows[:: max(1, len(rows) // SEEN)]
    covariance = CURVATURE * (some.T @ some) / np.float32(len(some))
    diagonal = np.einsum("ii->i", covariance)
    weights, bias = np.zeros((classes, d), np.float32), np.zeros((classes, 1), np.float32)
    found = []
    for penalty, before in zip(penalties, [0, *penalties], strict=False):
        diagonal += np.float32(penalty - before)
        lower = np.linalg.cholesky(covariance)
        inverse = solve_triangular(lower, np.eye(d, dtype=np.float32), lower=True, overwrite_b=True)
        unit = np.float32(CURVATURE**-0.5)

        def objective(
            point: Doubles, inverse: Floats = inverse, unit: np.float32 = unit, penalty: float = penalty
        ) -> tuple[float, Doubles]:
            v, offset = np.split(point.astype(np.float32).reshape(classes, d + 1), [d], axis=1)
            w = v @ inverse
            values = w @ rows.T
            values += unit * offset
            loss = -float(np.einsum("cm,cm->", targets, values, dtype=np.float64))
            largest = values.max(axis=0)
            values -= largest
            np.exp(values, out=values)
            total = values.sum(axis=0)
            loss += float((mass * (np.log(total) + largest)).sum(dtype=np.float64))
            loss += penalty / 2 * float(np.einsum("cd,cd->", w, w, dtype=np.float64))
            values *= mass / total
            values -= targets
            gradient = values @ rows
            gradient += np.float32(penalty) * w
            parts = [gradient @ inverse.T, unit * values.sum(axis=1, keepdims=True)]
            return loss, np.concatenate(parts, axis=1).ravel().astype(np.float64)

        start = np.concatenate([weights @ lower, bias / unit], axis=1).ravel().astype(np.float64)
        options = {"maxiter": ITERATIONS, "maxfun": 2 * ITERATIONS, "ftol": 0, "gtol": 1e-5}
        end = minimize(objective, start, jac=True, method="L-BFGS-B", options=options).x
        v, offset = np.split(end.astype(np.float32).reshape(classes, d + 1), [d], axis=1)
        weights, bias = v @ inverse, unit * offset
        found.append((weights - weights.mean(axis=0), bias[:, 0] - bias.mean()))
    return found
