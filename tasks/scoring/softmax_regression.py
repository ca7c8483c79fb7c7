"""Multinomial logistic regression for a whole sweep of penalties at once, to a stated gradient norm.

The objective is convex and has no learning rate to tune: for each penalty λ

    f(W, b) = mean_i −log softmax(W x_i + b)[y_i]  +  λ/2 ‖W‖²

in which b is not penalised, and λ is 1 / (C n) in scikit-learn's letters.

Four things make the sweep fast; none of them changes the optimum:

* all penalties advance together, so that the two passes over the data of an iteration are two wide matrix products;
* the features are rotated to their principal axes. A rotation leaves ‖W‖² as it is, drops the axes that hold no data
  (W is zero there), and makes the Hessian nearly diagonal, so that its diagonal preconditions L-BFGS well;
* logits are linear in W, so a line search costs no further pass over the data;
* a penalty that has converged leaves the batch.

Data and products are float32, sums of losses and inner products are float64.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tasks.scoring.features import Floats

Doubles = npt.NDArray[np.float64]

TOLERANCE = 3e-4
"""Of ‖∇f‖₂, over all parameters: a stricter demand than scikit-learn's 1e-4 of the largest one."""
ITERATIONS = 1000
HISTORY = 10
RENEWED = tuple(8 << i for i in range(8))
"""Iterations at which the preconditioner is taken anew: it costs half an iteration, and ages ever more slowly."""
BUDGET = 512 << 20
"""Bytes that the penalties of one batch may take; a problem that is larger runs alone."""


@dataclass(frozen=True)
class Solution:
    """The fit at one penalty: float32 ``weights`` [classes, d] and ``bias`` [classes].

    ``gradient_norm`` is ‖∇f‖₂ where the solver stopped; ``converged`` says that it is within the tolerance.
    """

    penalty: float
    weights: Floats
    bias: Floats
    gradient_norm: float
    iterations: int
    converged: bool

    def logits(self, features: Floats) -> Floats:
        """float32 [n, classes] for features float32 [n, d]."""
        return affine(features, self.weights, self.bias)


def affine(features: Floats, weights: Floats, bias: Floats) -> Floats:
    """Logits, float32 [n, classes], of features [n, d] by weights [classes, d] and bias [classes]."""
    return np.asarray(features @ weights.T + bias, np.float32)


def fit(
    features: Floats,
    labels: npt.NDArray[np.int64],
    classes: int,
    penalties: Sequence[float],
    tolerance: float = TOLERANCE,
    iterations: int = ITERATIONS,
) -> list[Solution]:
    """Fit once for each penalty.

    Args:
        features: float32 [n, d], of a scale near 1 (see :func:`tasks.scoring.linear_classifier.standardisation`).
        labels: int64 [n]; every class from 0 to classes − 1 must occur.
        penalties: λ > 0, any number, any order.

    Returns:
        One solution for each penalty, in their order. A fit that reached ``iterations`` is not ``converged``.

    Raises:
        ValueError: a class does not occur (its bias would run to −∞), or a penalty is not positive.
    """
    if len(np.unique(labels)) != classes or min(penalties) <= 0:
        raise ValueError("every class must occur in the labels, and every penalty must be positive")
    centre = features.mean(axis=0, dtype=np.float64).astype(np.float32)
    axes = principal_axes(features - centre)
    data = np.ones((axes.shape[1] + 1, len(features)), np.float32)  # the last row carries the bias
    data[:-1] = ((features - centre) @ axes).T
    squares = data * data

    order = sorted(range(len(penalties)), key=lambda i: -penalties[i])
    width = max(1, BUDGET // (4 * classes * (6 * len(features) + (2 * HISTORY + 7) * len(data))))
    solutions: dict[int, Solution] = {}
    start = np.zeros((1, classes, len(data)), np.float32)
    for first in range(0, len(order), width):
        batch = order[first : first + width]
        problems = _Problems(data, squares, labels, np.array([penalties[i] for i in batch], np.float32), start)
        found, norms, steps = problems.minimize(tolerance, iterations)
        for i, theta, norm, step in zip(batch, found, norms, steps, strict=True):
            weights = theta[:, :-1] @ axes.T
            bias = theta[:, -1] - weights @ centre
            bias -= bias.mean()  # a common shift changes no probability
            solutions[i] = Solution(penalties[i], weights, bias, float(norm), int(step), bool(norm <= tolerance))
        start = found[-1:]  # the weakest penalty so far is nearest to the next ones
    return [solutions[i] for i in range(len(penalties))]


def principal_axes(centred: Floats) -> Floats:
    """Orthonormal axes, float32 [d, r], of the r directions in which centred data [n, d] vary."""
    n, d = centred.shape
    if n >= d:
        variances, axes = np.linalg.eigh(centred.T @ centred / np.float32(n))
        return np.asarray(axes[:, variances > 1e-6 * variances[-1]], np.float32)
    wide = centred.astype(np.float64)  # in float32 the axes of small variance would not come out orthogonal
    variances, left = np.linalg.eigh(wide @ wide.T / n)
    kept = variances > 1e-9 * variances[-1]
    axes = wide.T @ (left[:, kept] / np.sqrt(n * variances[kept]))
    return np.asarray(axes, np.float32)


class _Problems:
    """Several penalties on the same data, advanced together. Arrays are [problem, class, axis or sample]."""

    def __init__(
        self, data: Floats, squares: Floats, labels: npt.NDArray[np.int64], penalties: Floats, start: Floats
    ) -> None:
        self.data, self.squares = data, squares
        self.own = (slice(None), labels, np.arange(len(labels)))  # each sample's entry of its own class
        self.active = np.arange(len(penalties))
        self.penalty = np.zeros((len(penalties), 1, len(data)), np.float32)
        self.penalty[:, :, :-1] = penalties[:, None, None]
        self.theta = np.repeat(start, len(penalties), axis=0)
        self.logits = self._times_data(self.theta)
        self.inverse = np.zeros_like(self.theta)
        self.history: list[tuple[Floats, Floats, Doubles]] = []

    def minimize(self, tolerance: float, iterations: int) -> tuple[Floats, Doubles, npt.NDArray[np.int64]]:
        """Run to the tolerance: parameters, gradient norms and iteration counts of all problems."""
        found, count = self.theta.copy(), len(self.active)
        norms, steps = np.zeros(count), np.zeros(count, np.int64)
        probabilities = _softmax(self.logits)
        self._precondition(probabilities)
        gradient = self._gradient(probabilities)
        for iteration in range(iterations + 1):
            norm = np.sqrt(_dot(gradient, gradient))
            stop = (norm <= tolerance) | (iteration == iterations)
            if stop.any():
                at = self.active[stop]
                found[at], norms[at], steps[at] = self.theta[stop], norm[stop], iteration
                if stop.all():
                    break
                gradient = gradient[~stop]
                self._keep(~stop)
            direction = self._direction(gradient)
            step, probabilities = self._line_search(gradient, direction)
            self.theta = self.theta + step
            if iteration + 1 in RENEWED:
                self._precondition(probabilities)
            new = self._gradient(probabilities)
            change = new - gradient
            self.history = [*self.history[-HISTORY + 1 :], (step, change, 1 / np.maximum(_dot(step, change), 1e-30))]
            gradient = new
        return found, norms, steps

    def _keep(self, which: npt.NDArray[np.bool_]) -> None:
        self.active, self.penalty = self.active[which], self.penalty[which]
        self.theta, self.logits, self.inverse = self.theta[which], self.logits[which], self.inverse[which]
        self.history = [(step[which], change[which], scale[which]) for step, change, scale in self.history]

    def _times_data(self, theta: Floats) -> Floats:
        logits: Floats = theta.reshape(-1, len(self.data)) @ self.data
        return logits.reshape(*theta.shape[:2], -1)

    def _precondition(self, probabilities: Floats) -> None:
        """Take the inverse of the Hessian's diagonal, mean_i p (1 − p) x² + λ, held away from zero."""
        weights = probabilities * (1 - probabilities)
        diagonal: Floats = weights.reshape(-1, weights.shape[2]) @ self.squares.T
        diagonal = diagonal.reshape(self.theta.shape) / np.float32(weights.shape[2])
        self.inverse = 1 / (np.maximum(diagonal, 1e-4 * self.squares.mean(axis=1)) + self.penalty)

    def _gradient(self, probabilities: Floats) -> Floats:
        """∇f. Uses up the probabilities."""
        residual = probabilities
        residual[self.own] -= 1
        pulled: Floats = residual.reshape(-1, residual.shape[2]) @ self.data.T
        pulled = pulled.reshape(self.theta.shape) / np.float32(residual.shape[2])
        return pulled + self.penalty * self.theta

    def _direction(self, gradient: Floats) -> Floats:
        """−H ∇f with the two-loop recursion (Nocedal 1980)."""
        q: Floats = gradient.copy()
        weights: list[Doubles] = []
        for step, change, scale in reversed(self.history):
            weights.append(scale * _dot(step, q))
            q -= _each(weights[-1]) * change
        q *= self.inverse
        if self.history:
            step, change, scale = self.history[-1]
            q *= _each(1 / (scale * _dot(change, change * self.inverse)))
        for (step, change, scale), weight in zip(self.history, reversed(weights), strict=True):
            q += _each(weight - scale * _dot(change, q)) * step
        return -q

    def _line_search(self, gradient: Floats, direction: Floats) -> tuple[Floats, Floats]:
        """The step, and the probabilities after it.

        Newton's method in one variable, from length 1, on logits alone, until the slope has halved; on a convex
        function such a step descends and keeps the curvature condition.
        """
        n = self.data.shape[1]
        slope = self._times_data(direction)
        pull = _dot(self.penalty * self.theta, direction)
        stiffness = _dot(self.penalty * direction, direction)
        steepest = np.abs(_dot(gradient, direction))
        pull -= slope[self.own].sum(axis=1, dtype=np.float64) / n
        length = np.ones(len(direction))
        for tries_left in reversed(range(10)):
            logits = self.logits + _each(length) * slope
            probabilities = _softmax(logits)
            first = _dot(probabilities, slope) / n + pull + length * stiffness
            far = np.abs(first) > 0.5 * steepest
            if not far.any() or not tries_left:
                break
            weighted = probabilities * slope
            mean = weighted.sum(axis=1, keepdims=True)
            second = (_dot(weighted, slope) - _dot(mean, mean)) / n + stiffness
            newton = np.clip(length - first / second, 0.1 * length, 10 * length)
            length = np.where(far, newton, length)
        self.logits = logits
        return _each(length) * direction, probabilities


def _softmax(logits: Floats) -> Floats:
    values: Floats = logits - logits.max(axis=1, keepdims=True)
    np.exp(values, out=values)
    values /= values.sum(axis=1, keepdims=True)
    return values


def _dot(a: Floats, b: Floats) -> Doubles:
    """Inner product of each problem."""
    rows = np.einsum("pkd,pkd->pk", a, b)
    return np.asarray(rows.sum(axis=1, dtype=np.float64))


def _each(values: Doubles) -> Floats:
    """One float32 number a problem, to multiply its arrays with."""
    return np.asarray(values, np.float32)[:, None, None]
