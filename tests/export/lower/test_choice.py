"""The order in which nodes are kept in fp32, and that candidates which are stopped early would not have won."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

import numpy as np
import numpy.typing as npt
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from export.lower.activations import features, histograms
from export.lower.choice import CLEARLY, SAFE_BITS, QuantizedChoice, choose, worst_first
from export.lower.quantization import CALIBRATORS, activations, quantized
from export.parity import TOLERANCE, compare
from export.spec import Precision


@given(st.lists(st.integers(0, 10_000), min_size=1, max_size=60, unique=True))
def test_where_harm_adds_up_the_order_is_that_of_the_harm(harms: list[int]) -> None:
    of = {f"n{i}": harm for i, harm in enumerate(harms)}
    order = list(worst_first(list(of), lambda group: float(sum(of[n] for n in group))))
    assert order == sorted(of, key=lambda n: -of[n])


def test_few_groups_are_measured_for_the_most_harmful() -> None:
    measured: list[Sequence[str]] = []

    def harm(group: Sequence[str]) -> float:
        measured.append(group)
        return 100.0 * ("n7" in group) + 50.0 * ("n40" in group) + 0.1 * len(group)

    assert list(islice(worst_first([f"n{i}" for i in range(64)], harm), 2)) == ["n7", "n40"]
    assert len(measured) <= 24


WIDTH = 32
GOAL = 1 - (1 - TOLERANCE[Precision.INT8][0]) / 2


def two_products() -> onnx.ModelProto:
    """MatMul → Relu → MatMul."""
    draw = np.random.default_rng(0)
    constants = {"first": draw.normal(size=(WIDTH, 48)), "second": draw.normal(size=(48, 16))}
    nodes = [
        helper.make_node("MatMul", ["x", "first"], ["hidden"], "first"),
        helper.make_node("Relu", ["hidden"], ["active"], "relu"),
        helper.make_node("MatMul", ["active", "second"], ["features"], "second"),
    ]
    graph = helper.make_graph(
        nodes,
        "products",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", WIDTH])],
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["n", 16])],
        [numpy_helper.from_array(v.astype(np.float32), k) for k, v in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def drawn(freedom: int) -> npt.NDArray[np.float32]:
    """Student's t: the fewer degrees of freedom, the more outliers."""
    return np.random.default_rng(5).standard_t(freedom, size=(96, WIDTH)).astype(np.float32)


@pytest.mark.parametrize("freedom", [2, 3, 5, 50])
def test_the_winner_is_that_of_all_ways_on_all_photographs(freedom: int) -> None:
    model, values = two_products(), drawn(freedom)
    train, val = values[:32], values[32:]
    ranges, _ = histograms(model, activations(model), train)
    least = {
        (name, bits): compare(
            features(
                quantized(
                    model, {t: calibrator(h) for t, h in ranges.items()}, Precision.INT8, half_range=bits == SAFE_BITS
                ),
                val,
            ),
            features(model, val),
            Precision.INT8,
        ).cosine_min
        for name, calibrator in CALIBRATORS.items()
        for bits in (SAFE_BITS, 8)
    }
    chosen = choose(model, Precision.INT8, train, val, lambda line: None).choice
    assert isinstance(chosen, QuantizedChoice)
    assert {way.calibrator for way in chosen.tried} == set(CALIBRATORS)
    for way in chosen.tried:  # one that was stopped early is no better than it seemed
        if not chosen.kept_fp32:
            assert way.cosine_min >= least[way.calibrator, way.weight_bits] - 1e-6
    searched = SAFE_BITS if max(least[name, SAFE_BITS] for name in CALIBRATORS) >= GOAL else 8
    best = max(least[name, searched] for name in CALIBRATORS)
    assert 1 - least[chosen.calibrator, searched] <= (1 - best) / (1 - CLEARLY) + 1e-6
    if not chosen.kept_fp32:
        assert chosen.cosine_min == pytest.approx(least[chosen.calibrator, chosen.weight_bits], abs=1e-6)
    assert chosen.photographs == len(val)


def test_ways_that_cannot_win_are_not_run_on_all_photographs() -> None:
    values = drawn(2)
    chosen = choose(two_products(), Precision.INT8, values[:32], values[32:], lambda line: None).choice
    assert isinstance(chosen, QuantizedChoice)
    assert min(way.photographs for way in chosen.tried) < 64
