"""The least cosine of a candidate, over all photographs or until it is known to be too low."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from export.lower.judging import GLANCED, Judge, cosines
from export.parity import compare
from export.spec import Precision

WIDTH, PHOTOGRAPHS = 12, 40


def scaled(factors: npt.NDArray[np.float32]) -> onnx.ModelProto:
    """x · factors, element by element."""
    graph = helper.make_graph(
        [helper.make_node("Mul", ["x", "factors"], ["features"], "mul")],
        "scaled",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", WIDTH])],
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["n", WIDTH])],
        [numpy_helper.from_array(factors, "factors")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


@pytest.fixture
def values() -> npt.NDArray[np.float32]:
    """Photographs of which one, the last but two, is nearly all in the first channel."""
    drawn = np.random.default_rng(4).normal(size=(PHOTOGRAPHS, WIDTH)).astype(np.float32)
    drawn[-3, 0] = 50
    return drawn


@pytest.fixture
def judge(values: npt.NDArray[np.float32]) -> Judge:
    return Judge(scaled(np.ones(WIDTH, np.float32)), values)


def without_first() -> onnx.ModelProto:
    factors = np.ones(WIDTH, np.float32)
    factors[0] = 0
    return scaled(factors)


def test_the_cosine_is_the_parity_gates(judge: Judge, values: npt.NDArray[np.float32]) -> None:
    found = values.copy()
    found[:, 0] = 0
    close = judge.cosine(without_first())
    assert close.photographs == PHOTOGRAPHS
    assert close.cosine_min == pytest.approx(compare(found, values, Precision.INT8).cosine_min, abs=1e-6)


def test_a_candidate_is_stopped_by_the_photograph_that_stopped_another(judge: Judge) -> None:
    whole = judge.cosine(without_first()).cosine_min
    again = judge.cosine(without_first(), floor=0.9)
    assert again.photographs < PHOTOGRAPHS / 2
    assert again.cosine_min == pytest.approx(whole)


def test_a_candidate_that_is_stopped_is_below_the_floor(values: npt.NDArray[np.float32]) -> None:
    fresh = Judge(scaled(np.ones(WIDTH, np.float32)), values)
    stopped = fresh.cosine(without_first(), floor=0.99)
    assert stopped.photographs < PHOTOGRAPHS  # no photograph's place was known before
    whole = fresh.cosine(without_first())
    assert whole.photographs == PHOTOGRAPHS
    assert whole.cosine_min <= stopped.cosine_min < 0.99


def test_the_worst_photographs_come_first_and_their_error_is_their_own(
    judge: Judge, values: npt.NDArray[np.float32]
) -> None:
    share = values[:, 0] ** 2 / (values**2).sum(axis=1)
    worst = judge.cosine(without_first()).worst
    assert worst.tolist() == np.argsort(-share).tolist()
    assert judge.error(without_first(), worst[:4]) == pytest.approx(np.sort(share)[-4:].sum(), rel=1e-5)


def test_a_glance_is_at_few_photographs(judge: Judge) -> None:
    whole = judge.cosine(without_first())
    assert judge.glance(without_first()) == pytest.approx(whole.cosine_min)  # the worst comes first by now
    assert whole.photographs > GLANCED


def test_nan_is_below_everything() -> None:
    found, wanted = np.ones((3, 4), np.float32), np.ones((3, 4), np.float32)
    found[0, 1] = np.nan
    found[1] = 0
    assert cosines(found, wanted) == pytest.approx([-1, 0, 1])
