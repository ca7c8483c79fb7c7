"""int8 and binary features, against faiss's exact indexes over the same codes."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from batches import score
from hypothesis import given
from hypothesis import strategies as st

from tasks.base import Splits
from tasks.retrieval import Retrieval, ranked
from tasks.scoring.codes import Binary, Int8
from tasks.scoring.features import Floats, l2_normalized, on_grid
from tasks.scoring.metrics import Doubles


def unit(seed: int, rows: int, width: int) -> Floats:
    draw = np.random.default_rng(seed)
    spread = draw.random(width) ** 4  # dimensions of very different size, as features have them
    return l2_normalized((draw.standard_normal((rows, width)) * spread + 0.3 * spread).astype(np.float32))


def test_float32_is_ranked_as_by_faiss() -> None:
    faiss = pytest.importorskip("faiss")
    gallery, queries = unit(0, 500, 96), unit(1, 40, 96)
    index = faiss.IndexFlatIP(96)
    index.add(gallery)
    _, order = index.search(queries, 500)
    _assert_same_order(on_grid(queries) @ on_grid(gallery).T, order, 1e-6)


@given(st.integers(0, 99), st.sampled_from([1, 7, 64, 200]))
def test_int8_is_ranked_as_by_faiss_over_the_same_codes(seed: int, width: int) -> None:
    faiss = pytest.importorskip("faiss")
    gallery, queries = unit(seed, 120, width), unit(seed + 1000, 9, width)
    code = Int8.of(gallery)
    index = faiss.IndexScalarQuantizer(width, faiss.ScalarQuantizer.QT_8bit, faiss.METRIC_INNER_PRODUCT)
    faiss.copy_array_to_vector(code.ranges().ravel(), index.sq.trained)
    index.is_trained = True
    index.add(code.decoded(gallery))  # what lies in the middle of two codes may fall to either
    np.testing.assert_allclose(index.reconstruct_n(0, 120), code.decoded(gallery), atol=1e-6)
    _, order = index.search(code.decoded(queries), 120)
    _assert_same_order(on_grid(code.decoded(queries)) @ on_grid(code.decoded(gallery)).T, order, 1e-6)
    assert index.sa_code_size() == width


@given(st.integers(0, 99), st.sampled_from([1, 7, 64, 200]))
def test_binary_distances_are_those_of_faiss(seed: int, width: int) -> None:
    faiss = pytest.importorskip("faiss")
    gallery, queries = unit(seed, 120, width), unit(seed + 1000, 9, width)
    code = Binary.of(gallery)
    packed = code.codes(gallery)
    index = faiss.IndexBinaryFlat(8 * packed.shape[1])
    index.add(packed)
    distances, order = index.search(code.codes(queries), 120)
    similarity = on_grid(code.decoded(queries)) @ on_grid(code.decoded(gallery)).T
    s = float(np.abs(code.decoded(queries)[0, 0]))
    np.testing.assert_array_equal(
        np.take_along_axis((width - similarity / s**2) / 2, order.astype(np.int64), axis=1), distances
    )
    assert np.linalg.norm(code.decoded(queries), axis=1).max() <= 1
    assert packed.shape[1] == -(-width // 8)


def test_scales_and_means_come_from_the_gallery_alone() -> None:
    gallery, far = unit(0, 50, 16), 10 * unit(1, 5, 16)
    code = Int8.of(gallery)
    np.testing.assert_allclose(code.scales, np.abs(gallery).max(axis=0) / 127, rtol=1e-6)
    assert np.abs(code.codes(gallery)).max() == np.abs(code.codes(far)).max() == 127
    assert (np.abs(code.decoded(gallery) - gallery) <= code.scales * 0.5001).all()
    assert np.isfinite(Int8.of(np.zeros((3, 4), np.float32)).decoded(far[:, :4])).all()


def test_the_task_reports_both_with_an_error_and_the_bytes_of_a_vector(digit_splits: Splits) -> None:
    found = {metric.name: metric for metric in score(Retrieval(), digit_splits).metrics}
    train, test = digit_splits.train, digit_splits.test
    gallery, queries = l2_normalized(train.features), l2_normalized(test.features)
    for name, code, note in (
        ("mAP_int8", Int8.of(gallery), "64 bytes a vector instead of 256"),
        ("mAP_binary", Binary.of(gallery), "8 bytes a vector instead of 256"),
    ):
        wanted = ranked(code.decoded(gallery), train.labels, code.decoded(queries), test.labels).precision
        assert found[name].value == pytest.approx(100 * wanted.mean(), rel=1e-12)
        assert found[name].stderr == pytest.approx(100 * wanted.std(ddof=1) / len(wanted) ** 0.5)
        assert found[name].note == note
    plain, eight, one = (found[name].value or 0 for name in ("mAP", "mAP_int8", "mAP_binary"))
    assert abs(plain - eight) < 0.5
    assert one < plain


def _assert_same_order(similarity: Doubles, order: npt.NDArray[np.int64], tolerance: float) -> None:
    """Going down faiss's ranking, our similarities never rise, but for what float32 cannot tell apart."""
    along = np.take_along_axis(similarity, order.astype(np.int64), axis=1)
    assert (np.diff(along, axis=1) <= tolerance).all()
    assert (np.sort(order, axis=1) == np.arange(order.shape[1])).all()
