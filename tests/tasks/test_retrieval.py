from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from export.errors import UserError
from tasks import retrieval
from tasks.base import Splits
from tasks.catalog import TASKS, task
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


@pytest.fixture
def without_val(digit_splits: Splits) -> Splits:
    val = digit_splits.val
    return replace(digit_splits, val=replace(val, features=val.features[:0], labels=val.labels[:0]))


def test_retrieval_needs_no_val_and_what_chooses_on_val_says_so(without_val: Splits, digit_splits: Splits) -> None:
    Retrieval().check(without_val)
    np.testing.assert_array_equal(
        Retrieval().score(without_val, 0).per_sample, Retrieval().score(digit_splits, 0).per_sample
    )
    for name in TASKS:
        if name != "retrieval":
            with pytest.raises(UserError, match=r"no val split(.|\n)*serves the task retrieval"):
                task(name).check(without_val)


def test_what_cannot_be_searched_is_refused(without_val: Splits) -> None:
    test, train = without_val.test, without_val.train
    seven = train.labels == 7
    for splits, sentence in (
        (
            replace(without_val, test=replace(test, features=test.features[:0], labels=test.labels[:0])),
            "no images in the queries",
        ),
        (replace(without_val, train=replace(train, features=train.features[seven], labels=train.labels[seven])), "one"),
        (replace(without_val, train=replace(train, features=train.features[~seven], labels=train.labels[~seven])), "7"),
    ):
        with pytest.raises(UserError, match=sentence):
            Retrieval().check(splits)


@given(st.lists(st.booleans(), min_size=1, max_size=30).filter(any))
def test_ties_count_against_the_backbone(relevant: list[bool]) -> None:
    gallery = np.ones((len(relevant), 1), np.float32)
    labels = np.array(relevant, np.int64)
    precision, first = ranked(gallery, labels, np.ones((1, 1), np.float32), np.ones(1, np.int64))
    hits, n = sum(relevant), len(relevant)
    assert first[0] == n - hits + 1
    assert precision[0] == pytest.approx(np.mean([(i + 1) / (n - hits + i + 1) for i in range(hits)]))
