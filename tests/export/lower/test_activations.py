"""Histograms of channels that are divided afterwards, and the largest magnitudes of many tensors."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper

from export.lower.activations import BINS, ChannelHistogram, Histogram, histograms, peaks, watch

CHANNELS = 6
BATCHES = st.lists(
    st.lists(st.lists(st.floats(-1e4, 1e4, width=32), min_size=CHANNELS, max_size=CHANNELS), min_size=1, max_size=8),
    min_size=1,
    max_size=4,
).map(lambda batches: [np.array(b, np.float32) for b in batches])
SCALES = st.lists(st.floats(0.0625, 16, width=32), min_size=CHANNELS, max_size=CHANNELS).map(
    lambda s: np.array(s, np.float32)
)


@given(BATCHES, SCALES)
def test_dividing_the_channels_afterwards_is_dividing_them_before(
    batches: list[npt.NDArray[np.float32]], scale: npt.NDArray[np.float32]
) -> None:
    counted, before = ChannelHistogram(CHANNELS), Histogram()
    for batch in batches:
        counted.add(batch)
    before.add(np.concatenate(batches) / scale)
    after = counted.divided(scale)
    np.testing.assert_array_equal(counted.peaks, np.abs(np.concatenate(batches)).max(axis=0))
    assert after.peak == pytest.approx(before.peak, rel=1e-6)
    assert after.counts.sum() == before.counts.sum()
    if after.top:
        largest = max(after.top, before.top)
        width = largest / 256 + 2 * largest / BINS  # a channel's bins are 512, and half as many after a range doubled
        distances = np.abs(after.centers.repeat(after.counts) - before.centers.repeat(before.counts))
        assert distances.max() <= width


def relu_of_doubled() -> onnx.ModelProto:
    nodes = [
        helper.make_node("Add", ["x", "x"], ["doubled"], "add"),
        helper.make_node("Neg", ["doubled"], ["negative"], "neg"),
        helper.make_node("Relu", ["negative"], ["features"], "relu"),
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", CHANNELS])],
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["n", CHANNELS])],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def test_peaks_are_the_tensors_own() -> None:
    model, values = relu_of_doubled(), np.random.default_rng(3).normal(size=(10, CHANNELS)).astype(np.float32)
    names = ["doubled", "negative", "features"]
    seen = [np.concatenate(arrays) for arrays in zip(*(b.values() for b in watch(model, names, values)), strict=True)]
    found = peaks(model, names, values)
    assert found == pytest.approx({n: float(np.abs(a).max()) for n, a in zip(names, seen, strict=True)})
    assert len(model.graph.node) == 3


def test_a_tensor_by_channel_has_the_range_of_the_whole() -> None:
    model, values = relu_of_doubled(), np.random.default_rng(3).normal(size=(10, CHANNELS)).astype(np.float32)
    plain, none = histograms(model, ["negative"], values)
    whole, channels = histograms(model, ["negative"], values, ["negative"])
    assert not none
    assert whole["negative"].peak == pytest.approx(plain["negative"].peak)
    np.testing.assert_allclose(channels["negative"].peaks, np.abs(2 * values).max(axis=0), rtol=1e-6)
