"""The task: scores against scikit-learn and scipy doing the same, on digits of which three were never learned."""

from __future__ import annotations

from copy import deepcopy

import numpy as np
import pytest
from batches import opened, rows_of, score, with_features, with_labels

from export.errors import CellError, UserError
from tasks.base import Splits
from tasks.linear_probe import LinearProbe
from tasks.out_of_scope import K, OutOfScope, energy
from tasks.scoring.linear_classifier import logits

KNOWN = 7


@pytest.fixture(scope="module")
def open_splits(digit_splits: Splits) -> Splits:
    """Fitted on the digits 0 to 6; the test images of 7, 8 and 9 are out of scope."""
    return opened(digit_splits, KNOWN)


def test_every_score_is_the_references(open_splits: Splits) -> None:
    from scipy.special import logsumexp
    from scipy.special import softmax as peer_softmax
    from sklearn.metrics import roc_auc_score
    from sklearn.neighbors import NearestNeighbors

    train, test = open_splits.train, open_splits.test
    fitted = OutOfScope().fit(train, open_splits.val, seed=0)
    found = OutOfScope().judge(fitted, test)
    values = {m.name: m.value for m in found.metrics}
    belongs = test.labels < KNOWN
    near = NearestNeighbors(n_neighbors=K, metric="cosine").fit(train.features.astype(np.float64))
    distance = near.kneighbors(test.features.astype(np.float64))[0][:, -1]
    assert values["knn_AUROC"] == pytest.approx(100 * roc_auc_score(belongs, -distance), abs=0.01)  # float32 ties
    wide = logits(fitted, test).astype(np.float64)
    msp, free = peer_softmax(wide, axis=1).max(axis=1), logsumexp(wide, axis=1)
    assert values["linear_msp_AUROC"] == pytest.approx(100 * roc_auc_score(belongs, msp), abs=1e-6)
    assert values["linear_energy_AUROC"] == pytest.approx(100 * roc_auc_score(belongs, free), abs=1e-6)
    assert all(50 < (values[f"{probe}_AUROC"] or 0) <= 100 for probe in ("knn", "linear_msp", "linear_energy"))
    assert all(m.stderr for m in found.metrics)
    assert found.main.name == OutOfScope.meta.main_metric
    assert len(found.per_sample) == len(test)
    assert found.per_sample.mean() == pytest.approx(found.main.value, abs=1e-9)


def test_the_classifier_is_the_linear_probes(open_splits: Splits) -> None:
    train, val, test = open_splits.train, open_splits.val, open_splits.test
    probe, own = LinearProbe().fit(train, val, seed=0), OutOfScope().fit(train, val, seed=0)
    assert OutOfScope.meta.fitted_as == LinearProbe.meta.fitted_as
    assert own.sweep == probe.sweep
    assert own.chosen == probe.chosen
    assert OutOfScope().judge(probe, test).metrics == OutOfScope().judge(own, test).metrics
    closed = rows_of(test, test.labels < KNOWN)
    assert LinearProbe().judge(own, closed).metrics == LinearProbe().judge(probe, closed).metrics


def test_what_is_out_of_scope_reaches_no_choice(open_splits: Splits) -> None:
    other = open_splits.test.features.copy()
    other[open_splits.test.labels == KNOWN] += 50
    fitted = OutOfScope().fit(open_splits.train, open_splits.val, seed=0)
    before = deepcopy((fitted.chosen, fitted.sweep, dict(fitted.arrays)))
    one, two = (OutOfScope().judge(fitted, t) for t in (open_splits.test, with_features(open_splits.test, other)))
    np.testing.assert_equal((fitted.chosen, fitted.sweep, dict(fitted.arrays)), before)
    assert one.main.value != two.main.value


def test_energy_is_exact_where_exponentials_overflow() -> None:
    from scipy.special import logsumexp

    rows = np.array([[1e4, 1e4, 0], [-1e4, -1e4, -1e4], [0, 1, 2]], np.float32)
    np.testing.assert_allclose(energy(rows), logsumexp(rows.astype(np.float64), axis=1), rtol=1e-12)


def test_a_small_gallery_caps_k_and_says_so(open_splits: Splits) -> None:
    train = open_splits.train
    first = np.array([np.flatnonzero(train.labels == label)[0] for label in range(KNOWN)])
    found = score(OutOfScope(), Splits(rows_of(train, first), open_splits.val, open_splits.test))
    notes = {metric.name: metric.note for metric in found.metrics if metric.note}
    assert set(notes) == {"knn_AUROC", "knn_FPR95"}
    assert "k = 10 was asked; the gallery has 7 images" in notes["knn_AUROC"]


def test_features_that_are_all_alike_tell_nothing(open_splits: Splits) -> None:
    parts = (open_splits.train, open_splits.val, open_splits.test)
    train, val, test = (with_features(part, np.ones_like(part.features)) for part in parts)
    found = {m.name: m.value for m in score(OutOfScope(), Splits(train, val, test)).metrics}
    assert {value for name, value in found.items() if name.endswith("AUROC")} == {50.0}
    assert {value for name, value in found.items() if name.endswith("FPR95")} == {100.0}


def test_what_cannot_be_scored_gets_a_sentence(digit_splits: Splits, open_splits: Splits) -> None:
    train, val, test = open_splits.train, open_splits.val, open_splits.test
    fitted = OutOfScope().fit(train, val, seed=0)
    with pytest.raises(UserError, match="The data set has no out-of-scope images"):
        OutOfScope().judge(fitted, digit_splits.test)
    for label, message in ((KNOWN, "The test split is empty"), (0, "test split has no out-of-scope images")):
        with pytest.raises(UserError, match=message):
            OutOfScope().judge(fitted, with_labels(test, np.full_like(test.labels, label)))
    broken = test.features.copy()
    broken[0, 0] = np.nan
    with pytest.raises(CellError, match="1 of 497 test"):
        OutOfScope().judge(fitted, with_features(test, broken))
    few_train, few_val = (rows_of(part, part.labels != 6) for part in (train, val))
    with pytest.raises(UserError, match="Without training images: 6"):
        OutOfScope().judge(OutOfScope().fit(few_train, few_val, seed=0), test)
    broken = train.features.copy()
    broken[0, 0] = np.inf
    with pytest.raises(CellError, match=f"1 of {len(train)} train"):
        OutOfScope().fit(with_features(train, broken), val, seed=0)
    with pytest.raises(UserError, match="no val split"):
        OutOfScope().fit(train, rows_of(val, slice(0, 0)), seed=0)
