from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks import retrieval
from tasks.base import Splits
from tasks.features import l2_normalized
from tasks.retrieval import Retrieval, ranked


def test_average_precision_is_that_of_scikit_learn(digit_splits: Splits) -> None:
    from sklearn.metrics import average_precision_score

    train, test = digit_splits.train, digit_splits.test
    gallery, queries = l2_normalized(train.features), l2_normalized(test.features)
    precision, first = ranked(gallery, train.labels, queries[:50], test.labels[:50])
    for i in range(50):
        relevant = train.labels == test.labels[i]
        similarity = queries[i] @ gallery.T
        assert precision[i] == pytest.approx(average_precision_score(relevant, similarity), abs=1e-6)
        assert first[i] == 1 + (similarity > similarity[relevant].max()).sum()


def test_blocks_do_not_change_the_result(digit_splits: Splits, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = Retrieval().score(digit_splits, 0)
    monkeypatch.setattr(retrieval, "BLOCK", 7 * len(digit_splits.train))
    np.testing.assert_allclose(Retrieval().score(digit_splits, 0).per_sample, whole.per_sample, rtol=1e-6)


def test_scale_and_order_do_not_matter(digit_splits: Splits) -> None:
    train = digit_splits.train
    order = np.random.default_rng(1).permutation(len(train))
    shuffled = replace(train, features=8 * train.features[order], labels=train.labels[order])
    plain, other = (Retrieval().score(splits, 0) for splits in (digit_splits, replace(digit_splits, train=shuffled)))
    np.testing.assert_allclose(other.per_sample, plain.per_sample, atol=0.05)
    assert [m.name for m in plain.metrics] == ["mAP", "R@1", "R@5", "R@10", "MRR"]
    assert all(m.value is not None and 0 < m.value <= 100 and m.stderr is not None for m in plain.metrics)


@given(st.lists(st.booleans(), min_size=1, max_size=30).filter(any))
def test_ties_count_against_the_backbone(relevant: list[bool]) -> None:
    gallery = np.ones((len(relevant), 1), np.float32)
    labels = np.array(relevant, np.int64)
    precision, first = ranked(gallery, labels, np.ones((1, 1), np.float32), np.ones(1, np.int64))
    hits, n = sum(relevant), len(relevant)
    assert first[0] == n - hits + 1
    assert precision[0] == pytest.approx(np.mean([(i + 1) / (n - hits + i + 1) for i in range(hits)]))
