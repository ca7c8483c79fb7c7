"""The task: scores against scikit-learn and scipy doing the same, on digits of which three were never learned."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from export.errors import CellError, UserError
from tasks.base import FeatureSet, Splits
from tasks.data.base import OUTSIDE
from tasks.linear_probe import LinearProbe
from tasks.out_of_scope import K, OutOfScope, energy
from tasks.scoring.linear_classifier import choose

KNOWN = 7


@pytest.fixture(scope="module")
def open_splits(digit_splits: Splits) -> Splits:
    """Fitted on the digits 0 to 6; the test images of 7, 8 and 9 are out of scope."""
    classes = (*(str(i) for i in range(KNOWN)), OUTSIDE)

    def known(part: FeatureSet) -> FeatureSet:
        rows = part.labels < KNOWN
        return FeatureSet(part.features[rows], part.labels[rows], classes)

    test = digit_splits.test
    return Splits(
        known(digit_splits.train),
        known(digit_splits.val),
        FeatureSet(test.features, np.minimum(test.labels, KNOWN), classes),
    )


def test_every_score_is_the_references(open_splits: Splits) -> None:
    from scipy.special import logsumexp
    from scipy.special import softmax as peer_softmax
    from sklearn.metrics import roc_auc_score
    from sklearn.neighbors import NearestNeighbors

    train, test = open_splits.train, open_splits.test
    found = OutOfScope().score(open_splits, 0)
    values = {m.name: m.value for m in found.metrics}
    belongs = test.labels < KNOWN
    near = NearestNeighbors(n_neighbors=K, metric="cosine").fit(train.features.astype(np.float64))
    distance = near.kneighbors(test.features.astype(np.float64))[0][:, -1]
    assert values["knn_AUROC"] == pytest.approx(100 * roc_auc_score(belongs, -distance), abs=0.01)  # float32 ties
    logits = choose(open_splits).logits.astype(np.float64)
    msp, free = peer_softmax(logits, axis=1).max(axis=1), logsumexp(logits, axis=1)
    assert values["linear_msp_AUROC"] == pytest.approx(100 * roc_auc_score(belongs, msp), abs=1e-6)
    assert values["linear_energy_AUROC"] == pytest.approx(100 * roc_auc_score(belongs, free), abs=1e-6)
    assert all(50 < (values[f"{probe}_AUROC"] or 0) <= 100 for probe in ("knn", "linear_msp", "linear_energy"))
    assert all(m.stderr for m in found.metrics)
    assert found.main.name == OutOfScope.meta.main_metric
    assert len(found.per_sample) == len(test)
    assert found.per_sample.mean() == pytest.approx(found.main.value, abs=1e-9)


def test_the_classifier_is_the_linear_probes(open_splits: Splits) -> None:
    test = open_splits.test
    rows = test.labels < KNOWN
    closed = replace(open_splits, test=replace(test, features=test.features[rows], labels=test.labels[rows]))
    probe, found = LinearProbe().score(closed, 0), OutOfScope().score(open_splits, 0)
    assert found.sweep == probe.sweep
    assert found.chosen["linear"] == probe.chosen


def test_what_is_out_of_scope_reaches_no_choice(open_splits: Splits) -> None:
    other = open_splits.test.features.copy()
    other[open_splits.test.labels == KNOWN] += 50
    moved = replace(open_splits, test=replace(open_splits.test, features=other))
    one, two = (OutOfScope().score(splits, 0) for splits in (open_splits, moved))
    assert one.chosen == two.chosen
    assert one.sweep == two.sweep
    assert one.main.value != two.main.value


def test_energy_is_exact_where_exponentials_overflow() -> None:
    from scipy.special import logsumexp

    rows = np.array([[1e4, 1e4, 0], [-1e4, -1e4, -1e4], [0, 1, 2]], np.float32)
    np.testing.assert_allclose(energy(rows), logsumexp(rows.astype(np.float64), axis=1), rtol=1e-12)


def test_a_small_gallery_caps_k_and_says_so(open_splits: Splits) -> None:
    train = open_splits.train
    first = np.array([np.flatnonzero(train.labels == label)[0] for label in range(KNOWN)])
    few = replace(train, features=train.features[first], labels=train.labels[first])
    found = OutOfScope().score(replace(open_splits, train=few), 0)
    assert found.chosen["k"] == KNOWN
    assert "7 images" in found.chosen["note"]


def test_features_that_are_all_alike_tell_nothing(open_splits: Splits) -> None:
    parts = (open_splits.train, open_splits.val, open_splits.test)
    train, val, test = (replace(part, features=np.ones_like(part.features)) for part in parts)
    alike = Splits(train, val, test)
    found = {m.name: m.value for m in OutOfScope().score(alike, 0).metrics}
    assert {value for name, value in found.items() if name.endswith("AUROC")} == {50.0}
    assert {value for name, value in found.items() if name.endswith("FPR95")} == {100.0}


def test_what_cannot_be_scored_gets_a_sentence(digit_splits: Splits, open_splits: Splits) -> None:
    OutOfScope().check(open_splits)
    with pytest.raises(UserError, match="no images out of scope"):
        OutOfScope().check(digit_splits)
    test = open_splits.test
    for label, message in ((KNOWN, "The test split is empty"), (0, "test split has no images out of scope")):
        of_one = replace(test, labels=np.full_like(test.labels, label))
        with pytest.raises(UserError, match=message):
            OutOfScope().check(replace(open_splits, test=of_one))
    broken = test.features.copy()
    broken[0, 0] = np.nan
    with pytest.raises(CellError, match="1 of 497 test"):
        OutOfScope().score(replace(open_splits, test=replace(test, features=broken)), 0)
