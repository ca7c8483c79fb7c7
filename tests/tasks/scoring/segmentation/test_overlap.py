from __future__ import annotations

import numpy as np
import pytest
from scenes import mask
from sklearn.metrics import confusion_matrix

from export.errors import UserError
from tasks.base import Score
from tasks.data.targets import VOID, Mask
from tasks.scoring.segmentation.overlap import Overlaps, agreement

NAMES = ("a", "b", "c", "d", "e")


def scored(truths: list[Mask], guesses: list[Mask], seed: int = 0) -> Score:
    counts = np.stack([agreement(t, g, len(NAMES)) for t, g in zip(truths, guesses, strict=True)])
    return Overlaps.of(counts).score(NAMES, seed)


def reference(truths: list[Mask], guesses: list[Mask]) -> tuple[float, float, float, dict[str, float]]:
    """From scikit-learn's confusion matrix of all labelled pixels."""
    truth, guess = (np.concatenate([part.ravel() for part in parts]) for parts in (truths, guesses))
    matrix = confusion_matrix(truth[truth >= 0], guess[truth >= 0], labels=range(len(NAMES)))
    right, true, found = matrix.diagonal(), matrix.sum(axis=1), matrix.sum(axis=0)
    ious = {n: 100 * r / (t + f - r) for n, r, t, f in zip(NAMES, right, true, found, strict=True) if t}
    recalls = [100 * r / t for r, t in zip(right, true, strict=True) if t]
    return float(np.mean(list(ious.values()))), 100 * right.sum() / matrix.sum(), float(np.mean(recalls)), ious


def pictures(count: int, seed: int, classes: int = 5, wrong: float = 0.3) -> tuple[list[Mask], list[Mask]]:
    generator, truths, guesses = np.random.default_rng(seed), [], []
    for _ in range(count):
        truth = mask(generator, int(generator.integers(1, 30)), int(generator.integers(1, 30)), classes)
        noise = generator.integers(0, 5, truth.shape).astype(np.int16)
        keep = generator.random(truth.shape) > wrong * generator.random()
        truths.append(truth)
        guesses.append(np.where(keep & (truth >= 0), truth, noise).astype(np.int16))
    return truths, guesses


def adversarial() -> dict[str, tuple[list[Mask], list[Mask]]]:
    truths, guesses = pictures(6, 1, classes=3)  # d and e are predicted only
    void = np.full((4, 5), VOID, np.int16)
    line, one = np.array([[0, 1, 1, VOID]], np.int16), np.full((6, 6), 2, np.int16)
    return {
        "random": pictures(12, 0),
        "classes that are predicted only": (truths, guesses),
        "a void picture among others": ([*truths, void], [*guesses, np.zeros((4, 5), np.int16)]),
        "one picture": (truths[:1], guesses[:1]),
        "one class, all right": ([one], [one]),
        "one class, all wrong": ([one], [np.zeros_like(one)]),
        "one row": ([line], [np.array([[0, 0, 1, 4]], np.int16)]),
    }


@pytest.mark.parametrize("name", adversarial())
def test_metrics_are_those_of_the_confusion_matrix(name: str) -> None:
    truths, guesses = adversarial()[name]
    score = scored(truths, guesses)
    mean_iou, accuracy, recall, ious = reference(truths, guesses)
    assert [m.name for m in score.metrics] == ["mIoU", "pixel_accuracy", "mean_class_accuracy"]
    assert [m.value for m in score.metrics] == pytest.approx([mean_iou, accuracy, recall], abs=1e-9)
    assert {row["class"]: row["iou"] for row in score.by_class if row["n_pixels"]} == pytest.approx(ious, abs=1e-9)
    assert {row["iou"] for row in score.by_class if not row["n_pixels"]} <= {None}
    assert [row["n_images"] for row in score.by_class] == [sum((t == c).any() for t in truths) for c in range(5)]
    assert score.per_sample.mean() == pytest.approx(mean_iou, abs=1e-9)
    assert len(score.per_sample) == len(truths)
    assert score.main.n == len(truths)
    assert (score.main.stderr is None) == (len(truths) == 1)


def test_pixels_of_a_class_that_is_only_predicted_count_as_missed() -> None:
    truth, guess = np.zeros((2, 2), np.int16), np.array([[0, 0], [0, 3]], np.int16)
    assert scored([truth], [guess]).main.value == 75


def test_pictures_in_windows_score_as_whole_ones() -> None:
    truths, guesses = pictures(12, 5)
    whole = scored(truths, guesses)
    rows = [np.array_split(np.stack([t, g]), 3, axis=2) for t, g in zip(truths, guesses, strict=True)]
    counts = [agreement(part[0], part[1], len(NAMES)) for parts in rows for part in parts]
    order = np.random.default_rng(0).permutation(36)
    found = Overlaps.of(np.stack(counts)[order], np.repeat(np.arange(12), 3)[order]).score(NAMES, 0)
    assert found.metrics == whole.metrics
    assert found.by_class == whole.by_class
    np.testing.assert_array_equal(found.per_sample, whole.per_sample)


def test_pseudo_values_vary_as_the_bootstrap_does() -> None:
    truths, guesses = pictures(80, 3)
    score = scored(truths, guesses)
    assert score.main.stderr is not None
    means = np.random.default_rng(0).choice(score.per_sample, (2000, 80)).mean(axis=1)
    assert means.std() == pytest.approx(score.main.stderr, rel=0.1)
    own = [
        reference([truths[i] for i in drawn], [guesses[i] for i in drawn])[0]
        for drawn in np.random.default_rng(1).integers(80, size=(80, 80))
    ]
    assert np.std(own) == pytest.approx(score.main.stderr, rel=0.25)


def test_a_pseudo_value_says_how_the_mean_iou_changes_with_a_picture() -> None:
    truths, guesses = pictures(60, 4)
    value, pseudo = scored(truths, guesses).main.value, scored(truths, guesses).per_sample
    assert value is not None
    without = [reference(truths[:i] + truths[i + 1 :], guesses[:i] + guesses[i + 1 :])[0] for i in range(60)]
    jackknife = value + 59 * (value - np.array(without))
    assert np.corrcoef(jackknife, pseudo)[0, 1] > 0.99


def test_resamples_of_void_pictures_alone_are_left_out() -> None:
    truth, void = np.array([[0, 1]], np.int16), np.array([[VOID, VOID]], np.int16)
    score = scored([truth, void], [truth, truth])
    assert score.main.value == 100
    assert score.main.stderr == 0
    with pytest.raises(UserError, match="test split have no labelled pixel"):
        scored([void], [truth])


def test_the_seed_moves_the_error_only() -> None:
    truths, guesses = pictures(12, 0)
    one, other = scored(truths, guesses, 0), scored(truths, guesses, 1)
    assert one.metrics == scored(truths, guesses, 0).metrics
    assert one.main.value == other.main.value
    assert one.main.stderr != other.main.stderr
