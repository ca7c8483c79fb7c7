from __future__ import annotations

import numpy as np
import pytest

from tasks.scoring.metrics import accuracy, log_loss
from tasks.scoring.resampling import bootstrap, paired_difference


def test_bootstrap_error_of_a_mean_is_the_known_one() -> None:
    values = np.random.default_rng(0).normal(size=400)
    means = bootstrap(values, lambda sample: sample.mean(axis=1), seed=1)
    assert len(means) == 10_000
    assert means.std() == pytest.approx(values.std() / 20, rel=0.03)


def test_pairing_takes_away_what_the_samples_share() -> None:
    draw = np.random.default_rng(0)
    easy = draw.normal(size=500) * 10
    a, b = easy + 1 + draw.normal(size=500) * 0.1, easy
    difference = paired_difference(a, b)
    assert difference.value == pytest.approx(1, abs=0.02)
    assert difference.stderr < 0.01
    assert difference.clear
    assert difference.low < difference.value < difference.high


def test_cells_that_are_equally_good_are_told_apart_one_time_in_twenty() -> None:
    right = 100.0 * (np.random.default_rng(0).random((300, 2, 100)) < 0.8)
    clear = sum(paired_difference(a, b, draws=1000).clear for a, b in right)
    assert 5 <= clear <= 27  # 15 expected, and a little more, as a percentile interval of 100 samples is a little short
    same = paired_difference(right[0, 0], right[0, 0])
    assert (same.value, same.stderr, same.clear) == (0, 0, False)


def test_the_seed_decides() -> None:
    a, b = np.random.default_rng(0).normal(size=(2, 50))
    assert paired_difference(a, b, seed=5) == paired_difference(a, b, seed=5)
    assert paired_difference(a, b, seed=5) != paired_difference(a, b, seed=6)


def test_arrays_of_different_samples_are_refused() -> None:
    with pytest.raises(ValueError, match="same samples"):
        paired_difference(np.zeros(3), np.zeros(4))


def test_accuracy_is_that_of_scikit_learn() -> None:
    from sklearn.metrics import balanced_accuracy_score

    draw = np.random.default_rng(0)
    labels = draw.choice([0, 2, 3], 500, p=[0.8, 0.15, 0.05])
    predicted = np.where(draw.random(500) < 0.7, labels, draw.choice([0, 2, 3], 500))
    (plain, balanced), per_sample = accuracy(predicted, labels)
    assert plain.value == pytest.approx(100 * (predicted == labels).mean())
    assert plain.value == pytest.approx(per_sample.mean())
    p = (predicted == labels).mean()
    assert plain.stderr == pytest.approx(100 * (p * (1 - p) / 499) ** 0.5)
    assert balanced.value == pytest.approx(100 * balanced_accuracy_score(labels, predicted))
    assert balanced.stderr is not None
    assert plain.stderr is not None
    assert balanced.stderr > plain.stderr  # the rare classes carry a third each


def test_log_loss_is_that_of_scikit_learn() -> None:
    from sklearn.metrics import log_loss as peer

    draw = np.random.default_rng(0)
    logits, labels = draw.normal(size=(60, 3)).astype(np.float32) * 5, draw.integers(0, 3, 60)
    odds = np.exp(logits.astype(np.float64))
    assert log_loss(logits, labels).mean() == pytest.approx(peer(labels, odds / odds.sum(axis=1, keepdims=True)))
    assert np.isfinite(log_loss(np.array([[1e4, -1e4]], np.float32), np.array([1]))).all()
