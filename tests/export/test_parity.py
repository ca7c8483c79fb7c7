from __future__ import annotations

from dataclasses import asdict
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from export.parity import TOLERANCE, Parity, compare, compare_outputs, worst
from export.spec import Precision

NUMBERS = st.floats(-(2.0**99), 2.0**99, width=32)
ROWS = arrays(np.float32, st.tuples(st.integers(1, 4), st.integers(1, 6)), elements=NUMBERS)


def drawn(seed: int = 0, shape: tuple[int, ...] = (6, 3, 4)) -> npt.NDArray[np.float32]:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def test_the_numbers_are_those_of_the_definition() -> None:
    wanted = drawn()
    found = wanted + 0.01 * drawn(1)
    a, b = found.reshape(6, -1).astype(np.float64), wanted.reshape(6, -1).astype(np.float64)
    cosine = (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
    result = compare(found, wanted, Precision.INT8, "tokens")
    assert (result.output, result.images, result.nonfinite) == ("tokens", 6, 0)
    assert result.cosine_min == pytest.approx(cosine.min())
    assert result.cosine_mean == pytest.approx(cosine.mean())
    assert result.relative_error == pytest.approx(np.abs(a - b).max() / np.abs(b).max())
    assert (result.cosine_bound, result.error_bound) == TOLERANCE[Precision.INT8]
    assert result.passed


@given(ROWS, st.sampled_from(list(Precision)))
def test_the_same_array_passes_unless_a_row_is_empty(rows: npt.NDArray[np.float32], precision: Precision) -> None:
    result = compare(rows, rows, precision)
    assert result.relative_error == 0
    assert result.passed == bool((np.linalg.norm(rows.astype(np.float64), axis=1) > 0).all())


@given(ROWS, st.sampled_from([np.nan, np.inf, -np.inf]), st.booleans())
def test_a_value_that_is_not_finite_fails_on_either_side(
    rows: npt.NDArray[np.float32], value: float, reference: bool
) -> None:
    broken = rows.copy()
    broken[-1, -1] = value
    found, wanted = (rows, broken) if reference else (broken, rows)
    result = compare(found, wanted, Precision.INT8)
    assert (result.nonfinite, result.passed) == (1, False)
    assert np.isfinite([result.cosine_min, result.cosine_mean, result.relative_error]).all()


def test_each_bound_decides() -> None:
    wanted = drawn()
    assert not compare(wanted * np.float32(1.01), wanted, Precision.FP32).passed  # its direction is right
    turned = wanted.copy()
    turned[2] = -turned[2]
    result = compare(turned, wanted, Precision.INT8)
    assert result.cosine_min == pytest.approx(-1)
    assert not result.passed


def test_one_bad_output_decides_and_is_named() -> None:
    wanted = {"features": drawn(0, (4, 8)), "map_s8": drawn(1, (4, 2, 3, 3)), "map_s16": drawn(2, (4, 2, 2, 2))}
    noisy = {name: array * np.float32(1.0001) for name, array in wanted.items()}
    assert compare_outputs(noisy, wanted, Precision.FP32).passed
    for name in wanted:
        result = compare_outputs({**noisy, name: wanted[name][::-1]}, wanted, Precision.FP32)
        assert (result.output, result.passed) == (name, False)


def test_one_that_failed_is_worse_than_any_that_passed() -> None:
    wanted = drawn()
    loose = compare(wanted + 0.05 * drawn(1), wanted, Precision.INT8, "loose")
    scaled = compare(wanted * np.float32(1.5), wanted, Precision.INT8, "scaled")
    assert loose.passed
    assert loose.cosine_min < scaled.cosine_min
    assert worst([loose, scaled]).output == "scaled"


@pytest.mark.parametrize(
    ("found", "wanted"),
    [
        ({"a": drawn()}, {"a": drawn(), "b": drawn()}),
        ({"a": drawn(), "b": drawn()}, {"a": drawn()}),
        ({"a": drawn()}, {"b": drawn()}),
        ({"a": drawn()}, {"a": drawn(0, (6, 3, 5))}),
        ({"a": drawn(0, (0, 3))}, {"a": drawn(0, (0, 3))}),
        ({}, {}),
    ],
)
def test_what_cannot_be_compared_is_an_error(found: dict[str, Any], wanted: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="compare"):
        compare_outputs(found, wanted, Precision.FP32)


@given(ROWS, st.floats(0, 2, width=32))
def test_parity_survives_json(rows: npt.NDArray[np.float32], factor: float) -> None:
    result = compare(rows * np.float32(factor), rows, Precision.BF16)
    assert msgspec.json.decode(msgspec.json.encode(result), type=Parity) == result
    assert msgspec.convert(asdict(result), Parity) == result
