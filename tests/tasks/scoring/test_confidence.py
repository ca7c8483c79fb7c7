"""Calibration and selective prediction, against torchmetrics and scikit-learn, on random and adversarial inputs."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import numpy as np
import pytest
from batches import score
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from export.spec import Metric
from tasks.base import Splits
from tasks.knn import Knn
from tasks.linear_probe import LinearProbe
from tasks.scoring.confidence import COVERAGES, accuracy_at_coverage, confidence_metrics, expected_calibration_error
from tasks.scoring.resampling import bootstrap_weights


def drawn(seed: int, n: int, classes: int, sharp: float) -> tuple[Any, Any]:
    """Probabilities and labels; the sharper, the more ties at 0 and 1."""
    draw = np.random.default_rng(seed)
    logits = np.round(sharp * draw.normal(size=(n, classes)), 1)
    probabilities = np.exp(logits - logits.max(axis=1, keepdims=True))
    return probabilities / probabilities.sum(axis=1, keepdims=True), draw.integers(classes, size=n)


def by_name(found: list[Metric]) -> dict[str, Metric]:
    return {metric.name: metric for metric in found}


@settings(max_examples=60)
@given(st.integers(0, 1000), st.integers(2, 300), st.integers(2, 8), st.sampled_from([0.0, 1.0, 5.0]))
def test_every_metric_is_the_references(torchmetrics: None, seed: int, n: int, classes: int, sharp: float) -> None:
    import torch
    from sklearn.metrics import log_loss
    from torchmetrics.functional.classification import multiclass_calibration_error

    probabilities, labels = drawn(seed, n, classes, sharp)
    # in torchmetrics' float32 a confidence of 1 has a bin of its own, and one near a border may lie across it
    assume(probabilities.max() < 1 - 1e-7)
    at = 15 * probabilities.max(axis=1)
    assume(np.abs(at - at.round())[at > 1].min(initial=1) > 1e-5)
    found = by_name(confidence_metrics(probabilities, labels, 0))
    wanted = multiclass_calibration_error(
        torch.from_numpy(probabilities), torch.from_numpy(labels), num_classes=classes, n_bins=15, norm="l1"
    )
    assert found["ECE"].value == pytest.approx(100 * float(wanted), abs=1e-4)
    assert found["log_loss"].value == pytest.approx(log_loss(labels, probabilities, labels=range(classes)), abs=1e-6)
    brier = ((probabilities - np.eye(classes)[labels]) ** 2).sum(axis=1).mean()
    assert found["Brier"].value == pytest.approx(brier, abs=1e-9)
    assert 0 <= (found["ECE"].value or 0) <= 100


def test_the_classes_that_have_no_image_count_as_in_the_references(torchmetrics: None) -> None:
    import torch
    from sklearn.metrics import log_loss
    from torchmetrics.functional.classification import multiclass_calibration_error

    probabilities, _ = drawn(3, 120, 4, 1.0)
    for labels in (np.full(120, 2), np.arange(120) % 2, np.repeat([0, 3], 60)):
        found = by_name(confidence_metrics(probabilities, labels, 0))
        wanted = multiclass_calibration_error(
            torch.from_numpy(probabilities), torch.from_numpy(labels), num_classes=4, n_bins=15, norm="l1"
        )
        assert found["ECE"].value == pytest.approx(100 * float(wanted), abs=1e-4)
        assert found["log_loss"].value == pytest.approx(log_loss(labels, probabilities, labels=range(4)), abs=1e-6)


def test_brier_is_scikit_learns() -> None:
    """Its score of two classes counts one of them; ours, Brier's own, both."""
    from sklearn.metrics import brier_score_loss

    for seed in range(20):
        probabilities, labels = drawn(seed, 90, 2, 2.0)
        found = by_name(confidence_metrics(probabilities, labels, 0))
        peer = brier_score_loss(labels, probabilities[:, 1], pos_label=1)
        assert found["Brier"].value == pytest.approx(2 * peer, abs=1e-6)


@settings(max_examples=60)
@given(st.integers(0, 1000), st.integers(1, 200))
def test_coverage_without_ties_is_scikit_learns_accuracy_of_the_surest(seed: int, n: int) -> None:
    from sklearn.metrics import accuracy_score

    draw = np.random.default_rng(seed)
    confidence = draw.permutation(n) / n
    right = draw.integers(2, size=n).astype(float)
    for coverage in COVERAGES:
        surest = np.argsort(-confidence)[: max(1, int(np.ceil(n * coverage / 100)))]
        wanted = 100 * accuracy_score(np.ones(len(surest)), right[surest])
        assert accuracy_at_coverage(confidence, right, coverage).value == pytest.approx(wanted, abs=1e-6)


@settings(max_examples=40)
@given(st.lists(st.tuples(st.sampled_from([0.5, 0.9]), st.booleans()), min_size=1, max_size=6))
def test_coverage_with_ties_is_the_mean_over_every_order_of_them(rows: list[tuple[float, bool]]) -> None:
    confidence, right = (np.array(column, float) for column in zip(*rows, strict=True))
    orders = [np.array(order) for order in permutations(range(len(rows)))]
    for coverage in COVERAGES:
        kept = max(1, int(np.ceil(len(rows) * coverage / 100)))
        chosen = [right[o][np.argsort(-confidence[o], kind="stable")[:kept]].mean() for o in orders]
        found = accuracy_at_coverage(confidence, right, coverage)
        assert found.value == pytest.approx(100 * np.mean(chosen), abs=1e-6)


def test_a_perfect_and_a_wrong_probe() -> None:
    labels = np.array([0, 1, 2, 0])
    perfect = by_name(confidence_metrics(np.eye(3)[labels], labels, 0))
    assert [perfect[name].value for name in ("ECE", "Brier", "log_loss")] == [0, 0, 0]
    wrong = by_name(confidence_metrics(np.eye(3)[(labels + 1) % 3], labels, 0))
    assert wrong["ECE"].value == 100
    assert wrong["Brier"].value == 2
    assert wrong["log_loss"].value is None
    assert "4 test images" in wrong["log_loss"].note


def test_borders_of_bins_belong_to_the_lower_one() -> None:
    at_border, within = np.array([1 / 15, 1 / 15 - 1e-9]), np.array([1.0, 0.0])
    # the two share a bin, so their errors cancel; apart they would add up
    assert expected_calibration_error(at_border, within, 0).value == pytest.approx(100 * (0.5 - 1 / 15), abs=1e-6)


def test_the_standard_error_of_ece_is_that_of_repeated_samples() -> None:
    draw = np.random.default_rng(0)

    def sample(n: int) -> tuple[Any, Any]:
        confidence = draw.uniform(0.5, 1, n)
        return confidence, (draw.random(n) < confidence - 0.1).astype(float)

    values = [expected_calibration_error(*sample(800), seed=0).value or 0 for _ in range(200)]
    told = [expected_calibration_error(*sample(800), seed=0).stderr or 0 for _ in range(20)]
    assert np.mean(told) == pytest.approx(np.std(values), rel=0.25)


@settings(max_examples=100)
@given(
    st.lists(st.tuples(st.sampled_from([0.2, 0.5, 0.9]), st.booleans()), min_size=1, max_size=30), st.integers(0, 99)
)
def test_coverage_does_not_depend_on_the_order_of_ties(rows: list[tuple[float, bool]], seed: int) -> None:
    confidence, right = (np.array(column, float) for column in zip(*rows, strict=True))
    order = np.random.default_rng(seed).permutation(len(rows))
    for coverage in COVERAGES:
        one = accuracy_at_coverage(confidence, right, coverage)
        assert one.value == pytest.approx(accuracy_at_coverage(confidence[order], right[order], coverage).value)


def test_full_coverage_is_accuracy_and_confidence_helps() -> None:
    draw = np.random.default_rng(1)
    confidence = draw.random(5000)
    right = (draw.random(5000) < confidence).astype(float)
    assert accuracy_at_coverage(confidence, right, 100).value == pytest.approx(100 * right.mean())
    values = [accuracy_at_coverage(confidence, right, coverage).value or 0 for coverage in (10, 50, 90)]
    assert values == sorted(values, reverse=True)


def test_probes_report_them(digit_splits: Splits) -> None:
    for task in (Knn(), LinearProbe()):
        found = by_name(list(score(task, digit_splits).metrics))
        assert {"ECE", "Brier", "log_loss", "accuracy_at_90_coverage"} <= set(found)
        assert next(iter(found)) == "accuracy"
        assert (found["accuracy_at_50_coverage"].value or 0) > (found["accuracy"].value or 0)


def test_weights_are_resamples() -> None:
    weights = np.concatenate(list(bootstrap_weights(50, seed=3, draws=400)))
    assert weights.shape == (400, 50)
    assert (weights.sum(axis=1) == 50).all()
    assert weights.var() == pytest.approx(0.98, abs=0.05)  # multinomial: 1 − 1/n
