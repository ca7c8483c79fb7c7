from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
from batches import rows_of, score, with_features, with_junk
from hypothesis import given
from hypothesis import strategies as st

from export.errors import UserError
from export.torchvision_ops import import_torchvision
from tasks import retrieval
from tasks.base import Splits
from tasks.catalog import TASKS, task
from tasks.retrieval import Retrieval, ranked
from tasks.scoring.features import GRID, Floats, Indices, l2_normalized, on_grid
from tasks.scoring.metrics import Doubles


def test_average_precision_is_that_of_scikit_learn(digit_splits: Splits) -> None:
    from sklearn.metrics import average_precision_score

    train, test = digit_splits.train, digit_splits.test
    gallery, queries = l2_normalized(train.features), l2_normalized(test.features)
    precision, first, _ = ranked(gallery, train.labels, queries[:50], test.labels[:50])
    for i in range(50):
        relevant = train.labels == test.labels[i]
        similarity = queries[i] @ gallery.T
        assert precision[i] == pytest.approx(average_precision_score(relevant, similarity), abs=1e-6)
        assert first[i] == 1 + (similarity > similarity[relevant].max()).sum()


def test_blocks_do_not_change_the_result(digit_splits: Splits, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = score(Retrieval(), digit_splits)
    monkeypatch.setattr(retrieval, "BLOCK", 7 * len(digit_splits.train))
    np.testing.assert_array_equal(score(Retrieval(), digit_splits).per_sample, whole.per_sample)


def test_scale_and_order_do_not_matter(digit_splits: Splits) -> None:
    shuffled = rows_of(digit_splits.train, np.random.default_rng(1).permutation(len(digit_splits.train)))
    scaled = replace(digit_splits, train=with_features(shuffled, 8 * shuffled.features))
    plain, other = (score(Retrieval(), splits) for splits in (digit_splits, scaled))
    np.testing.assert_allclose(other.per_sample, plain.per_sample, rtol=1e-12)
    assert [m.name for m in plain.metrics] == ["mAP", "R@1", "R@5", "R@10", "MRR", "mAP_int8", "mAP_binary"]
    assert all(m.value is not None and 0 < m.value <= 100 and m.stderr is not None for m in plain.metrics)


@pytest.fixture
def without_val(digit_splits: Splits) -> Splits:
    return replace(digit_splits, val=rows_of(digit_splits.val, slice(0, 0)))


def test_retrieval_needs_no_val_and_what_chooses_on_val_says_so(without_val: Splits, digit_splits: Splits) -> None:
    without, plain = (score(Retrieval(), splits) for splits in (without_val, digit_splits))
    np.testing.assert_array_equal(without.per_sample, plain.per_sample)
    for name in TASKS:
        meta = task(name).meta
        if name != "retrieval" and (meta.kind, meta.scope) == ("labels", "closed"):
            with pytest.raises(UserError, match=r"no val split(.|\n)*is for the task retrieval"):
                task(name).fit(without_val.train, without_val.val, seed=0)


def test_what_cannot_be_searched_is_refused(without_val: Splits) -> None:
    train, val, test = without_val.train, without_val.val, without_val.test
    seven = train.labels == 7
    with pytest.raises(UserError, match="only one class"):
        Retrieval().fit(rows_of(train, seven), val, seed=0)
    with pytest.raises(UserError, match=r"gallery \(train\) has no images"):
        Retrieval().fit(rows_of(train, slice(0, 0)), val, seed=0)
    with pytest.raises(UserError, match=r"queries \(test\) have no images"):
        Retrieval().judge(Retrieval().fit(train, val, seed=0), rows_of(test, slice(0, 0)))
    with pytest.raises(UserError, match=r"not in the gallery(.|\n)*They are: 7\."):
        Retrieval().judge(Retrieval().fit(rows_of(train, ~seven), val, seed=0), test)


@given(st.lists(st.booleans(), min_size=1, max_size=30).filter(any))
def test_ties_count_against_the_backbone(relevant: list[bool]) -> None:
    gallery = np.ones((len(relevant), 1), np.float32)
    labels = np.array(relevant, np.int64)
    precision, first, _ = ranked(gallery, labels, np.ones((1, 1), np.float32), np.ones(1, np.int64))
    hits, n = sum(relevant), len(relevant)
    assert first[0] == n - hits + 1
    assert precision[0] == pytest.approx(np.mean([(i + 1) / (n - hits + i + 1) for i in range(hits)]))


def unit(seed: int, rows: int, width: int) -> Floats:
    return l2_normalized(np.random.default_rng(seed).standard_normal((rows, width)).astype(np.float32))


@st.composite
def searches(draw: st.DrawFn) -> tuple[Floats, Indices, Floats, Indices, Indices]:
    """Few directions, so that there are many ties; classes that are missing; queries to which all that is right is
    junk."""
    m, n, seed = draw(st.integers(2, 40)), draw(st.integers(1, 12)), draw(st.integers(0, 2**31))
    random = np.random.default_rng(seed)
    pool = unit(seed, draw(st.sampled_from([2, 5, 60])), 6)
    labels, asked = random.integers(0, 5, m), random.integers(0, 5, n)
    junk = np.argwhere(random.random((n, m)) < draw(st.sampled_from([0, 0.2, 0.8])))
    return pool[random.integers(len(pool), size=m)], labels, pool[random.integers(len(pool), size=n)], asked, junk


def plainly(similarity: Doubles, relevant: npt.NDArray[np.bool_], junk: npt.NDArray[np.bool_]) -> tuple[float, float]:
    """Average precision and first rank of one query, as one would write them down."""
    order = sorted(np.flatnonzero(~junk), key=lambda i: (-similarity[i], relevant[i]))
    ranks = [rank for rank, i in enumerate(order, 1) if relevant[i]]
    return (float(np.mean([(i + 1) / r for i, r in enumerate(ranks)])), ranks[0]) if ranks else (np.nan, np.nan)


@given(searches(), st.integers(1, 300))
def test_rankings_are_those_of_the_definition_with_ties_junk_and_queries_without_positives(
    search: tuple[Floats, Indices, Floats, Indices, Indices], block: int
) -> None:
    gallery, labels, queries, asked, pairs = search
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(retrieval, "BLOCK", block)
        found = ranked(gallery, labels, queries, asked, pairs)
    similarity = on_grid(queries) @ on_grid(gallery).T
    junk = np.zeros(similarity.shape, bool)
    junk[tuple(pairs.T)] = True
    for i in range(len(queries)):
        relevant = labels == asked[i]
        precision, first = plainly(similarity[i], relevant & ~junk[i], junk[i])
        wrong, _ = plainly(similarity[i], relevant & ~junk[i], np.zeros_like(junk[i]))
        np.testing.assert_allclose([found.precision[i], found.first[i], found.junk_wrong[i]], [precision, first, wrong])


def test_metrics_are_those_of_torchmetrics(digit_splits: Splits) -> None:
    import torch

    import_torchvision()  # which torchmetrics looks for
    from torchmetrics.retrieval import RetrievalHitRate, RetrievalMAP, RetrievalMRR

    train, test = digit_splits.train, digit_splits.test
    test = rows_of(test, slice(0, 80))
    junk = np.argwhere(np.random.default_rng(0).random((80, len(train))) < 0.1)
    nothing = np.argwhere(test.labels[3] == train.labels)  # all that is right for query 3 is junk
    junk = np.unique(np.concatenate([junk, np.pad(nothing, ((0, 0), (1, 0)), constant_values=3)]), axis=0)
    found = score(Retrieval(), with_junk(replace(digit_splits, test=test), junk))
    similarity = on_grid(l2_normalized(test.features)) @ on_grid(l2_normalized(train.features)).T
    relevant = test.labels[:, None] == train.labels
    kept = np.ones(similarity.shape, bool)
    kept[tuple(junk.T)] = False
    query = np.nonzero(kept)[0]
    arguments = (torch.tensor(similarity[kept]), torch.tensor(relevant[kept]), torch.tensor(query))
    peers = {"mAP": RetrievalMAP("skip"), "MRR": RetrievalMRR("skip")}
    peers |= {f"R@{k}": RetrievalHitRate("skip", top_k=k) for k in (1, 5, 10)}
    values = {metric.name: metric for metric in found.metrics}
    for name, peer in peers.items():
        assert values[name].value == pytest.approx(100 * float(peer(*arguments)), abs=1e-4), name  # it is in float32
        assert values[name].n == len(found.per_sample) == 79
        assert "without 1 queries" in values[name].note
    left = values["mAP_junk_wrong"].value
    assert left is not None
    assert values["mAP"].value is not None
    assert left < values["mAP"].value
    assert found.per_sample.mean() == values["mAP"].value


def test_queries_for_which_all_that_is_right_is_junk_are_not_all_there_is(digit_splits: Splits) -> None:
    everything = np.argwhere(np.ones((len(digit_splits.test), len(digit_splits.train)), bool))
    with pytest.raises(UserError, match="No query has a match"):
        score(Retrieval(), with_junk(digit_splits, everything))


@pytest.mark.parametrize("width", [3, 64, 1280, 2048])
def test_similarities_are_exact_in_whatever_order_they_are_added(width: int) -> None:
    rows = on_grid(np.concatenate([unit(0, 30, width), np.eye(2, width, dtype=np.float32)]))
    product = rows @ rows.T
    whole = (rows * GRID).astype(object).astype(int) if width < 100 else None
    assert (product * GRID**2 == np.rint(product * GRID**2)).all()
    np.testing.assert_array_equal(product, rows[:, ::-1] @ rows[:, ::-1].T)
    np.testing.assert_array_equal(product[0], np.array([rows[0] @ row for row in rows]))
    np.testing.assert_array_equal(product[:3], (rows[:3].astype(np.longdouble) @ rows.T.astype(np.longdouble)))
    if whole is not None:
        np.testing.assert_array_equal((product * GRID**2).astype(object), whole @ whole.T)
