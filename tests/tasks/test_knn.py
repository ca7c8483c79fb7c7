from __future__ import annotations

from copy import deepcopy

import numpy as np
import pytest
from batches import pooled, rows_of, score, with_features, with_labels
from hypothesis import given, settings
from hypothesis import strategies as st

from export.errors import CellError, UserError
from tasks.base import Splits
from tasks.knn import Knn
from tasks.scoring import neighbours
from tasks.scoring.features import l2_normalized
from tasks.scoring.neighbours import TEMPERATURE, kth_similarity, largest, predict, votes


def test_votes_are_those_of_scikit_learn(digit_splits: Splits) -> None:
    from sklearn.neighbors import KNeighborsClassifier

    train, test = digit_splits.train, digit_splits.test
    peer = KNeighborsClassifier(20, weights=lambda distance: np.exp((1 - distance) / 0.07), metric="cosine")
    peer.fit(train.features.astype(np.float64), train.labels)
    found = score(Knn(), digit_splits)
    expected = peer.predict(test.features.astype(np.float64)) == test.labels
    np.testing.assert_array_equal(found.per_sample, 100.0 * expected)
    assert found.main.value == pytest.approx(100 * expected.mean())


@settings(max_examples=60)
@given(st.integers(0, 10_000), st.integers(1, 20), st.booleans())
def test_the_shares_of_the_votes_are_scikit_learns(seed: int, k: int, copies: bool) -> None:
    """Copies in the gallery tie; they are of one class, so that whichever is taken the vote is the same."""
    from sklearn.neighbors import KNeighborsClassifier

    draw = np.random.default_rng(seed)
    rows, labels = draw.normal(size=(24, 5)), np.arange(24) % 4
    labels[labels == 2] = 0  # one class is missing
    if copies:
        rows, labels = np.repeat(rows, 3, axis=0), np.repeat(labels, 3)
    gallery, queries = l2_normalized(rows), l2_normalized(draw.normal(size=(30, 5)))
    peer = KNeighborsClassifier(k, weights=lambda distance: np.exp((1 - distance) / TEMPERATURE), metric="cosine")
    wanted = peer.fit(gallery.astype(np.float64), labels).predict_proba(queries.astype(np.float64))
    [given_votes] = votes(gallery, labels, queries, [k], 4)
    shares = given_votes / given_votes.sum(axis=1, keepdims=True)
    assert not shares[:, 2].any()
    np.testing.assert_allclose(shares[:, [0, 1, 3]], wanted, atol=2e-5)  # a cosine in float32, over 0.07


@pytest.mark.parametrize("k", [1, 7, 40])
def test_the_kth_similarity_is_scikit_learns(monkeypatch: pytest.MonkeyPatch, k: int) -> None:
    from sklearn.neighbors import NearestNeighbors

    draw = np.random.default_rng(k)
    gallery, queries = l2_normalized(draw.normal(size=(40, 6))), l2_normalized(draw.normal(size=(33, 6)))
    gallery[3:6] = gallery[2]
    wanted = 1 - NearestNeighbors(n_neighbors=k, metric="cosine").fit(gallery).kneighbors(queries)[0][:, -1]
    np.testing.assert_allclose(kth_similarity(gallery, queries, k), wanted, atol=1e-6)
    monkeypatch.setattr(neighbours, "BLOCK", 5 * len(gallery))
    np.testing.assert_allclose(kth_similarity(gallery, queries, k), wanted, atol=1e-6)


def test_scale_and_order_do_not_matter(digit_splits: Splits) -> None:
    plain = score(Knn(), digit_splits)
    order = np.random.default_rng(1).permutation(len(digit_splits.train))
    shuffled = rows_of(digit_splits.train, order)
    shuffled = with_features(shuffled, shuffled.features * 1000)
    test = with_features(digit_splits.test, digit_splits.test.features / np.float32(1000))
    other = score(Knn(), Splits(shuffled, digit_splits.val, test))
    np.testing.assert_array_equal(other.per_sample, plain.per_sample)


def test_every_k_of_the_sweep_is_predicted_from_its_own_neighbours(digit_splits: Splits) -> None:
    train, val = digit_splits.train, digit_splits.val
    gallery, queries = l2_normalized(train.features), l2_normalized(val.features)
    together = predict(gallery, train.labels, queries, [1, 20, 100], 10)
    for k, found in zip([1, 20, 100], together, strict=True):
        np.testing.assert_array_equal(found, predict(gallery, train.labels, queries, [k], 10)[0])


def test_a_small_gallery_caps_k_and_says_so(digit_splits: Splits) -> None:
    few = with_labels(rows_of(digit_splits.train, slice(0, 12)), np.arange(12) % 10)
    fitted = Knn().fit(few, digit_splits.val, seed=0)
    assert fitted.chosen["k"] == 12
    assert "12 images" in fitted.chosen["note"]
    assert [row["k"] for row in fitted.sweep] == [1, 5, 10, 12]
    assert Knn().judge(fitted, digit_splits.test).main.n == len(digit_splits.test)


def test_the_sweep_is_of_val_and_the_score_of_the_pinned_k(digit_splits: Splits) -> None:
    fitted = Knn().fit(digit_splits.train, digit_splits.val, seed=0)
    assert [row["k"] for row in fitted.sweep] == [1, 5, 10, 20, 50, 100]
    on_val = Knn().judge(fitted, digit_splits.val).main.value
    assert [row["val_accuracy"] for row in fitted.sweep if row["k"] == fitted.chosen["k"]] == [on_val]


def test_the_test_split_does_not_reach_the_sweep(digit_splits: Splits) -> None:
    wrong = with_labels(digit_splits.test, (digit_splits.test.labels + 1) % 10)
    fitted = Knn().fit(digit_splits.train, digit_splits.val, seed=0)
    before = deepcopy((fitted.chosen, fitted.sweep))
    plain, other = (Knn().judge(fitted, test) for test in (digit_splits.test, wrong))
    assert (fitted.chosen, fitted.sweep) == before
    assert plain.main.value != other.main.value


def test_bad_features_and_bad_data_are_refused(digit_splits: Splits) -> None:
    broken = digit_splits.val.features.copy()
    broken[3, 5] = np.nan
    with pytest.raises(CellError, match="1 of 400 val samples"):
        Knn().fit(digit_splits.train, with_features(digit_splits.val, broken), seed=0)
    one = pooled(np.ones((3, 2)), np.zeros(3), ("only",))
    with pytest.raises(UserError, match="only one class"):
        Knn().fit(one, one, seed=0)
    train, val = (rows_of(part, part.labels != 9) for part in (digit_splits.train, digit_splits.val))
    with pytest.raises(UserError, match=r"The val split(.|\n)*Without training images: 9"):
        Knn().fit(train, digit_splits.val, seed=0)
    with pytest.raises(UserError, match=r"The test split(.|\n)*Without training images: 9"):
        Knn().judge(Knn().fit(train, val, seed=0), digit_splits.test)


def test_l2_normalisation_survives_extremes() -> None:
    rows = np.array([[0, 0], [3e38, 3e38], [1e-38, 0], [3, 4]], np.float32)
    np.testing.assert_allclose(l2_normalized(rows), [[0, 0], [0.5**0.5, 0.5**0.5], [1, 0], [0.6, 0.8]], rtol=1e-6)


@given(st.integers(1, 40), st.integers(1, 1500), st.integers(0, 2**32 - 1), st.booleans())
@settings(deadline=None, max_examples=60)
def test_the_nearest_are_those_of_a_whole_sort(k: int, columns: int, seed: int, coarse: bool) -> None:
    k = min(k, columns)
    similarity = np.random.default_rng(seed).standard_normal((5, columns)).astype(np.float32)
    if coarse:
        similarity = np.round(similarity)  # ties everywhere
    close, near = largest(similarity, k)
    np.testing.assert_array_equal(close, -np.sort(-similarity, axis=1)[:, :k])
    np.testing.assert_array_equal(np.take_along_axis(similarity, near, axis=1), close)
    assert all(len(set(row.tolist())) == k for row in near)
