"""AUROC and FPR95 against scikit-learn on random and adversarial scores, and their errors against repetition."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.scoring.resampling import bootstrap
from tasks.scoring.separation import auroc, false_positive_rate

# few different values, so that ties are everywhere
SCORES = st.lists(st.sampled_from([-1.0, 0.0, 0.25, 0.5, 1e-12, 1.0, 700.0]), min_size=1, max_size=60)


def references(inside: Any, outside: Any) -> tuple[float, float]:
    from sklearn.metrics import roc_auc_score, roc_curve

    truth, scores = np.repeat([1, 0], [len(inside), len(outside)]), np.concatenate([inside, outside])
    false, true, _ = roc_curve(truth, scores, drop_intermediate=False)
    return 100 * float(roc_auc_score(truth, scores)), 100 * float(false[np.argmax(true >= 0.95)])


def agree(inside: Any, outside: Any) -> None:
    area, rate = references(inside, outside)
    assert auroc("a", inside, outside)[0].value == pytest.approx(area, abs=1e-6)
    assert false_positive_rate("f", inside, outside, 0).value == pytest.approx(rate, abs=1e-6)


@settings(max_examples=200)
@given(SCORES, SCORES)
def test_both_are_scikit_learns_with_ties(inside: list[float], outside: list[float]) -> None:
    agree(np.array(inside), np.array(outside))


@settings(max_examples=50)
@given(st.integers(0, 10_000), st.integers(1, 400), st.integers(1, 400))
def test_both_are_scikit_learns_at_random(seed: int, m: int, n: int) -> None:
    draw = np.random.default_rng(seed)
    agree(draw.normal(size=m) + 1, draw.normal(size=n))


@pytest.mark.parametrize("count", [1, 19, 20, 21, 40, 57, 60, 100, 1000])
def test_the_threshold_is_scikit_learns_at_every_count(count: int) -> None:
    draw = np.random.default_rng(count)
    agree(draw.permutation(count).astype(float), draw.uniform(-1, count, 500))


def test_scores_that_are_all_equal_tell_nothing() -> None:
    same = np.full(30, 0.5)
    metric, inside, outside = auroc("a", same, same[:7])
    assert metric.value == 50
    assert metric.stderr == 0
    assert (np.concatenate([inside, outside]) == 50).all()
    assert false_positive_rate("f", same, same[:7], 0).value == 100
    agree(same, same[:7])


def test_perfect_and_reversed_scores() -> None:
    low, high = np.arange(40.0), np.arange(100.0, 130.0)
    assert auroc("a", high, low)[0].value == 100
    assert false_positive_rate("f", high, low, 0).value == 0
    assert auroc("a", low, high)[0].value == 0
    assert false_positive_rate("f", low, high, 0).value == 100


def test_one_image_has_no_error_of_its_own() -> None:
    metric = auroc("a", np.array([1.0]), np.array([0.0, 2.0, 0.5]))[0]
    assert metric.value == pytest.approx(200 / 3)
    assert metric.stderr is None


def test_the_errors_are_those_of_repeated_samples() -> None:
    draw = np.random.default_rng(0)

    def sample() -> tuple[Any, Any]:
        return draw.normal(size=150) + 1.2, draw.normal(size=90)

    values = np.array(
        [(auroc("a", *s)[0].value, false_positive_rate("f", *s, 0).value) for s in (sample() for _ in range(300))],
        float,
    )
    several = [sample() for _ in range(30)]
    areas = [auroc("a", *s)[0].stderr or 0 for s in several]
    rates = [false_positive_rate("f", *s, 0).stderr or 0 for s in several]
    assert np.mean(areas) == pytest.approx(values[:, 0].std(), rel=0.15)
    assert np.mean(rates) == pytest.approx(values[:, 1].std(), rel=0.25)


def test_resampled_parts_vary_as_auroc_does_alone_and_in_pairs() -> None:
    """The ranking resamples the parts of all images together; the truth is a resample of scores, within each group."""
    draw = np.random.default_rng(1)
    m, n = 300, 60
    shared = draw.normal(size=m + n)
    cells = [shared + 0.5 * draw.normal(size=m + n) + np.repeat([gain, 0], [m, n]) for gain in (1.0, 1.3)]
    parts, areas = [], []
    for scores in cells:
        metric, inside, outside = auroc("a", scores[:m], scores[m:])
        parts.append(np.concatenate([inside, outside]))
        areas.append(metric)
        assert parts[-1].mean() == pytest.approx(metric.value)
        alone = bootstrap(parts[-1], lambda sample: sample.mean(axis=1), draws=4000)
        assert alone.std() == pytest.approx(metric.stderr or 0, rel=0.06)
    difference = bootstrap(parts[1] - parts[0], lambda sample: sample.mean(axis=1), draws=4000).std()
    again = []
    for _ in range(1500):
        i, j = draw.integers(m, size=m), m + draw.integers(n, size=n)
        one, other = (auroc("a", scores[i], scores[j])[0].value or 0 for scores in cells)
        again.append(other - one)
    assert difference == pytest.approx(np.std(again), rel=0.12)
    apart = sum((area.stderr or 0) ** 2 for area in areas) ** 0.5
    assert difference < 0.8 * apart  # the pairing is worth something here
